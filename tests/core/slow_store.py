"""Stores that take their time, so that a test can say what happens meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from sayso.model import Request
from sayso.store import Hear, Hint, Page
from sayso.store.memory import MemoryStore
from sayso.wire import Event


async def quiet(is_done: Callable[[], bool] = lambda: False, *, turns: int = 200) -> None:
    """Lets everything run that can run without the outside world, until it is done or had more turns than it needs."""
    for _ in range(turns):
        if is_done():
            return
        await asyncio.sleep(0)


class HeldStore(MemoryStore):
    """Tells nobody of its changes while `news` is cleared, and keeps what a read found until a test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()
        self.news.set()
        self._untold: asyncio.Queue[Hint | None] = asyncio.Queue()
        self.is_forgetful = False
        """Its hints are names alone, as of a store that others write to."""
        self._holding: list[asyncio.Event] = []

    def hold_next_read(self) -> asyncio.Event:
        """The next read looks at once, and gives what it found when this event is set."""
        self._holding.append(asyncio.Event())
        return self._holding[-1]

    def listen(self, hear: Hear) -> None:
        async def tell() -> None:
            while True:
                hint = await self._untold.get()
                await self.news.wait()
                hear(dict.fromkeys(hint) if hint and self.is_forgetful else hint)

        self._telling = asyncio.get_running_loop().create_task(tell())
        super().listen(self._untold.put_nowait)

    async def close(self) -> None:
        self._telling.cancel()
        await super().close()

    async def read(self, *stream: Any, **how: Any) -> Sequence[Event]:
        found = await super().read(*stream, **how)
        if self._holding:
            await self._holding.pop(0).wait()
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
