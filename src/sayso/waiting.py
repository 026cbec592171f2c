"""How much waits for people, and for how long: asked of the store, seldom, however often it is asked here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from sayso.clock import Clock
from sayso.errors import StoreFailed
from sayso.meters import Metric

logger = logging.getLogger(__name__)

MOST: Final = 100_000
"""Open questions that are counted; with more, the number stands still. Counting so many takes milliseconds."""
_FRESH: Final = 5.0
"""Seconds for which a look at the store counts."""
_PATIENCE: Final = 2.0
"""Seconds for which whoever asks waits for a look; a store that is slow just now must not be asked twice."""


class Open(NamedTuple):
    """How many questions are open, at most MOST, and since when the oldest is."""

    number: int
    oldest: datetime | None


class Waiting:
    """`look` asks the store; it raises StoreFailed."""

    def __init__(self, clock: Clock, look: Callable[[], Awaitable[Open]]) -> None:
        self._clock = clock
        self._look = look
        self._wanted = asyncio.Event()
        self._looked = asyncio.Event()
        self._looked_at = -_FRESH
        self._open: Open | None = None

    async def keep(self) -> None:
        """Looks when somebody wants to know. Runs until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                self._open = await self._look()
            except StoreFailed:
                self._open = None
                logger.exception("what waits was not counted")
            self._looked_at = self._clock.monotonic()
            self._wanted.clear()
            self._looked.set()

    async def read(self) -> list[Metric]:
        """What is open as of a few seconds ago; nothing where the store does not say."""
        if self._clock.monotonic() - self._looked_at >= _FRESH:
            if not self._wanted.is_set():
                self._looked.clear()
                self._wanted.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._looked.wait()
        if self._open is None or self._wanted.is_set():
            return []
        number, oldest = self._open
        age = 0.0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())
        return [
            _gauge("sayso_questions_open", f"Questions that wait in the store, at most {MOST}.", number),
            _gauge("sayso_oldest_question_seconds", "For how long the oldest of them has waited.", age),
        ]


def _gauge(name: str, help: str, value: float) -> Metric:
    return Metric(name=name, help=help, kind="gauge", samples=(((), value),))
