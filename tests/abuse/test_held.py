"""Connections that are held open, many of each kind: all are told of one event, and each costs little."""

from __future__ import annotations

import asyncio
import gc
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.abuse.plain import Line
from tests.nodes.node import Node, nodes
from tests.server.raw import UPGRADE

_HELD: Final = int(os.environ.get("SAYSO_ROUNDS", "500"))
_AT_ONCE: Final = 100
"""Connections that are made at a time."""
_KIB: Final = 1024
_MOST: Final = 64 * _KIB
"""Bytes of the server's memory for a connection."""
_PROMPTS: Final = ("Did everyone hear", "And this")
_PATHS: Final = {
    "websocket": "/ws/human-input/run-1",
    "sse": "/events/human-input/run-1",
    "poll": "/poll/human-input/run-1",
}


class Held:
    """One who follows."""

    def __init__(self, road: str, line: Line) -> None:
        self._road = road
        self._line = line

    async def begin(self, cursor: str = "") -> None:
        """Returns when the server has said that it will tell; on a poll, which says nothing, at once."""
        path = _PATHS[self._road]
        if self._road == "poll":
            self._line.send("GET", f"{path}?wait=55{cursor}")
            return
        self._line.send("GET", path, None, *(UPGRADE if self._road == "websocket" else ()))
        status, _ = await self._line.head()
        assert status == (101 if self._road == "websocket" else 200)

    async def hear(self) -> list[str]:
        """The prompts that it is told, up to the last."""
        if self._road != "poll":
            heard = (await self._line.reader.readuntil(f'"prompt":"{_PROMPTS[-1]}"'.encode())).decode("latin-1")
            return re.findall('"prompt":"([^"]*)"', heard)
        told: list[str] = []
        while _PROMPTS[-1] not in told:
            _, page = await self._line.reply()
            told += [event["prompt"] for event in page["events"]]
            await self.begin(f"&last_event_id={page['cursor']}" if page["cursor"] else "")
        return told

    def close(self) -> None:
        self._line.close()


@contextmanager
def _young() -> Iterator[None]:
    """A crowd of objects that all stay is not gone through again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _crowd(server: Node, road: str, count: int) -> list[Held]:
    """So many who follow."""
    crowd: list[Held] = []
    while len(crowd) < count:
        lines = await asyncio.gather(*(Line.to(server.url) for _ in range(min(_AT_ONCE, count - len(crowd)))))
        come = [Held(road, line) for line in lines]
        await asyncio.gather(*(one.begin() for one in come))
        crowd += come
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
@pytest.mark.parametrize("road", _PATHS)
async def test_all_that_are_held_open_are_told_and_each_costs_little(road: str, tmp_path: Path) -> None:
    with _young():
        async with asyncio.timeout(60 + _HELD), nodes(f"sqlite:///{tmp_path / 'log.db'}", tmp_path, "") as (server,):
            first = await _crowd(server, road, 20)  # what is made once, and stays
            before = await _memory(server)
            crowd = await _crowd(server, road, _HELD)
            cost = (await _memory(server) - before) / _HELD
            told = await _told(server, first + crowd)
            for one in first + crowd:
                one.close()
    print(f"{road}: {_HELD:,} and 20 held, {told:,} told of both, once each, in order; {cost / _KIB:.1f} KiB each")

    assert told == _HELD + 20
    assert cost < _MOST
