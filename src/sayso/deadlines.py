"""Keeps deadlines: settles what nobody answered in time. What is due is read from the store: a restart forgets none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sayso.clock import Clock
from sayso.model import Request

logger = logging.getLogger(__name__)

_HORIZON: Final = timedelta(seconds=60)
"""How far ahead the store is asked; also the longest the keeper sleeps."""
_AGAIN: Final = 1.0
"""Seconds until the next look after a failure, while another process keeps them, or when more is due soon than one page
holds."""


_GATHER: Final = 0.1
"""Seconds in which whatever other processes ask makes for one look."""


class Deadlines:
    """Expires each request at its deadline, by the steady clock, while `is_ours` says that this process does so.

    `due`: some of the requests whose deadline lies before a moment, and whether there are more.
    """

    def __init__(
        self,
        clock: Clock,
        due: Callable[[datetime], Awaitable[tuple[Sequence[Request], bool]]],
        expire: Callable[[Request], Awaitable[object]],
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._due = due
        self._expire = expire
        self._is_ours = is_ours
        self._added = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None

    def added(self) -> None:
        """A request with a deadline is there; it may be the next one due."""
        self._added.set()

    def maybe_added(self) -> None:
        """Another process may have asked something with a deadline."""
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._added.set()

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:
            self._added.clear()
            try:
                wait = await self._settle_due() if self._is_ours() else _AGAIN
            except Exception:  # of one request, or of the store: the others' deadlines must be kept all the same
                logger.exception("a deadline was not kept; trying again")
                wait = _AGAIN
            try:
                async with asyncio.timeout(wait):
                    await self._added.wait()
            except TimeoutError:
                continue

    async def _settle_due(self) -> float:
        """Expires what is due and says how many seconds until the next may be."""
        is_late = True
        while is_late:
            late, _ = await self._due(self._clock.steady() + timedelta.resolution)  # at its deadline, not after it
            await asyncio.gather(*(self._expire(request) for request in late))
            is_late = bool(late)
        now = self._clock.steady()
        soon, are_more = await self._due(now + _HORIZON)
        if are_more:
            return _AGAIN
        nearest = min((one.deadline for one in soon if one.deadline), default=now + _HORIZON)
        return max(0.0, (nearest - now).total_seconds())
