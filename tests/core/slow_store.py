"""Stores that take their time, so that a test can say what happens meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from sayso.model import Request
from sayso.store import Page
from sayso.store.memory import MemoryStore
from sayso.wire import Event


async def quiet(is_done: Callable[[], bool] = lambda: False, *, turns: int = 200) -> None:
    """Lets everything run that can run without the outside world, until it is done or had more turns than it needs."""
    for _ in range(turns):
        if is_done():
            return
        await asyncio.sleep(0)


class HeldStore(MemoryStore):
    """Tells nobody of its changes while `news` is cleared, and gives no read's result while `reads` is."""

    def __init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()
        self.news.set()
        self.reads = asyncio.Event()
        self.reads.set()

    async def changes(self) -> AsyncIterator[frozenset[str] | None]:
        async for executions in super().changes():
            await self.news.wait()
            yield executions

    async def read(self, *stream: Any, **how: Any) -> Sequence[Event]:
        found = await super().read(*stream, **how)
        await self.reads.wait()
        return found


class JitterStore(MemoryStore):
    """Every call lets others go first, for a random while, before and after it looks."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 - a test's history, not a secret

    async def get(self, request_id: str) -> Request | None:
        await self._others()
        found = await super().get(request_id)
        await self._others()
        return found

    async def list(self, *filter: Any, **how: Any) -> Page:
        await self._others()
        found = await super().list(*filter, **how)
        await self._others()
        return found

    async def read(self, *stream: Any, **how: Any) -> Sequence[Event]:
        await self._others()
        found = await super().read(*stream, **how)
        await self._others()
        return found

    async def _others(self) -> None:
        for _ in range(self._random.choice((0, 0, 1, 2, 5, 11))):
            await asyncio.sleep(0)
