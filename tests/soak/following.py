"""Followers who come and go on three roads, and see every event of what they follow, once and in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

import websockets
from websockets.exceptions import ConnectionClosed

from tests.soak.world import END, PATIENCE, Message, World

ROADS: Final = ("websocket", "sse", "poll")
_SILENCE: Final = 75.0
"""Seconds in which a stream says something, if only that it is there, or a held poll ends."""


class Seen:
    """What a follower has seen. `since`: of all executions, those with a lower number had begun before."""

    def __init__(self, since: int = 0) -> None:
        self._since = since
        self.cursor: str | None = None
        self.last: dict[str, int] = {}

    def note(self, event: Message) -> None:
        """Raises AssertionError for a gap or a repeat."""
        assert event["type"] != "reset", event
        execution_id, seq = event["execution_id"], event["seq"]
        last = self.last.get(execution_id, 0)
        if last or self._is_new(execution_id):
            assert seq == last + 1, f"{execution_id}: {seq} came after {last}"
        self.last[execution_id] = seq
        self.cursor = event["event_id"]

    def check(self, executions: dict[str, int]) -> None:
        """Whether everything came of those that have ended."""
        missing = {
            one: (count, self.last.get(one, 0))
            for one, count in executions.items()
            if self._is_new(one) and self.last.get(one, 0) != count
        }
        assert not missing, missing

    def _is_new(self, execution_id: str) -> bool:
        number = execution_id.rpartition("-")[2]
        return number.isdigit() and int(number) > self._since


async def seen_from_now(world: World) -> Seen:
    """What somebody has seen who follows all from now on: the cursor first, or what begins meanwhile had a gap."""
    cursor = await world.cursor()
    seen = Seen(world.begun)
    seen.cursor = cursor
    return seen


async def follow(world: World, road: str, execution_id: str | None, breaks: float | None) -> None:
    """Sees an execution, or all, to their end, and breaks off every `breaks` seconds or so. None: never."""
    seen = Seen() if execution_id else await seen_from_now(world)
    is_over = False
    while not is_over:
        until = None if breaks is None else world.chance.expovariate(1 / breaks)
        with suppress(TimeoutError):  # also of one that comes while the last connection is closed
            async with asyncio.timeout(until), aclosing(events(world, road, execution_id, seen.cursor)) as heard:
                async for event in heard:
                    seen.note(event)
                    world.counts[f"events by {road}"] += 1
                    if is_over := is_last(event, execution_id):
                        break
        if not is_over:
            world.counts["breaks"] += 1
            await world.rest(world.between(0, 3))
    if execution_id is None:
        seen.check(world.executions)


def is_last(event: Message, execution_id: str | None) -> bool:
    if execution_id is None:
        return bool(event["execution_id"] == END)
    return event["type"] == "human_input_completed" and event["human_feedback"] == END


def path_of(road: str, execution_id: str | None) -> str:
    folder = {"websocket": "ws", "sse": "events", "poll": "poll"}[road]
    return f"/{folder}/human-input" + ("" if execution_id is None else f"/{execution_id}")


async def events(
    world: World, road: str, execution_id: str | None, cursor: str | None, *, key: str = "default", query: str = ""
) -> AsyncIterator[Message]:
    """What one connection brings, or, on a poll, one after the other; until it ends."""
    path = path_of(road, execution_id)
    world.counts[f"streams by {road}"] += 1
    heard = {"websocket": _websocket, "sse": _sse, "poll": _poll}[road](world, path, cursor, key, query)
    async with aclosing(heard):
        async for event in heard:
            yield event


async def _websocket(world: World, path: str, cursor: str | None, key: str, query: str) -> AsyncIterator[Message]:
    async with connected(world, path, cursor, key, query) as socket:
        try:
            while True:
                yield json.loads(await socket.recv())
        except ConnectionClosed:
            pass
        finally:
            if world.chance.random() < 0.5:  # who leaves says so, or vanishes
                socket.transport.abort()


def connected(world: World, path: str, cursor: str | None, key: str = "default", query: str = "") -> websockets.connect:
    """A WebSocket that begins after that cursor."""
    query = query or (f"?last_event_id={cursor}" if cursor else "")
    return websockets.connect(
        world.url.replace("http", "ws", 1) + path + query,
        additional_headers={} if "ticket" in query else world.right(key),
        compression=None,
        open_timeout=PATIENCE,
        close_timeout=5,
        max_size=None,
    )


async def _sse(world: World, path: str, cursor: str | None, key: str, query: str) -> AsyncIterator[Message]:
    headers = {} if "ticket" in query else world.right(key)
    if cursor:
        headers["Last-Event-ID"] = cursor
    async with world.api.stream("GET", path + query, headers=headers, timeout=_SILENCE) as response:
        assert response.status_code == 200, response.status_code
        async with aclosing(response.aiter_lines()) as lines:  # type: ignore[type-var]
            async for line in lines:
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


async def _poll(world: World, path: str, cursor: str | None, key: str, query: str) -> AsyncIterator[Message]:
    while True:
        params = {"wait": str(world.chance.randint(0, 20))} | ({"last_event_id": cursor} if cursor else {})
        page = (await world.call("GET", path, 200, params=params, key=key, timeout=_SILENCE)).json()
        assert "reset" not in page, page
        cursor = page["cursor"] or cursor
        for event in page["events"]:
            yield event
        if params["wait"] == "0":
            await world.rest(world.between(0.2, 2))
