"""Connections that are held open, many of each kind: all are told of one event, and each costs little."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.abuse.plain import Line
from tests.nodes.node import RIGHT, Node, nodes

_HELD: Final = int(os.environ.get("SAYSO_ROUNDS", "500"))
_AT_ONCE: Final = 100
"""Connections that are made at a time."""
_KIB: Final = 1024
_MOST: Final = 64 * _KIB
"""Bytes of the server's memory for a connection."""
_PROMPTS: Final = ("Did everyone hear", "And this")


class Streamed:
    """One who follows by SSE."""

    def __init__(self, stack: ExitStack, line: Line) -> None:
        stack.callback(line.close)
        self._line = line

    @classmethod
    async def come(cls, url: str, stack: ExitStack) -> Self:
        """Returns when the server has said that it will tell."""
        held = cls(stack, await Line.to(url))
        held._line.send("GET", "/events/human-input/run-1")
        status, _ = await held._line.head()
        assert status == 200
        return held

    async def hear(self) -> list[str]:
        """The prompts that it is told, up to the last."""
        heard = (await self._line.reader.readuntil(f'"prompt":"{_PROMPTS[-1]}"'.encode())).decode("latin-1")
        return re.findall('"prompt":"([^"]*)"', heard)


class Polling(Streamed):
    """One whose poll is held, one after the other."""

    @classmethod
    async def come(cls, url: str, stack: ExitStack) -> Self:
        """Returns when it has asked: a poll that is held says nothing."""
        held = cls(stack, await Line.to(url))
        held._ask()
        return held

    async def hear(self) -> list[str]:
        told: list[str] = []
        while _PROMPTS[-1] not in told:
            _, page = await self._line.reply()
            told += [event["prompt"] for event in page["events"]]
            self._ask(f"&last_event_id={page['cursor']}" if page["cursor"] else "")
        return told

    def _ask(self, cursor: str = "") -> None:
        self._line.send("GET", f"/poll/human-input/run-1?wait=55{cursor}")


class Talking:
    """One who follows by WebSocket, and says that it is still there when it is asked."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def come(cls, url: str, stack: ExitStack) -> Self:
        address = f"{url.replace('http', 'ws', 1)}/ws/human-input/run-1"
        socket = await connect(
            address, additional_headers=RIGHT, compression=None, ping_interval=None, open_timeout=60, proxy=None
        )
        stack.callback(socket.transport.abort)
        return cls(socket)

    async def hear(self) -> list[str]:
        told: list[str] = []
        while _PROMPTS[-1] not in told:
            told.append(json.loads(await self._socket.recv())["prompt"])
        return told


Held = Streamed | Polling | Talking
_ROADS: Final[dict[str, type[Held]]] = {"websocket": Talking, "sse": Streamed, "poll": Polling}


@contextmanager
def _young() -> Iterator[None]:
    """A crowd of objects that all stay is not gone through again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _crowd(stack: ExitStack, server: Node, road: str, count: int) -> list[Held]:
    """So many who follow, until the stack is left."""
    crowd: list[Held] = []
    while len(crowd) < count:
        now = range(min(_AT_ONCE, count - len(crowd)))
        crowd += await asyncio.gather(*(_ROADS[road].come(server.url, stack) for _ in now))
    return crowd


async def _told(server: Node, crowd: Sequence[Held]) -> int:
    """How many were told of two questions, each once, in their order."""
    asker = await Line.to(server.url)
    for prompt in _PROMPTS:
        status, _ = await asker.call("POST", "/requests", {"execution_id": "run-1", "prompt": prompt})
        assert status == 201
    asker.close()
    heard = await asyncio.gather(*(one.hear() for one in crowd))
    return heard.count(list(_PROMPTS))


async def _memory(server: Node) -> int:
    """Bytes, once the server has done what it was asked before: it holds this call for a second."""
    line = await Line.to(server.url)
    await line.call("GET", "/poll/human-input/nowhere?wait=1")
    line.close()
    return int(psutil.Process(server.process).memory_info().rss)


@pytest.mark.promise("STREAM-1", "CAP-2")
@pytest.mark.parametrize("road", _ROADS)
async def test_all_that_are_held_open_are_told_and_each_costs_little(road: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'log.db'}"
    async with asyncio.timeout(60 + _HELD / 10), nodes(store, tmp_path, "") as (server,):
        with _young(), ExitStack() as stack:
            first = await _crowd(stack, server, road, 20)  # what is made once, and stays
            before = await _memory(server)
            crowd = await _crowd(stack, server, road, _HELD)
            cost = (await _memory(server) - before) / _HELD
            told = await _told(server, first + crowd)
    print(f"{road}: {_HELD:,} and 20 held, {told:,} told of both, once each, in order; {cost / _KIB:.1f} KiB each")

    assert told == _HELD + 20
    assert cost < _MOST
