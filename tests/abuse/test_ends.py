"""A crowd leaves nothing: followers of executions that nobody knows make no state, and a stop ends every stream."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import websockets
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, hub
from tests.abuse.conftest import Watched
from tests.builders import new_id
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program
from tests.server.followers import tasks_of, until_only
from tests.server.raw import AUTHORISED, UPGRADE

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_ROUNDS = int(os.environ.get("SAYSO_ROUNDS", "10"))
_UNKNOWN = 100 * _ROUNDS
_STREAMS = 500
"""Of each half are SSE, half WebSockets."""


async def _follow(server: HumanInputServer, count: int) -> None:
    """Follows so many executions that nobody knows, on every road."""
    address = server.url.replace("http", "ws", 1)
    async with httpx.AsyncClient(base_url=server.url, headers=_RIGHT, timeout=30) as api:

        async def some(number: int) -> None:
            for _ in range(number):
                path = f"human-input/{new_id()}"
                assert (await api.get(f"/poll/{path}")).status_code == 200
                assert (await api.get(f"/poll/{path}", params={"wait": "0.01"})).status_code == 200
                assert (await api.get("/requests", params={"execution_id": new_id()})).status_code == 200
                async with api.stream("GET", f"/events/{path}") as stream:
                    assert stream.status_code == 200
            async with websockets.connect(f"{address}/ws/{path}", additional_headers=_RIGHT):
                pass

        await asyncio.gather(*(some(count // 20) for _ in range(20)))


async def _state_left(server: HumanInputServer, count: int) -> int:
    """Objects that are there because so many unknown executions were followed."""
    before = await tasks_of(server)
    await _follow(server, 20)
    await until_only(server, before)
    gc.collect()
    held = len(gc.get_objects())
    await _follow(server, count)
    await until_only(server, before)
    gc.collect()
    return len(gc.get_objects()) - held


@pytest.mark.promise("CAP-9")
async def test_following_executions_that_nobody_knows_leaves_nothing(server: HumanInputServer) -> None:
    left = min([await _state_left(server, _UNKNOWN) for _ in range(2)])  # what else runs makes objects, too
    print(f"{_UNKNOWN} unknown executions on five roads: {left} objects left")
    assert left < _UNKNOWN // 2


async def test_a_hub_that_remembers_them_is_found_out(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(hub, "ref", lambda topic, gone: lambda: topic)
    assert await _state_left(serve(), _UNKNOWN) >= _UNKNOWN


@pytest.mark.promise("STREAM-9", "CAP-10")
async def test_sigterm_ends_five_hundred_streams_cleanly(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    limits = httpx.Limits(max_connections=_STREAMS + 10)
    ends: list[Any] = []
    async with (
        program(SAYSO, "serve", "--port", "0", "--store", store, "--json", SAYSO_API_KEY=KEY) as server,
        httpx.AsyncClient(headers=_RIGHT, timeout=60, limits=limits) as api,
    ):
        url = json.loads(await server.line("url"))["url"]
        asked = await api.post(f"{url}/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
        assert asked.status_code == 201
        told = asyncio.Semaphore(0)

        async def sse() -> None:
            async with api.stream("GET", f"{url}/events/human-input/run-1") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data:"):
                        told.release()
            ends.append("end of the body")  # httpx raises where it is cut off

        async def socket() -> None:
            address = url.replace("http", "ws", 1)
            async with websockets.connect(f"{address}/ws/human-input/run-1", additional_headers=_RIGHT) as socket:
                try:
                    while True:
                        await socket.recv()
                        told.release()
                except ConnectionClosed as closed:
                    ends.append(closed.rcvd.code if closed.rcvd else "no close frame")

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for _ in range(_STREAMS // 2):
                tasks.create_task(sse())
                tasks.create_task(socket())
            for _ in range(_STREAMS):
                await told.acquire()
            server.send(signal.SIGTERM)
            begun = time.monotonic()
            assert await server.end() == 0, server.output
            print(f"{_STREAMS} streams: {time.monotonic() - begun:.1f} s from SIGTERM to the end of the process")
    assert sorted(map(str, ends)) == ["1012"] * (_STREAMS // 2) + ["end of the body"] * (_STREAMS // 2)


@pytest.mark.promise("CAP-2")
async def test_a_server_under_attack_serves_those_who_behave(guarded: Callable[..., Watched]) -> None:
    """Half calls by the hundred, and a call of somebody's between them is answered."""
    server = guarded()
    peers = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
    for _, writer in peers:
        writer.write(b"GET /health HTTP/1.1\r\nX-Slow: ")
    await server.until(300)
    async with httpx.AsyncClient(base_url=server.url, headers=_RIGHT) as api:
        assert (await api.post("/requests", json={"execution_id": "a", "prompt": "b"})).status_code == 201
    for _, writer in peers:
        writer.close()
    await server.until(0)


@pytest.mark.promise("CAP-10")
@pytest.mark.parametrize("over", ["plain", "tls"])
async def test_no_connection_outlives_the_server_whenever_it_came(
    serve: Callable[..., HumanInputServer], tmp_path: Path, over: str
) -> None:
    """Also one that came as the server stopped, one amid a handshake, and one that takes nothing."""
    certificate = tmp_path / "both.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    for _ in range(_ROUNDS // 2):
        server = serve(**({"tls_certificate": certificate} if over == "tls" else {}))
        port = int(server.url.rpartition(":")[2])
        opened: list[socket.socket] = []
        stopped = threading.Event()

        def keep_coming(
            port: int = port, opened: list[socket.socket] = opened, over: threading.Event = stopped
        ) -> None:
            while not over.is_set():
                try:
                    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
                except OSError:
                    return
                opened.append(peer)
                with suppress(OSError):
                    peer.sendall((b"", b"GET /hea", b"\x16\x03\x01")[len(opened) % 3])

        coming = [asyncio.create_task(asyncio.to_thread(keep_coming)) for _ in range(2)]
        while len(opened) < 50:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.stop)
        stopped.set()
        await asyncio.wait(coming)
        for peer in opened:
            await asyncio.to_thread(_ended, peer)


def _ended(peer: socket.socket) -> None:
    """Returns when the other side has closed; raises TimeoutError where it has not."""
    with peer:
        try:
            while peer.recv(65_536):
                pass
        except ConnectionError:
            pass


@pytest.mark.promise("CAP-10")
@pytest.mark.parametrize("name", ["Protocol", "Extensions", "Version", "Key"])
async def test_a_websocket_with_a_header_that_is_no_ascii_keeps_no_server_from_stopping(name: str) -> None:
    """It was counted as open for ever, and was told nothing; whether it opens is for each reader of it to say."""
    async with program(SAYSO, "serve", "--port", "0", "--store", ":memory:", "--json", SAYSO_API_KEY=KEY) as server:
        port = int(json.loads(await server.line("url"))["url"].rpartition(":")[2])
        kept = [one for one in UPGRADE if one[0] != f"Sec-WebSocket-{name}"]
        headers = [("Host", "localhost"), AUTHORISED, *kept, (f"Sec-WebSocket-{name}", "\xe9")]
        head = ["GET /ws/human-input HTTP/1.1", *(": ".join(one) for one in headers), "", ""]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join(head).encode("latin-1"))
        async with asyncio.timeout(20):
            assert (await reader.readuntil(b"\r\n\r\n"))[9:12] in {b"101", b"400"}
            server.send(signal.SIGTERM)
            assert await server.end() == 0, server.output
        writer.close()
