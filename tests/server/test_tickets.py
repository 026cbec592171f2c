"""Streams without a key in their address: a ticket that is used once, and a first message that says who it is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sayso import HumanInputServer, create_app, limits
from tests.builders import new_id
from tests.conftest import KEY
from tests.server.followers import knock
from tests.server.keyholder import Holder, ask, call, make_key

Serve = Callable[..., HumanInputServer]
_ROADS = ("ws", "events")


def issue(url: str, key: str = KEY, **wanted: Any) -> str:
    """A ticket for `run-1`, or for what is wanted."""
    response = call("POST", f"{url}/tickets", key, json=wanted or {"execution_id": "run-1"})
    assert response.status_code == 201, response.text
    return str(response.json()["ticket"])


async def opens(url: str, ticket: str, road: str = "events", execution_id: str | None = "run-1") -> int:
    """The status of a stream that is asked for with that ticket alone; of a WebSocket 101."""
    path = f"/{road}/human-input" + (f"/{execution_id}" if execution_id else "")
    return (await knock(url, f"{path}?ticket={ticket}")).status


@pytest.mark.promise("TICKET-1")
@pytest.mark.parametrize("road", _ROADS)
async def test_a_ticket_opens_one_stream_once(server: HumanInputServer, road: str) -> None:
    ticket = await asyncio.to_thread(issue, server.url)
    first = await opens(server.url, ticket, road)
    assert first == (101 if road == "ws" else 200)
    for again in _ROADS:
        reply = await knock(server.url, f"/{again}/human-input/run-1?ticket={ticket}")
        assert (reply.status, reply.problem) == (401, "unauthorised")
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert ticket.encode() not in reply.body


@pytest.mark.promise("TICKET-1")
async def test_of_many_that_come_with_one_ticket_one_gets_in(server: HumanInputServer) -> None:
    ticket = await asyncio.to_thread(issue, server.url)
    statuses = await asyncio.gather(*(opens(server.url, ticket) for _ in range(10)))
    assert sorted(statuses) == [200] + [401] * 9


@pytest.mark.promise("TICKET-1")
async def test_a_ticket_is_over_after_a_minute(server: HumanInputServer, monkeypatch: pytest.MonkeyPatch) -> None:
    response = await asyncio.to_thread(call, "POST", f"{server.url}/tickets", KEY, json={"all": True})
    ends = datetime.fromisoformat(response.json()["expires_at"])
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(seconds=60)
    monkeypatch.setattr(limits, "TICKET", 0.0)
    assert await opens(server.url, await asyncio.to_thread(issue, server.url)) == 401


@pytest.mark.promise("TICKET-1")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_ticket_of_one_node_opens_once_on_another(database: str, serve: Serve, order: tuple[int, int]) -> None:
    nodes = [serve(store=database), serve(store=database)]
    key = (await asyncio.to_thread(make_key, nodes[0].url, "read"))["secret"]
    ticket = await asyncio.to_thread(issue, nodes[0].url, key)
    assert [await opens(nodes[one].url, ticket) for one in order] == [200, 401]


@pytest.mark.promise("TICKET-2")
@pytest.mark.parametrize("road", _ROADS)
async def test_a_ticket_is_for_its_execution_alone(server: HumanInputServer, road: str) -> None:
    ticket = await asyncio.to_thread(issue, server.url)
    assert await opens(server.url, ticket, road, "run-2") == 403
    for execution_id in ("run-1", None):
        await asyncio.to_thread(ask, server.url, execution_id=execution_id or "run-2", prompt="a")
    ticket = await asyncio.to_thread(issue, server.url)
    async with httpx.AsyncClient(timeout=30) as client, asyncio.timeout(10):
        later = asyncio.create_task(asyncio.to_thread(ask, server.url, execution_id="run-1", prompt="later"))
        async with client.stream("GET", f"{server.url}/events/human-input?ticket={ticket}") as response:
            told = []
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line[6:])["execution_id"])
                if len(told) == 2:
                    break
        await later
    assert told == ["run-1", "run-1"]


@pytest.mark.promise("TICKET-2")
async def test_a_ticket_stands_for_the_key_that_made_it(server: HumanInputServer) -> None:
    made = await asyncio.to_thread(make_key, server.url, "read", "answer", name="ann", executions=["mine-*"])
    mine = await asyncio.to_thread(ask, server.url, execution_id="mine-1")
    other = await asyncio.to_thread(ask, server.url, execution_id="other-1")
    ticket = await asyncio.to_thread(issue, server.url, made["secret"], all=True)
    holder = Holder(server.url, query=lambda path: f"?ticket={ticket}")
    answers = [{"type": "answer", "request_id": one["request_id"], "text": "yes"} for one in (other, mine)]
    status, (refused, accepted) = await asyncio.to_thread(holder.follow, "/ws/human-input", *answers, replies=2)
    assert status == 101
    assert refused["problem"]["status"] == 404
    assert (accepted["request"]["settled_by"], accepted["request"]["settled_channel"]) == ("key:ann", "websocket")
    holder.close()
    reader = (await asyncio.to_thread(make_key, server.url, "read"))["secret"]
    waits = await asyncio.to_thread(ask, server.url, execution_id="run-1")
    ticket = await asyncio.to_thread(issue, server.url, reader)
    holder = Holder(server.url, query=lambda path: f"?ticket={ticket}")
    message = {"type": "answer", "request_id": waits["request_id"], "text": "yes"}
    _, (refused,) = await asyncio.to_thread(holder.follow, "/ws/human-input/run-1", message, replies=1)
    assert refused["problem"]["status"] == 403
    holder.close()


@pytest.mark.promise("TICKET-2")
async def test_a_ticket_and_its_stream_end_with_the_key_that_made_it(server: HumanInputServer) -> None:
    made = await asyncio.to_thread(make_key, server.url, "read")
    used, unused = [await asyncio.to_thread(issue, server.url, made["secret"]) for _ in range(2)]
    address = f"{server.url.replace('http', 'ws', 1)}/ws/human-input/run-1?ticket={used}"
    async with websockets.connect(address) as socket, asyncio.timeout(5):
        await asyncio.to_thread(call, "POST", f"{server.url}/keys/{made['key']['id']}/revoke", KEY)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
    assert await opens(server.url, unused) == 401


@pytest.mark.promise("TICKET-2")
def test_only_who_may_follow_gets_a_ticket(server: HumanInputServer) -> None:
    for scope in ("ask", "answer", "admin"):
        secret = make_key(server.url, scope)["secret"]
        assert call("POST", f"{server.url}/tickets", secret, json={"all": True}).status_code == 403
    narrow = make_key(server.url, "read", executions=["mine-*"])["secret"]
    for id, status in (("mine-1", 201), ("other", 403)):
        assert call("POST", f"{server.url}/tickets", narrow, json={"execution_id": id}).status_code == status
    for wrong in ({}, {"all": False}, {"all": True, "execution_id": "run-1"}, {"execution_id": "a b"}, {"all": "yes"}):
        assert call("POST", f"{server.url}/tickets", KEY, json=wrong).status_code == 422
    assert call("POST", f"{server.url}/tickets", "", json={"all": True}).status_code == 401


@pytest.mark.promise("TICKET-1")
async def test_what_was_not_signed_here_is_no_ticket(server: HumanInputServer, serve: Serve) -> None:
    ticket = await asyncio.to_thread(issue, server.url)
    data, _, mac = ticket.partition(".")
    told = json.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))
    assert KEY not in json.dumps(told)
    forged = base64.urlsafe_b64encode(json.dumps(told | {"execution_id": None}).encode()).rstrip(b"=").decode()
    other = await asyncio.to_thread(issue, serve().url)
    session = (await asyncio.to_thread(Holder.by_session, server.url, KEY)).headers["Cookie"].partition("=")[2]
    for wrong in ("x", ".", f"{data}.", f"{forged}.{mac}", f"{data}.{'0' * 64}", other, session, KEY, "%00", "%ff.%ff"):
        assert await opens(server.url, wrong) == 401
    assert await opens(server.url, ticket) == 200  # nothing of that has used it


@pytest.mark.promise("TICKET-1", "DOOR-1")
async def test_a_ticket_opens_streams_and_nothing_else(server: HumanInputServer) -> None:
    ticket = await asyncio.to_thread(issue, server.url, all=True)
    for path in ("/requests", "/poll/human-input", "/keys", "/requests/x"):
        assert (await knock(server.url, f"{path}?ticket={ticket}")).status == 401
    assert await opens(server.url, ticket, execution_id=None) == 200


async def test_a_session_gets_tickets_for_its_page(server: HumanInputServer) -> None:
    """Such a stream is the inbox's, as one with the cookie is."""
    holder = await asyncio.to_thread(Holder.by_session, server.url, KEY)
    ticket = holder.http.post("/tickets", json={"all": True}).json()["ticket"]
    asked = await asyncio.to_thread(ask, server.url)
    stream = Holder(server.url, query=lambda path: f"?ticket={ticket}")
    message = {"type": "answer", "request_id": asked["request_id"], "text": "yes"}
    _, (accepted,) = await asyncio.to_thread(stream.follow, "/ws/human-input", message, replies=1)
    by = (accepted["request"]["settled_by"], accepted["request"]["settled_channel"])
    assert by == ("session:default", "inbox")
    holder.close()
    stream.close()


def test_a_ticket_of_a_mounted_server_opens_its_stream(tmp_path: Any) -> None:
    server = HumanInputServer(api_key=KEY, store=f"sqlite:///{tmp_path / 'm.db'}", quiet=True, adapters=False)
    client = TestClient(create_app(server))
    right = {"Authorization": f"Bearer {KEY}"}
    client.post("/requests", json={"execution_id": "run-1", "prompt": "a"}, headers=right)
    ticket = client.post("/tickets", json={"execution_id": "run-1"}, headers=right).json()["ticket"]
    with client.websocket_connect(f"/ws/human-input/run-1?ticket={ticket}") as socket:
        assert socket.receive_json()["seq"] == 1
    assert client.get(f"/events/human-input/run-1?ticket={ticket}").status_code == 401
    server.stop()


# a first message


def _introduce(url: str, first: str | bytes, path: str = "/ws/human-input/run-1") -> tuple[int | None, list[Any]]:
    """The code with which a socket is closed that says this first (None: it is not), and what it heard before."""
    with connect(f"{url.replace('http', 'ws', 1)}{path}?auth=message", open_timeout=10) as socket:
        socket.send(first)
        heard: list[Any] = []
        try:
            while not heard:
                heard.append(json.loads(socket.recv(10)))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0, heard
        return None, heard


def _auth(token: str) -> str:
    return json.dumps({"type": "auth", "token": token})


@pytest.mark.promise("TICKET-3")
def test_a_socket_says_in_its_first_message_who_it_is(server: HumanInputServer) -> None:
    asked = ask(server.url)
    made = make_key(server.url, "read", "answer", name="ann", executions=["run-*"])
    for key in (KEY, made["secret"]):
        closed, heard = _introduce(server.url, _auth(key))
        assert (closed, heard[0]["request_id"]) == (None, asked["request_id"])
    holder = Holder(server.url, query=lambda path: "?auth=message")
    answer = {"type": "answer", "request_id": asked["request_id"], "text": "yes"}
    auth = {"type": "auth", "token": made["secret"]}
    _, (accepted,) = holder.follow("/ws/human-input", auth, answer, replies=1)
    assert accepted["request"]["settled_by"] == "key:ann"
    holder.close()


@pytest.mark.promise("TICKET-3")
@pytest.mark.parametrize(
    "first",
    [
        _auth("wrong"),
        _auth(""),
        _auth("sayso_aaaaaaaa_" + "a" * 32),
        "{",
        b"\xff",
        json.dumps({"type": "auth"}),
        json.dumps({"type": "answer", "request_id": "x", "text": "yes"}),
        json.dumps({"type": "auth", "token": KEY, "more": 1}),
    ],
    ids=repr,
)
def test_a_socket_that_says_anything_else_first_is_closed_and_has_heard_nothing(
    server: HumanInputServer, first: str | bytes
) -> None:
    ask(server.url)
    assert _introduce(server.url, first) == (4401, [])


@pytest.mark.promise("TICKET-3")
def test_a_socket_whose_key_may_not_follow_is_told_so(server: HumanInputServer) -> None:
    ask(server.url)
    agent = make_key(server.url, "ask")["secret"]
    narrow = make_key(server.url, "read", executions=["mine-*"])["secret"]
    for secret in (agent, narrow):
        assert _introduce(server.url, _auth(secret)) == (4403, [])


@pytest.mark.promise("TICKET-3")
def test_a_socket_that_says_nothing_is_closed_in_time(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "AUTH", 0.1)
    ask(server.url)
    address = f"{server.url.replace('http', 'ws', 1)}/ws/human-input/run-1?auth=message"
    with connect(address) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401


@pytest.mark.promise("TICKET-3", "DOOR-1")
async def test_without_that_wish_a_socket_without_a_key_is_refused_before_it_is_accepted(
    server: HumanInputServer,
) -> None:
    for query in ("", "?auth=", "?auth=later", "?token=&auth=none"):
        assert (await knock(server.url, f"/ws/human-input/run-1{query}")).status == 401
    for path in ("/events/human-input/run-1", "/poll/human-input", "/requests"):
        assert (await knock(server.url, f"{path}?auth=message")).status == 401
    assert (await knock(server.url, f"/ws/human-input/{new_id()}?auth=message&token=wrong")).status == 401
