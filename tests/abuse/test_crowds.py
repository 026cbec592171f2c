"""Connections and calls are capped: in all, for each address, for each key. Whoever is refused is told what to do."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, limits
from sayso.errors import TooMany, Unavailable
from sayso.server import calls as counting
from sayso.server import serve as serving
from sayso.server.caller import ANYONE, Caller
from sayso.server.calls import Calls
from sayso.server.connections import Connections
from tests.abuse.conftest import Watched
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, knock, tasks_of, until_only

Start = Callable[..., Watched]
_RIGHT = {"Authorization": f"Bearer {KEY}"}
_CALL = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ROUNDS = int(os.environ.get("SAYSO_ROUNDS", "10"))


def _elsewhere(address: str) -> bool:
    """In place of `is_this_machine`: everyone calls from elsewhere."""
    return False


async def _connected(server: Watched, count: int) -> list[asyncio.StreamWriter]:
    opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    return [writer for _, writer in opened]


async def _refused(server: Watched) -> tuple[bytes, dict[str, str]]:
    """The head and the problem that one connection more gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(_CALL)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, json.loads(body)


@pytest.mark.promise("CAP-2")
async def test_a_connection_too_many_gets_503_and_the_next_one_after_a_leave_is_served(
    guarded: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 3)
    server = guarded()
    first, *others = await _connected(server, 3)
    await server.until(3)
    head, problem = await _refused(server)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head
    assert b"x-content-type-options: nosniff" in head
    assert problem["type"] == "urn:sayso:problem:unavailable"
    first.close()
    await server.until(2)
    async with httpx.AsyncClient(base_url=server.url) as api:
        assert (await api.get("/health")).status_code == 200
    for writer in others:
        writer.close()


@pytest.mark.promise("CAP-2")
async def test_an_address_with_too_many_connections_gets_429_and_this_machine_does_not(
    guarded: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_ADDRESS", 2)
    near = guarded()
    for writer in await _connected(near, 3):
        writer.write(_CALL)
        await near.until(3)
        writer.close()
    monkeypatch.setattr(serving, "is_this_machine", _elsewhere)
    server = guarded()
    opened = await _connected(server, 2)
    await server.until(2)
    head, problem = await _refused(server)
    assert head.startswith(b"HTTP/1.1 429 ")
    assert problem["type"] == "urn:sayso:problem:too-many"
    for writer in opened:
        writer.close()


def test_a_flood_of_refusals_is_one_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 1)
    connections = Connections(_elsewhere)
    place = connections.enter("192.0.2.1")
    for _ in range(100):
        with pytest.raises(Unavailable):
            connections.enter("192.0.2.2")
    assert len(caplog.records) == 1
    place.leave()
    place.leave()
    connections.enter("192.0.2.2")
    with pytest.raises(Unavailable):
        connections.enter("192.0.2.1")
    assert len(caplog.records) == 2


def test_descriptors_are_left_to_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda what: (limits.SPARE_DESCRIPTORS + 2, 4_096))
    connections = Connections(_elsewhere)
    assert [connections.enter("192.0.2.1"), connections.enter("192.0.2.2")]
    with pytest.raises(Unavailable):
        connections.enter("192.0.2.3")


@pytest.mark.promise("CAP-3")
@pytest.mark.parametrize("path", ["/ws/human-input/run-2", "/events/human-input/run-2", "/poll/human-input/run-2"])
async def test_a_key_with_too_many_streams_gets_429_on_every_road_until_one_ends(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(limits, "CALLS_PER_KEY", len(FOLLOWERS))
    server = serve()
    before = await tasks_of(server)
    async with AsyncExitStack() as stack:
        socket = await stack.enter_async_context(
            websockets.connect(f"{server.url.replace('http', 'ws', 1)}/ws/human-input", additional_headers=_RIGHT)
        )
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, headers=_RIGHT, timeout=60))
        await stack.enter_async_context(api.stream("GET", "/events/human-input"))
        held = asyncio.create_task(api.get("/requests/none-such?wait=0"))
        await held
        poll = asyncio.create_task(api.get("/poll/human-input?wait=50"))
        for _ in range(200):
            if (reply := await knock(server.url, path, dict(_RIGHT))).status == 429:
                break
        assert reply.problem == "too-many"
        assert reply.headers["retry-after"] == "1"
        assert (await knock(server.url, "/health")).status == 200
        await socket.close()
        while (reply := await knock(server.url, path, dict(_RIGHT))).status == 429:
            pass
        assert reply.status in {101, 200}
        poll.cancel()
        await asyncio.wait([poll])
    await until_only(server, before)


@pytest.mark.promise("CAP-3")
def test_keys_and_addresses_have_their_caps_and_what_ended_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLS_PER_KEY", 2)
    monkeypatch.setattr(limits, "CONNECTIONS_PER_ADDRESS", 2)
    calls, mine, other = Calls(), Caller(name="a"), Caller(name="b")
    with calls.of_key(mine), calls.of_key(mine.at_inbox()):
        with pytest.raises(TooMany, match="one key"), calls.of_key(mine):
            pass
        with calls.of_key(other):
            pass
    with calls.begun("192.0.2.1", None), calls.begun("192.0.2.1", None):
        with pytest.raises(TooMany, match="one address"), calls.begun("192.0.2.1", None):
            pass
        with calls.begun("192.0.2.9", None):
            pass
    with ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(calls.begun("127.0.0.1", None))
            stack.enter_context(calls.of_key(ANYONE))
            stack.enter_context(calls.of_key(None))
    with calls.of_key(mine), calls.begun("192.0.2.1", None):
        pass
    assert not calls._of_key
    assert not calls._of_address


@pytest.mark.promise("CAP-3")
async def test_a_key_that_comes_in_the_first_message_is_counted_too(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CALLS_PER_KEY", 1)
    address = serve().url.replace("http", "ws", 1) + "/ws/human-input/run-1"
    async with websockets.connect(address, additional_headers=_RIGHT) as first, asyncio.timeout(20):
        async with websockets.connect(f"{address}?auth=message") as second:
            await second.send(json.dumps({"type": "auth", "token": KEY}))
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
        await first.send("{}")
        assert json.loads(await first.recv())["type"] == "error"


async def test_calls_of_one_address_are_capped_where_it_is_elsewhere(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_ADDRESS", 1)
    server = serve()
    headers = dict(_RIGHT)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as api:
        async with api.stream("GET", "/events/human-input"):
            assert (await api.get("/requests")).status_code == 200  # the control: this machine has no cap
            monkeypatch.setattr(counting, "is_this_machine", _elsewhere)
            assert (await api.get("/requests")).status_code == 429
        while (await api.get("/requests")).status_code == 429:
            pass


@pytest.mark.promise("CAP-2")
async def test_connections_that_come_and_go_leave_nothing(guarded: Start) -> None:
    server = guarded()

    async def churn() -> None:
        half = _CALL[:20]
        for sent in (
            b"",
            half,
            _CALL,
            _CALL[:-2] + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            b"\x16\x03\x01",
        ):
            for ends in ("close", "reset"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(sent)
                if ends == "reset":
                    peer: socket.socket = writer.get_extra_info("socket")
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    writer.transport.abort()
                elif sent == _CALL:
                    await reader.readline()
                writer.close()

    await churn()
    await server.until(0)
    gc.collect()
    before = _descriptors()
    for _ in range(_ROUNDS):
        await asyncio.gather(*(churn() for _ in range(20)))
    await server.until(0)
    async with asyncio.timeout(10):
        while _descriptors() > before:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=server.url) as api:
        assert (await api.get("/health")).status_code == 200


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.promise("CAP-11")
async def test_a_key_with_too_many_open_questions_gets_429(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN_REQUESTS", 3)
    async with httpx.AsyncClient(base_url=serve().url, headers=_RIGHT) as api:
        question = {"execution_id": "run-1", "prompt": "Ship it?"}
        asked = [await api.post("/requests", json=question) for _ in range(4)]
        assert [one.status_code for one in asked] == [201, 201, 201, 429]
        assert asked[3].json()["type"] == "urn:sayso:problem:too-many"
        assert asked[3].headers["retry-after"] == "1"
        answered = await api.post(f"/requests/{asked[0].json()['request_id']}/answer", json={"human_feedback": "yes"})
        assert answered.status_code == 200
        assert (await api.post("/requests", json=question)).status_code == 201
