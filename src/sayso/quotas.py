"""How much each asker has open, so that an agent that runs wild does not bury the people who answer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from sayso import limits
from sayso.errors import StoreFailed, TooMany
from sayso.model import Request

logger = logging.getLogger(__name__)

_AGAIN: Final = 60.0
"""Seconds until the store is asked again: other processes ask and settle, too. Until then it is counted here."""


class Quotas:
    """`count`: how many requests are pending, by who asked and in which execution. Not exact to the last one: what is
    asked while the store counts is missed until the next time.
    """

    def __init__(self, count: Callable[[], Awaitable[Mapping[tuple[str, str], int]]]) -> None:
        self._count = count
        self._open: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def check(self, by: str, execution_id: str) -> None:
        """Raises TooMany where `by` may not ask anything more in this execution at present."""
        mine = self._open.get(by)
        if mine is None:
            return
        if mine.total() >= limits.OPEN_REQUESTS:
            raise TooMany(f"one key may have {limits.OPEN_REQUESTS} questions open; some must be answered first")
        if execution_id not in mine and len(mine) >= limits.OPEN_EXECUTIONS:
            raise TooMany(f"one key may have questions open in {limits.OPEN_EXECUTIONS} executions")

    def asked(self, request: Request) -> None:
        self._open[request.asked_by][request.execution_id] += 1

    def settled(self, request: Request) -> None:
        mine = self._open[request.asked_by]
        mine[request.execution_id] -= 1
        if mine[request.execution_id] <= 0:
            del mine[request.execution_id]

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                await self.recount()
            except StoreFailed:
                logger.exception("what is open was not counted; trying again")
            await asyncio.sleep(_AGAIN)

    async def recount(self) -> None:
        """Raises StoreFailed."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for (by, execution_id), number in (await self._count()).items():
            found[by][execution_id] = number
        self._open = found
