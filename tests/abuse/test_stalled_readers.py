"""Whoever asks for much and reads nothing costs little, and not for long."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from sayso import limits
from tests.abuse.conftest import Watched
from tests.conftest import KEY

_MIB = 1024 * 1024
_EVENTS = 100
_READERS = 2 * int(os.environ.get("SAYSO_ROUNDS", "10"))
_UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)
ROADS = {
    "sse": ("/events/human-input/run-1", ""),
    "sse of all": ("/events/human-input", ""),
    "websocket": ("/ws/human-input/run-1", _UPGRADE),
    "poll": ("/poll/human-input/run-1", ""),
    "list": ("/requests?limit=1000", ""),
}


@contextmanager
def _stalled(url: str, path: str, headers: str, count: int) -> Iterator[None]:
    """So many peers that have asked, and read nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            peer = stack.enter_context(socket.socket())
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.settimeout(10)
            peer.connect(("127.0.0.1", urlsplit(url).port))
            call = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n{headers}\r\n"
            peer.sendall(call.encode())
        yield


async def _cost(behaves: str, road: str, store: str, readers: int) -> float:
    """Bytes of the server's memory for each reader."""
    path, headers = ROADS[road]
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.abuse.stalled", str(_EVENTS), behaves, store),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    async def memory(peers: int) -> int:
        server.stdin.write(f"{peers}\n".encode())
        return int(await server.stdout.readline())

    try:
        async with asyncio.timeout(120):
            url = (await server.stdout.readline()).decode().strip()
            with _stalled(url, path, headers, 2):  # what is made once, and stays
                before = await memory(2)
                with _stalled(url, path, headers, readers):
                    return (await memory(2 + readers) - before) / readers
    finally:
        server.kill()
        await server.communicate()


@pytest.mark.promise("CAP-6")
@pytest.mark.parametrize("road", ROADS)
async def test_a_reader_that_stalls_costs_less_than_a_mebibyte(road: str, tmp_path: Path) -> None:
    cost = await _cost("as it is", road, f"sqlite:///{tmp_path / 'log.db'}", _READERS)
    print(f"{road}: {cost / 1024:.0f} KiB for each of {_READERS} stalled readers")
    assert cost < _MIB


@pytest.mark.promise("CAP-6")
async def test_a_reader_that_takes_nothing_of_one_long_answer_loses_its_connection(
    guarded: Callable[..., Watched], bare: Callable[..., Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream has its own deadline for each write; a call has the connection's alone. The control waits for ever."""
    monkeypatch.setattr(limits, "SEND", 0.3)
    control, server = bare(), guarded()
    with ExitStack() as stack:
        for one in (control, server):
            kept = f"{one.url}/requests/long/resume?execution_id=run-1"
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
                assert (await client.put(kept, content=bytes(limits.RESUME))).status_code == 204
            await one.until(0)
            stack.enter_context(_stalled(one.url, "/requests/long/resume", "", 1))
        await control.until(1)
        await server.until(0)
        assert control.connections == 1


@pytest.mark.parametrize("road", ["sse", "websocket"])
async def test_a_server_that_buffers_for_them_is_found_out(road: str) -> None:
    """The control: 100 events of 128 KiB wait for each."""
    assert await _cost("greedy", road, ":memory:", readers=5) > 5 * _MIB
