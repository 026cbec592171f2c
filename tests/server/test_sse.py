"""What is particular to Server-Sent Events: the bytes, held against the WHATWG's rules by a small parser of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer, limits
from tests.conftest import KEY
from tests.server.followers import tasks_of, until_only

pytestmark = pytest.mark.usefixtures("lane")

Ask = Callable[..., dict[str, Any]]


class _Stream:
    """A response, read block by block; a block is what stands before an empty line, or a comment, which has none."""

    def __init__(self, response: httpx.Response) -> None:
        self.headers = response.headers
        self.status = response.status_code
        self._chunks = response.aiter_bytes()
        self._rest = b""

    async def block(self) -> bytes:
        """The next block; StopAsyncIteration when the response has ended."""
        async with asyncio.timeout(10):
            while self._end not in self._rest:
                self._rest += await anext(self._chunks)
        block, _, self._rest = self._rest.partition(self._end)
        return block

    @property
    def _end(self) -> bytes:
        return b"\n" if self._rest.startswith(b":") else b"\n\n"

    async def event(self) -> tuple[str | None, dict[str, Any]]:
        """The next block that is no comment, as its id and its data."""
        while (block := await self.block()).startswith(b":"):
            assert block.count(b"\n") == 0
        fields = [line.partition(b": ")[::2] for line in block.split(b"\n")]
        assert [name for name, _ in fields] in ([b"id", b"data"], [b"data"])
        id = fields[0][1].decode() if len(fields) == 2 else None
        return id, json.loads(fields[-1][1])


@asynccontextmanager
async def _stream(server: HumanInputServer, path: str = "/run-1", **headers: str) -> AsyncIterator[_Stream]:
    sent = {"Authorization": f"Bearer {KEY}"} | headers
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{server.url}/events/human-input{path}", headers=sent) as response,
    ):
        yield _Stream(response)


async def test_the_response_is_one_that_nobody_keeps_or_holds_back(server: HumanInputServer) -> None:
    async with _stream(server) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.headers
        assert await stream.block() == b": heartbeat"


@pytest.mark.promise("STREAM-6")
async def test_an_event_is_its_id_and_one_line_of_data_without_a_name(
    server: HumanInputServer, ask: Ask, api: httpx.AsyncClient
) -> None:
    asked = ask(prompt="two\nlines\r\nand \u2028 more \x85", context="\n\n: no comment\n\ndata: no data\n\n")
    async with _stream(server) as stream:
        await stream.block()
        block = await stream.block()
        id, data = block.split(b"\n")
        assert id == b"id: " + asked["asked_event_id"].encode()
        assert data.startswith(b'data: {"type":"human_input_required",')
        (told,) = (await api.get("/poll/human-input/run-1")).json()["events"]
        assert json.loads(data.removeprefix(b"data: ")) == told
        assert told["prompt"] == asked["prompt"]
        assert b"\r" not in block


@pytest.mark.promise("STREAM-3", "STREAM-6")
async def test_a_reset_is_an_event_like_any_other(server: HumanInputServer, ask: Ask) -> None:
    async with _stream(server, "/run-1?last_event_id=unknown") as stream:
        id, reset = await stream.event()
        assert reset == {"type": "reset", "reason": "unknown-cursor", "event_id": id, "requests": [], "more": False}
    asked = ask()
    async with _stream(server, "/run-1?last_event_id=unknown") as stream:
        assert await stream.event() == (
            asked["asked_event_id"],
            {
                "type": "reset",
                "reason": "unknown-cursor",
                "event_id": asked["asked_event_id"],
                "requests": [asked],
                "more": False,
            },
        )


@pytest.mark.promise("STREAM-3")
async def test_a_reset_tells_a_hundred_open_requests_and_that_there_are_more(
    server: HumanInputServer, ask: Ask
) -> None:
    for _ in range(101):
        ask()
    async with _stream(server, "/run-1?last_event_id=unknown") as stream:
        _, reset = await stream.event()
    assert (len(reset["requests"]), reset["more"]) == (100, True)


@pytest.mark.promise("STREAM-2")
async def test_the_header_wins_over_the_query(server: HumanInputServer, ask: Ask) -> None:
    first, second, third = ask(), ask(), ask()
    path = f"/run-1?last_event_id={first['asked_event_id']}"
    async with _stream(server, path) as stream:
        assert (await stream.event())[0] == second["asked_event_id"]
    async with _stream(server, path, **{"Last-Event-ID": second["asked_event_id"]}) as stream:
        assert (await stream.event())[0] == third["asked_event_id"]


@pytest.mark.promise("STREAM-6")
async def test_a_quiet_stream_carries_a_comment_at_least_every_four_seconds(server: HumanInputServer) -> None:
    """The seed's client, httpx as it comes, gives up after five seconds of silence."""
    assert limits.HEARTBEAT <= 4.0
    async with _stream(server) as stream:
        heard = [time.monotonic()]
        for _ in range(2):
            assert (await stream.block()).startswith(b":")
            heard.append(time.monotonic())
    assert max(later - earlier for earlier, later in pairwise(heard)) < 4.9


@pytest.mark.promise("STREAM-6")
async def test_heartbeats_go_on_between_and_after_events(
    server: HumanInputServer, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT", 0.02)
    async with _stream(server) as stream:
        for _ in range(3):
            await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
            assert (await stream.event())[1]["type"] == "human_input_required"
            for _ in range(5):
                assert await stream.block() == b": heartbeat"


@pytest.mark.promise("STREAM-9")
async def test_a_stream_ends_cleanly_when_the_server_stops(server: HumanInputServer, ask: Ask) -> None:
    ask()
    async with _stream(server) as one, _stream(server, "") as other:
        for stream in (one, other):
            await stream.event()
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        for stream in (one, other):
            with pytest.raises(StopAsyncIteration):  # a connection that is cut is an httpx.RemoteProtocolError
                while True:
                    await stream.block()
        async with asyncio.timeout(10):
            await stopping


async def test_a_client_that_leaves_leaves_nothing_behind(server: HumanInputServer, ask: Ask) -> None:
    ask()
    before = await tasks_of(server)
    for _ in range(5):
        async with _stream(server) as one, _stream(server, "") as other:
            for stream in (one, other):
                await stream.event()
            assert await tasks_of(server) > before
    await until_only(server, before)


async def test_a_client_that_takes_nothing_is_cut_and_the_stop_does_not_wait_for_it(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, lost: threading.Semaphore
) -> None:
    monkeypatch.setattr(limits, "SEND", 0.2)
    monkeypatch.setattr(limits, "HEARTBEAT", 0.1)
    server = serve()
    before = await tasks_of(server)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as api:
        for _ in range(60):
            question = {"execution_id": "run-1", "prompt": "Ship it?", "context": "x" * limits.CONTEXT}
            assert (await api.post("/requests", json=question)).status_code == 201
        async with api.stream("GET", "/events/human-input/run-1"):
            await until_only(server, before)
            assert await asyncio.to_thread(lost.acquire, timeout=10)
            async with asyncio.timeout(10):
                await asyncio.to_thread(server.stop)
