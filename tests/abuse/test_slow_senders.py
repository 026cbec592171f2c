"""Whoever begins something and does not finish it holds no connection: slowloris, in all its forms.

Each attack goes against the server and, before that, against the same application on uvicorn alone, which is the
control: there it still has its connection when the server has ended its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from sayso import limits
from sayso.server import serve as serving
from tests.abuse.conftest import Watched
from tests.conftest import KEY

Start = Callable[..., Watched]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_KEY = f"Authorization: Bearer {KEY}\r\n"
_HEAD = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
_POST = f"POST /requests HTTP/1.1\r\nHost: localhost\r\n{_KEY}"
_QUESTION = json.dumps({"execution_id": "run-1", "prompt": "Ship it?"})
_UPGRADE = (
    f"GET /ws/human-input/run-1 HTTP/1.1\r\nHost: localhost\r\n{_KEY}Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_MASK = bytes(4)

HALVES = {
    "nothing": ("", b""),
    "half a request line": ("GET /hea", b"408"),
    "half the headers": (_HEAD + "X-Slow: ", b"408"),
    "all but the last line": (_HEAD, b"408"),
    "half a body": (_POST + f"Content-Length: {len(_QUESTION)}\r\n\r\n" + _QUESTION[:10], b"408"),
    "no body": (_POST + f"Content-Length: {len(_QUESTION)}\r\n\r\n", b"408"),
    "half a chunk": (_POST + "Transfer-Encoding: chunked\r\n\r\n40\r\n{", b"408"),
    "no last chunk": (_POST + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"408"),
    "half the head of a second call": (_HEAD + "\r\n" + _HEAD, b"408"),
    "half a body that was refused": (_POST + f"Content-Length: {limits.BODY + 1}\r\n\r\n" + "x", b"413"),
    "half a body of a call that needs none": (_HEAD + "Content-Length: 5\r\n\r\n", b"200"),
}
FRAMES = {
    "half a header": b"\x81",
    "half a length": b"\x81\xfe\x10",
    "half a mask": b"\x81\x85\x00",
    "half a payload": b"\x81\x85" + _MASK + b"{",
    "half a ping": b"\x89\x85" + _MASK + b"{",
    "no last fragment": b"\x01\x81" + _MASK + b"{",
    "an empty fragment": b"\x01\x80" + _MASK,
}
DRIPS = {
    "headers": (_HEAD, b"X-Slow: 1\r\n"),
    "a body": (_POST + "Content-Length: 1000\r\n\r\n", b" "),
    "chunks": (_POST + "Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "fragments": (_UPGRADE, b"\x00\x81" + _MASK + b" "),
    "empty fragments": (_UPGRADE, b"\x00\x80" + _MASK),
    "fragments with pings between": (_UPGRADE, b"\x89\x80" + _MASK + b"\x00\x80" + _MASK),
}


@pytest.fixture(autouse=True)
def deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECEIVE", 0.3)


@asynccontextmanager
async def _opened(server: Watched, text: str = "", *, number: int = 1) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(text.encode())
        await server.until(number)
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _upgraded(stream: Stream) -> None:
    async with asyncio.timeout(10):
        assert b" 101 " in (await stream[0].readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]


async def _all(stream: Stream) -> bytes:
    """What the server says until it ends the connection."""
    said = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(20):
            while part := await stream[0].read(65_536):
                said += part
    return said


@pytest.mark.promise("CAP-1")
@pytest.mark.parametrize("name", HALVES)
async def test_half_a_call_is_told_so_and_its_connection_ends(guarded: Start, bare: Start, name: str) -> None:
    half, status = HALVES[name]
    control, server = bare(), guarded()
    async with _opened(control, half), _opened(server, half) as stream:
        said = await _all(stream)
        await server.until(0)
        assert control.connections == 1
    *_, last = said.split(b"HTTP/1.1 ")
    assert last[:3] == status
    if status == b"408":
        assert b"content-type: application/problem+json" in last
        assert json.loads(last.partition(b"\r\n\r\n")[2])["type"] == "urn:sayso:problem:too-slow"


@pytest.mark.promise("CAP-1")
@pytest.mark.parametrize("name", FRAMES)
async def test_half_a_message_closes_the_socket_with_4408(guarded: Start, bare: Start, name: str) -> None:
    control, server = bare(), guarded()
    async with _opened(control, _UPGRADE) as other, _opened(server, _UPGRADE) as stream:
        for one in (other, stream):
            await _upgraded(one)
            one[1].write(FRAMES[name])
        assert b"\x88" in (said := await _all(stream))
        assert int.from_bytes(said[said.index(b"\x88") + 2 :][:2]) == 4408
        await server.until(0)
        assert control.connections == 1


@pytest.mark.promise("CAP-1")
@pytest.mark.parametrize("name", DRIPS)
async def test_who_sends_a_little_all_the_time_has_no_more_time(guarded: Start, bare: Start, name: str) -> None:
    begin, drop = DRIPS[name]
    control, server = bare(), guarded()

    async def drip(stream: Stream) -> None:
        with suppress(ConnectionError):
            if begin == _UPGRADE:
                await _upgraded(stream)
                stream[1].write(b"\x01\x80" + _MASK)
            while True:
                stream[1].write(drop)
                await stream[1].drain()
                await asyncio.sleep(0.02)

    async with _opened(control, begin) as other, _opened(server, begin) as stream:
        dripping = [asyncio.create_task(drip(one)) for one in (other, stream)]
        await server.until(0)
        assert control.connections == 1
        for task in dripping:
            task.cancel()
        await asyncio.wait(dripping)


async def test_a_body_that_keeps_coming_earns_its_time(guarded: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECEIVE_RATE", 1)
    server = guarded()
    head = f"{_POST}Expect: 100-continue\r\nContent-Length: {len(_QUESTION)}\r\n\r\n"
    async with _opened(server, head) as stream, _opened(server, head, number=2) as slow:
        assert b" 100 " in await stream[0].readuntil(b"\r\n\r\n")
        stream[1].write(_QUESTION[:-1].encode())
        assert b" 408 " in await _all(slow)  # it had as much time, and earned none
        stream[1].write(_QUESTION[-1:].encode())
        async with asyncio.timeout(10):
            assert b" 201 " in await stream[0].readline()


@pytest.mark.parametrize("sent", ["a head", "a message"])
async def test_nothing_but_a_body_earns_time(guarded: Start, monkeypatch: pytest.MonkeyPatch, sent: str) -> None:
    monkeypatch.setattr(limits, "RECEIVE_RATE", 0.001)  # a byte of a body would earn minutes
    server = guarded()
    async with _opened(server, _UPGRADE if sent == "a message" else _HEAD) as stream:
        if sent == "a message":
            await _upgraded(stream)
            stream[1].write(FRAMES["half a payload"])
        await _all(stream)
        await server.until(0)


async def test_the_idle_connection_of_a_caller_that_showed_no_key_ends_sooner(
    guarded: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "is_this_machine", lambda address: False)
    server = guarded()
    known = await asyncio.open_connection("127.0.0.1", server.port)
    known[1].write(f"GET /requests HTTP/1.1\r\nHost: localhost\r\n{_KEY}\r\n".encode())
    assert b" 200 " in await known[0].readline()
    stranger = await asyncio.open_connection("127.0.0.1", server.port)
    stranger[1].write(f"{_HEAD}\r\n".encode())
    assert b" 200 " in await _all(stranger)
    await server.until(1)
    known[1].write(f"GET /requests HTTP/1.1\r\nHost: localhost\r\n{_KEY}\r\n".encode())
    async with asyncio.timeout(10):
        while b" 200 " not in await known[0].readline():
            pass
    for _, writer in (known, stranger):
        writer.close()


@pytest.mark.promise("CAP-1")
@pytest.mark.parametrize("rest", ["0\r\n\r\n", "2\r\n{}\r\n0\r\nX-A: b\r\n\r\n"], ids=["empty", "a body"])
async def test_a_call_that_was_answered_before_all_of_it_had_come_leaves_no_connection(
    guarded: Start, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.3)
    server = guarded()
    head = f"POST /none-such HTTP/1.1\r\nHost: localhost\r\n{_KEY}Transfer-Encoding: chunked\r\n\r\n"
    async with _opened(server, head) as stream, asyncio.timeout(20):
        assert b" 404 " in await stream[0].readline()
        stream[1].write(rest.encode())
        await server.until(0)


async def test_a_call_that_waits_for_us_and_an_open_stream_owe_nothing(guarded: Start) -> None:
    server = guarded()
    held = f"GET /poll/human-input/run-1?wait=30 HTTP/1.1\r\nHost: localhost\r\n{_KEY}\r\n"
    async with _opened(server, held) as poll:
        socket = await asyncio.open_connection("127.0.0.1", server.port)
        socket[1].write(_UPGRADE.encode())
        await _upgraded(socket)
        half = await asyncio.open_connection("127.0.0.1", server.port)
        half[1].write(_HEAD.encode())
        assert b" 408 " in await _all(half)
        half[1].close()
        asking = await asyncio.open_connection("127.0.0.1", server.port)
        asking[1].write(f"{_POST}Content-Length: {len(_QUESTION)}\r\n\r\n{_QUESTION}".encode())
        async with asyncio.timeout(10):
            assert b" 201 " in await asking[0].readline()
            assert b" 200 " in await poll[0].readline()
            assert b"human_input_required" in await socket[0].readuntil(b"human_input_required")
        for _, writer in (socket, asking):
            writer.close()
