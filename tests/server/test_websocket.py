"""What is particular to WebSocket: answers come in on the socket that events go out on."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, limits
from sayso.server import websocket
from sayso.server.lane.websocket import Socket
from tests.conftest import KEY
from tests.server.followers import tasks_of, until_only
from tests.server.raw import AUTHORISED, UPGRADE

pytestmark = pytest.mark.usefixtures("lane")

Ask = Callable[..., dict[str, Any]]
_MOST = 64 * 1_024


def _connect(server: HumanInputServer, path: str = "/run-1", **settings: Any) -> AbstractAsyncContextManager[Any]:
    address = server.url.replace("http", "ws", 1) + "/ws/human-input" + path
    return websockets.connect(address, additional_headers={"Authorization": f"Bearer {KEY}"}, **settings)


async def _next(socket: ClientConnection, type: str) -> dict[str, Any]:
    """The next message of this type."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == type:
                return message


async def _closed(socket: ClientConnection) -> ConnectionClosed:
    async with asyncio.timeout(10):
        while True:
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                return closed


@pytest.mark.promise("STREAM-7", "ANSWER-6")
async def test_an_answer_on_the_socket_is_acknowledged_and_told_to_the_others(
    server: HumanInputServer, ask: Ask, api: httpx.AsyncClient
) -> None:
    async with _connect(server) as mine, _connect(server, "") as theirs:
        asked = ask()
        for socket in (mine, theirs):
            assert (await _next(socket, "human_input_required"))["request_id"] == asked["request_id"]
        answer = {"type": "answer", "request_id": asked["request_id"], "answer_id": "mine-1", "human_feedback": "yes"}
        await mine.send(json.dumps(answer))
        accepted = await _next(mine, "answer_accepted")
        assert (accepted["request_id"], accepted["answer_id"]) == (asked["request_id"], "mine-1")
        assert accepted["request"] == (await api.get(f"/requests/{asked['request_id']}")).json()
        completed = await _next(theirs, "human_input_completed")
        assert (completed["human_feedback"], completed["by"], completed["channel"]) == (
            "yes",
            "key:default",
            "websocket",
        )


@pytest.mark.promise("STREAM-7")
async def test_the_one_who_answers_sees_the_completed_event_too(server: HumanInputServer, ask: Ask) -> None:
    asked = ask()
    async with _connect(server) as socket:
        await socket.send(json.dumps({"type": "answer", "request_id": asked["request_id"], "human_feedback": "yes"}))
        types = set()
        async with asyncio.timeout(10):
            while types < {"human_input_required", "human_input_completed", "answer_accepted"}:
                types.add(json.loads(await socket.recv())["type"])


@pytest.mark.promise("STREAM-7", "ANSWER-3")
async def test_the_same_answer_again_is_accepted_again_and_another_is_told_which_won(
    server: HumanInputServer, ask: Ask
) -> None:
    asked = ask()
    answer = {"type": "answer", "request_id": asked["request_id"], "answer_id": "mine-1", "human_feedback": "yes"}
    async with _connect(server) as socket:
        for _ in range(2):
            await socket.send(json.dumps(answer))
            assert (await _next(socket, "answer_accepted"))["request"]["answer"]["text"] == "yes"
        await socket.send(json.dumps(answer | {"answer_id": "mine-2", "human_feedback": "no"}))
        error = await _next(socket, "error")
        assert (error["request_id"], error["answer_id"]) == (asked["request_id"], "mine-2")
        assert error["problem"]["type"] == "urn:sayso:problem:already-settled"
        assert error["problem"]["request"]["answer"]["text"] == "yes"


_NOT_UNDERSTOOD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "invalid"),
    "empty binary": (b"", "invalid"),
    "no JSON": ("canary-7d1e", "invalid"),
    "a list": ('["canary-7d1e"]', "invalid"),
    "a number": ("7", "invalid"),
    "null": ("null", "invalid"),
    "no type": ('{"human_feedback": "canary-7d1e", "request_id": "r"}', "invalid"),
    "unknown type": ('{"type": "canary-7d1e"}', "invalid"),
    "type of another type": ('{"type": 7}', "invalid"),
    "an event": ('{"type": "human_input_completed", "human_feedback": "canary-7d1e"}', "invalid"),
    "no request": ('{"type": "answer", "human_feedback": "canary-7d1e"}', "invalid"),
    "request of another type": ('{"type": "answer", "request_id": ["canary-7d1e"]}', "invalid"),
    "unknown member": ('{"type": "answer", "request_id": "a", "canary-7d1e": 1}', "invalid"),
    "by": ('{"type": "answer", "request_id": "a", "by": "canary-7d1e"}', "invalid"),
    "unknown request": ('{"type": "answer", "request_id": "a", "human_feedback": "canary-7d1e"}', "not-found"),
    "id outside the grammar": ('{"type": "answer", "request_id": "canary-7d1e x"}', "not-found"),
    "brackets": ("[" * 60_000, "invalid"),
    "nested": ('{"type": "answer", "request_id": "a", "values": ' + "[" * 30_000 + "]" * 30_000 + "}", "invalid"),
    "surrogate": ('{"type": "answer", "request_id": "a", "human_feedback": "canary-7d1e\\ud800"}', "invalid"),
    "surrogate in an id": ('{"type": "answer", "request_id": "canary-7d1e\\ud800"}', "invalid"),
    "binary garbage": (bytes(range(256)), "invalid"),
    "binary that is no UTF-8 inside": (b'{"type": "answer", "request_id": "canary-7d1e\xff"}', "invalid"),
}


@pytest.mark.promise("STREAM-7")
@pytest.mark.parametrize("name", _NOT_UNDERSTOOD)
async def test_a_message_that_is_not_understood_gets_an_error_and_the_socket_stays(
    door: HumanInputServer, ask_door: Ask, name: str
) -> None:
    message, code = _NOT_UNDERSTOOD[name]
    asked = ask_door()
    async with _connect(door) as socket:
        await socket.send(message)
        error = await _next(socket, "error")
        assert set(error) == {"type", "request_id", "answer_id", "problem"}
        assert error["problem"]["type"] == f"urn:sayso:problem:{code}"
        assert "canary-7d1e" not in json.dumps(error)
        await socket.send(json.dumps({"type": "answer", "request_id": asked["request_id"], "human_feedback": "yes"}))
        assert (await _next(socket, "answer_accepted"))["request_id"] == asked["request_id"]


@pytest.mark.promise("STREAM-7", "ANSWER-4")
async def test_an_error_names_the_answer_it_is_about(server: HumanInputServer, ask: Ask) -> None:
    asked = ask(options=[{"id": "a"}])
    answer = {"type": "answer", "request_id": asked["request_id"], "answer_id": "mine-1", "human_feedback": "b"}
    async with _connect(server) as socket:
        await socket.send(json.dumps(answer))
        error = await _next(socket, "error")
        assert (error["request_id"], error["answer_id"]) == (asked["request_id"], "mine-1")
        assert [fault["pointer"] for fault in error["problem"]["errors"]] == ["/human_feedback"]
        await socket.send(json.dumps(answer | {"human_feedback": "a"}))
        await _next(socket, "answer_accepted")


@pytest.mark.promise("ANSWER-2")
async def test_of_many_answers_on_many_sockets_one_wins(server: HumanInputServer, ask: Ask) -> None:
    asked = ask()

    async def answer(number: int) -> str:
        async with _connect(server, "/another-run") as socket:
            answer = {"type": "answer", "request_id": asked["request_id"], "human_feedback": str(number)}
            await socket.send(json.dumps(answer))
            async with asyncio.timeout(10):
                return str(json.loads(await socket.recv())["type"])

    replies = await asyncio.gather(*(answer(number) for number in range(20)))
    assert sorted(replies) == ["answer_accepted"] + ["error"] * 19


@pytest.mark.promise("DOOR-5")
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("parts", [1, 10])
async def test_a_message_over_the_limit_closes_the_socket_with_1009(
    server: HumanInputServer, parts: int, binary: bool
) -> None:
    part = "x" * (_MOST // parts + 1)
    sent = [part.encode() if binary else part] * parts
    async with _connect(server) as socket:
        await socket.send(sent if parts > 1 else sent[0])
        closed = await _closed(socket)
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1009


async def test_a_message_of_exactly_the_limit_is_read(server: HumanInputServer) -> None:
    async with _connect(server) as socket:
        await socket.send("7".ljust(_MOST))
        assert (await _next(socket, "error"))["problem"]["type"] == "urn:sayso:problem:invalid"


@pytest.mark.promise("STREAM-9")
async def test_a_server_that_stops_closes_with_1012(server: HumanInputServer, ask: Ask) -> None:
    ask()
    async with _connect(server) as one, _connect(server, "") as other:
        for socket in (one, other):
            await _next(socket, "human_input_required")
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        for socket in (one, other):
            closed = await _closed(socket)
            assert closed.rcvd is not None
            assert closed.rcvd.code == 1012
            assert "last_event_id" in closed.rcvd.reason
        async with asyncio.timeout(10):
            await stopping


async def test_a_client_that_leaves_leaves_nothing_behind(server: HumanInputServer) -> None:
    before = await tasks_of(server)
    for leave in ("close", "abort"):
        sockets = [await websockets.connect(**_address(server, number)) for number in range(5)]
        assert await tasks_of(server) >= before + 5
        for socket in sockets:
            if leave == "close":
                await socket.close()
            else:
                socket.transport.abort()
        await until_only(server, before)


async def test_a_client_that_vanishes_is_noticed_by_its_silence(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PING", 0.1)
    server = serve()
    before = await tasks_of(server)
    address = urlsplit(server.url)
    with sockets.create_connection((address.hostname, address.port), timeout=10) as mute:
        mute.sendall(
            f"GET /ws/human-input HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert mute.recv(64).startswith(b"HTTP/1.1 101")
        await until_only(server, before)


async def test_a_half_sent_answer_of_a_client_that_leaves_does_no_harm(server: HumanInputServer, ask: Ask) -> None:
    asked = ask()
    before = await tasks_of(server)
    for _ in range(5):
        socket = await websockets.connect(**_address(server, 1))
        await socket.send(json.dumps({"type": "answer", "request_id": asked["request_id"], "human_feedback": "yes"}))
        socket.transport.abort()
    await until_only(server, before)


def _address(server: HumanInputServer, number: int) -> dict[str, Any]:
    return {
        "uri": f"{server.url.replace('http', 'ws', 1)}/ws/human-input/run-{number}",
        "additional_headers": {"Authorization": f"Bearer {KEY}"},
    }


async def test_a_client_that_reads_nothing_is_cut_and_the_stop_does_not_wait_for_it(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, lost: threading.Semaphore
) -> None:
    monkeypatch.setattr(limits, "SEND", 0.2)
    server = serve()
    before = await tasks_of(server)
    with _mute(server):
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as api:
            for _ in range(60):
                question = {"execution_id": "run-1", "prompt": "Ship it?", "context": "x" * limits.CONTEXT}
                assert (await api.post("/requests", json=question)).status_code == 201
        assert await asyncio.to_thread(lost.acquire, timeout=10)
        await until_only(server, before)
        async with asyncio.timeout(10):
            await asyncio.to_thread(server.stop)


@pytest.mark.promise("CAP-6")
async def test_a_client_that_begins_to_read_again_too_late_hears_4408(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEND", 0.2)
    monkeypatch.setattr(limits, "STOP", 20.0)
    monkeypatch.setattr(websocket, "_CLOSE", 20.0)
    closing, close, say_goodbye = threading.Event(), websocket._close, Socket.say_goodbye

    async def closed(socket: Any, code: int, reason: str) -> None:
        closing.set()
        await close(socket, code, reason)

    def said_goodbye(socket: Socket, code: int, reason: str) -> None:
        closing.set()
        say_goodbye(socket, code, reason)

    monkeypatch.setattr(websocket, "_close", closed)
    monkeypatch.setattr(Socket, "say_goodbye", said_goodbye)
    server = serve()
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as api:
        for _ in range(60):
            question = {"execution_id": "run-1", "prompt": "Ship it?", "context": "x" * limits.CONTEXT}
            assert (await api.post("/requests", json=question)).status_code == 201
    with _mute(server) as mute:
        assert await asyncio.to_thread(closing.wait, 10)

        def rest() -> bytes:
            said = b""
            while part := mute.recv(65_536):
                said = said[-200:] + part
            return said

        assert b"\x11\x38too slow; reconnect" in await asyncio.to_thread(rest)


async def test_a_client_that_pings_and_reads_no_pongs_is_cut_and_the_stop_does_not_wait_for_it(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, lost: threading.Semaphore
) -> None:
    monkeypatch.setattr(limits, "BATCH", 64 * limits.KIB)
    server = serve()
    before = await tasks_of(server)
    pings = (b"\x89\xfd" + bytes(4) + b"x" * 125) * 1_000  # masked with zeros: RFC 6455, 5.2

    def flood(mute: sockets.socket) -> None:
        for _ in range(500):  # far more than the kernel keeps
            mute.sendall(pings)

    with _mute(server) as mute:
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(flood, mute)
        assert await asyncio.to_thread(lost.acquire, timeout=10)
        await until_only(server, before)
        async with asyncio.timeout(10):
            await asyncio.to_thread(server.stop)


@contextmanager
def _mute(server: HumanInputServer) -> Iterator[sockets.socket]:
    """A client that has shaken hands, and takes no more than the kernel does for it."""
    address = urlsplit(server.url)
    with sockets.socket() as mute:
        mute.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        mute.settimeout(10)
        mute.connect(("127.0.0.1", address.port))
        mute.sendall(
            f"GET /ws/human-input/run-1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert mute.recv(64).startswith(b"HTTP/1.1 101")
        yield mute


async def test_a_client_that_breaks_off_amid_its_answers_is_no_error_here(
    server: HumanInputServer, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """One direction may notice first, and then the other must say nothing more."""
    ask()
    before = await tasks_of(server)
    head = [
        "GET /ws/human-input/run-1 HTTP/1.1",
        "Host: localhost",
        *(": ".join(one) for one in (AUTHORISED, *UPGRADE)),
    ]
    nothing, nonsense = b"\x81\x82" + bytes(4) + b"{}", b"\x83\x80" + bytes(4)  # no frame has this opcode
    for _ in range(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
        writer.write("\r\n".join((*head, "", "")).encode())
        async with asyncio.timeout(20):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(nothing + nonsense)
            with suppress(ConnectionError):
                await reader.read()
        writer.close()
    await until_only(server, before)
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
