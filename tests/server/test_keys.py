"""Keys on a server: made and shown, rotated and revoked, whom they let in, and what ends with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from starlette.testclient import TestClient
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, create_app
from sayso.errors import Misconfigured
from tests.conftest import KEY
from tests.server.followers import knock
from tests.server.keyholder import Holder, ask, call, make_key

Serve = Callable[..., HumanInputServer]


@pytest.mark.promise("KEY-1")
def test_a_secret_is_shown_once_and_kept_as_its_hash_alone(server: HumanInputServer, tmp_path: Path) -> None:
    made = make_key(server.url, "ask", name="crew", executions=["order-*"])
    assert made["secret"].startswith(f"sayso_{made['key']['id']}_")
    listed = call("GET", f"{server.url}/keys", KEY)
    assert listed.json()["keys"] == [made["key"]]
    assert made["key"] == made["key"] | {
        "name": "crew",
        "scopes": ["ask"],
        "executions": ["order-*"],
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
        "live": True,
    }
    call("POST", f"{server.url}/keys/{made['key']['id']}/rotate", KEY)
    server.stop()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    assert made["key"]["id"].encode() in kept
    assert made["secret"][-32:].encode() not in kept


@pytest.mark.promise("KEY-1")
def test_a_request_and_an_answer_carry_the_names_of_their_keys(server: HumanInputServer) -> None:
    agent, person = make_key(server.url, "ask", name="crew"), make_key(server.url, "answer", name="ann")
    asked = ask(server.url, key=agent["secret"])
    address = f"{server.url}/requests/{asked['request_id']}/answer"
    settled = call("POST", address, person["secret"], json={"human_feedback": "yes"}).json()
    assert (settled["asked_by"], settled["settled_by"], settled["settled_channel"]) == ("key:crew", "key:ann", "http")


@pytest.mark.promise("KEY-1")
def test_a_key_outlives_a_restart(serve: Serve) -> None:
    first = serve()
    secret = make_key(first.url, "read")["secret"]
    first.stop()
    again = serve(store=first._store)
    assert call("GET", f"{again.url}/requests", secret).status_code == 200


@pytest.mark.promise("KEY-1")
def test_the_key_that_the_server_was_given_needs_no_store_and_may_do_everything(server: HumanInputServer) -> None:
    assert ask(server.url)["asked_by"] == "key:default"
    assert call("POST", f"{server.url}/keys", KEY, json={"name": "default", "scopes": ["ask"]}).status_code == 422


def test_a_name_is_taken_while_its_key_lives(server: HumanInputServer) -> None:
    made = make_key(server.url, "ask", name="crew")
    again = call("POST", f"{server.url}/keys", KEY, json={"name": "crew", "scopes": ["ask"]})
    assert (again.status_code, again.json()["type"]) == (409, "urn:sayso:problem:name-taken")
    call("POST", f"{server.url}/keys/{made['key']['id']}/revoke", KEY)
    assert make_key(server.url, "ask", name="crew")["key"]["live"]


@pytest.mark.promise("KEY-6")
def test_while_a_rotation_overlaps_both_secrets_open_and_then_the_new_one_alone(server: HumanInputServer) -> None:
    made = make_key(server.url, "read", name="crew", executions=["a*"])

    def opens(secret: str) -> int:
        return call("GET", f"{server.url}/requests", secret).status_code

    turned = call("POST", f"{server.url}/keys/{made['key']['id']}/rotate", KEY, json={"overlap": 60}).json()
    assert [opens(one["secret"]) for one in (made, turned)] == [200, 200]
    assert turned["key"] == turned["key"] | {"name": "crew", "scopes": ["read"], "executions": ["a*"]}
    last = call("POST", f"{server.url}/keys/{turned['key']['id']}/rotate", KEY, json={"overlap": 0}).json()
    assert [opens(one["secret"]) for one in (made, turned, last)] == [200, 401, 200]


@pytest.mark.promise("KEY-7")
def test_the_last_use_is_told(server: HumanInputServer) -> None:
    made = make_key(server.url, "read")
    used = datetime.now(UTC)
    call("GET", f"{server.url}/requests", made["secret"])
    told = None
    while told is None:  # it is written a moment later; the test runner's own limit ends a wait for ever
        told = call("GET", f"{server.url}/keys", KEY).json()["keys"][0]["last_used_at"]
    assert used - timedelta(seconds=1) <= datetime.fromisoformat(told) <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.promise("DOOR-1", "KEY-2")
async def test_no_key_gets_401_with_the_way_to_one_and_a_lack_of_scope_403_without(server: HumanInputServer) -> None:
    made = await asyncio.to_thread(make_key, server.url, "admin")
    for path in ("/requests", "/poll/human-input", "/events/human-input", "/ws/human-input", "/ws/human-input/run-1"):
        for secret, status in (("", 401), (made["secret"][:-1] + "!", 401), (made["secret"], 403)):
            reply = await knock(server.url, path, {"Authorization": f"Bearer {secret}"} if secret else {})
            assert reply.status == status
            assert ("www-authenticate" in reply.headers) == (status == 401)
            assert reply.problem == {401: "unauthorised", 403: "forbidden"}[status]
            assert made["key"]["id"].encode() not in reply.body


# what ends with a key


async def _revoke(url: str, id: str) -> None:
    await asyncio.to_thread(call, "POST", f"{url}/keys/{id}/revoke", KEY)


async def _rotate(url: str, id: str) -> None:
    await asyncio.to_thread(call, "POST", f"{url}/keys/{id}/rotate", KEY, json={"overlap": 0.3})


async def _expire(url: str, id: str) -> None:
    """It does so by itself."""


_ENDS: dict[str, Callable[[str, str], Any]] = {"revoked": _revoke, "rotated": _rotate, "expired": _expire}


@asynccontextmanager
async def _websocket(url: str, headers: dict[str, str]) -> AsyncIterator[Callable[[], Any]]:
    async with websockets.connect(url.replace("http", "ws", 1) + "/ws/human-input", additional_headers=headers) as one:

        async def end() -> int:
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    assert json.loads(await one.recv())["request_id"] == "waiting"
            assert closed.value.rcvd is not None
            return closed.value.rcvd.code

        yield end


@asynccontextmanager
async def _sse(url: str, headers: dict[str, str]) -> AsyncIterator[Callable[[], Any]]:
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as client,
        client.stream("GET", f"{url}/events/human-input/run-1") as response,
    ):
        pieces = response.aiter_bytes()
        await anext(pieces)

        async def end() -> bytes:
            return b"".join([piece async for piece in pieces]).replace(b": heartbeat\n", b"")

        yield end


def _held(path: str) -> Any:
    @asynccontextmanager
    async def held(url: str, headers: dict[str, str]) -> AsyncIterator[Callable[[], Any]]:
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            call = asyncio.create_task(client.get(url + path))
            while (await client.get(f"{url}/health")).status_code != 200 or call.done():
                raise AssertionError("it is not held")

            async def end() -> int:
                return (await call).status_code

            yield end

    return held


_ROADS: dict[str, tuple[Any, Any]] = {
    "ws": (_websocket, 4401),
    "events": (_sse, b""),
    "poll": (_held("/poll/human-input/run-2?wait=50"), 401),
    "look": (_held("/requests/waiting?wait=50"), 401),
}


@pytest.mark.promise("KEY-5")
@pytest.mark.parametrize("way", ["header", "session"])
@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("road", _ROADS)
async def test_what_is_open_ends_within_5_s_of_its_key(server: HumanInputServer, road: str, end: str, way: str) -> None:
    await asyncio.to_thread(ask, server.url, execution_id="run-9", request_id="waiting")
    soon = {"expires_at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()} if end == "expired" else {}
    made = await asyncio.to_thread(make_key, server.url, "read", **soon)
    holder = await asyncio.to_thread(getattr(Holder, f"by_{way}"), server.url, made["secret"])
    opened, expected = _ROADS[road]
    async with opened(server.url, holder.headers) as ended:
        await _ENDS[end](server.url, made["key"]["id"])
        async with asyncio.timeout(5):
            assert await ended() == expected
    path = {"ws": "/ws/human-input", "events": "/events/human-input/run-1"}.get(road, "/requests/waiting")
    again = await knock(server.url, path, dict(holder.headers))
    assert again.status == 401
    holder.close()


@pytest.mark.promise("KEY-5")
async def test_the_end_of_a_key_ends_nothing_of_another(server: HumanInputServer) -> None:
    one, other = [await asyncio.to_thread(make_key, server.url, "read") for _ in range(2)]
    headers = [{"Authorization": f"Bearer {secret}"} for secret in (one["secret"], other["secret"], KEY)]
    async with (
        asyncio.timeout(20),
        _websocket(server.url, headers[0]) as ended,
        websockets.connect(server.url.replace("http", "ws", 1) + "/ws/human-input", additional_headers=headers[1]) as a,
        websockets.connect(server.url.replace("http", "ws", 1) + "/ws/human-input", additional_headers=headers[2]) as b,
    ):
        await _revoke(server.url, one["key"]["id"])
        assert await ended() == 4401
        asked = await asyncio.to_thread(ask, server.url)
        for socket in (a, b):
            assert json.loads(await socket.recv())["request_id"] == asked["request_id"]


@pytest.mark.promise("KEY-5")
async def test_a_key_is_one_on_every_node(database: str, serve: Serve) -> None:
    here, there = serve(store=database), serve(store=database)
    made = await asyncio.to_thread(make_key, here.url, "read")
    headers = {"Authorization": f"Bearer {made['secret']}"}
    async with _websocket(there.url, headers) as ws, _sse(there.url, headers) as sse:
        await _revoke(here.url, made["key"]["id"])
        async with asyncio.timeout(5):
            assert (await ws(), await sse()) == (4401, b"")
    assert (await knock(there.url, "/requests", headers)).status == 401


@pytest.mark.promise("SESSION-3", "SESSION-4", "KEY-5")
def test_a_session_is_its_keys(server: HumanInputServer) -> None:
    made = make_key(server.url, "read", "answer", name="ann", executions=["mine-*"])
    holder = Holder.by_session(server.url, made["secret"])
    mine, other = (ask(server.url, execution_id=id)["request_id"] for id in ("mine-1", "other-1"))
    assert holder.http.get("/session").json()["by"] == "session:ann"
    assert [one["request_id"] for one in holder.http.get("/requests").json()["requests"]] == [mine]
    assert holder.call("POST", "/requests", json={"execution_id": "mine-1", "prompt": "a"}) == 403
    assert holder.call("POST", f"/requests/{other}/answer", json={"human_feedback": "yes"}) == 404
    settled = holder.http.post(f"/requests/{mine}/answer", json={"human_feedback": "yes"}).json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("session:ann", "inbox")
    call("POST", f"{server.url}/keys/{made['key']['id']}/revoke", KEY)
    assert holder.call("GET", "/requests") == 401
    assert holder.http.get("/session").json()["by"] is None
    assert call("POST", f"{server.url}/session", "", json={"key": made["secret"]}).status_code == 403  # no page of ours
    holder.close()


# a server that was given no key


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shared.db'}"


@pytest.fixture
def open_server(serve: Serve, store: str) -> Iterator[HumanInputServer]:
    yield serve(api_key=None, store=store)


@pytest.mark.promise("KEY-4")
def test_without_a_key_everyone_here_may_make_the_first_one_and_then_one_is_needed(
    open_server: HumanInputServer,
) -> None:
    url = open_server.url
    agent = make_key(url, "ask", key="")
    assert call("GET", f"{url}/requests", "").status_code == 200
    assert call("GET", f"{url}/requests", agent["secret"]).status_code == 403  # it is known, and may ask alone
    boss = make_key(url, "admin", key="")
    assert call("GET", f"{url}/requests", "").status_code == 401
    assert call("GET", f"{url}/session", "").json()["needs_key"] is True
    assert call("GET", f"{url}/keys", boss["secret"]).status_code == 200
    call("POST", f"{url}/keys/{boss['key']['id']}/revoke", boss["secret"])
    assert call("GET", f"{url}/requests", "").status_code == 401


@pytest.mark.promise("KEY-4", "DOOR-4")
def test_on_an_address_that_others_reach_a_server_wants_a_key_of_its_own_or_one_that_makes_keys(
    open_server: HumanInputServer, store: str, serve: Serve
) -> None:
    def start() -> HumanInputServer:
        return serve(host="0.0.0.0", api_key=None, store=store)  # noqa: S104 - a test of exactly this

    def refusal() -> str:
        with pytest.raises(Misconfigured) as refused:
            start()
        return refused.value.detail

    make_key(open_server.url, "ask", "answer", "read", key="")
    open_server.stop()
    assert "sayso keys create NAME --scope admin" in refusal()
    local = serve(api_key=None, store=store)
    boss = make_key(local.url, "admin", key="")
    local.stop()
    server = start()
    assert call("GET", f"{server.url}/keys", boss["secret"]).status_code == 200
    assert call("GET", f"{server.url}/requests", "").status_code == 401
    call("POST", f"{server.url}/keys/{boss['key']['id']}/revoke", boss["secret"])
    assert call("GET", f"{server.url}/keys", boss["secret"]).status_code == 401
    server.stop()
    assert "so a key is needed" in refusal()


@pytest.mark.promise("KEY-4", "DOOR-4")
def test_a_mounted_server_whose_store_has_a_key_that_makes_keys_is_called_through_a_proxy(store: str) -> None:
    server = HumanInputServer(store=store, quiet=True, adapters=False)
    client = TestClient(create_app(server), base_url="http://testserver")
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    assert client.get("/requests", headers=proxied).status_code == 403
    boss = client.post("/keys", json={"name": "boss", "scopes": ["admin"]}).json()
    assert client.get("/requests", headers=proxied).status_code == 401
    assert client.get("/keys", headers=proxied | {"Authorization": f"Bearer {boss['secret']}"}).status_code == 200
    server.stop()
