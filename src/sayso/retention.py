"""Removes what was settled long ago, in steps so small that whoever asks or answers meanwhile does not notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from sayso.clock import Clock

logger = logging.getLogger(__name__)

_STEP: Final = 50
"""Events removed at once: some milliseconds of the one thread that writes."""
_PAUSE: Final = 0.05
"""Seconds between two steps, in which that thread is everyone else's: nearly a thousand events go in a second, which is
more than ever come in for a month on end."""
_LOOK: Final = 600.0
"""Seconds until the next look when nothing more is old enough, or after a failure."""
_TURN: Final = 10.0
"""Seconds until it is looked whether the process that does it is still there."""


class Retention:
    """Keeps executions for `keep` after the last settlement in them. A request that is pending keeps its execution."""

    def __init__(
        self,
        clock: Clock,
        keep: timedelta,
        prune: Callable[[datetime, int], Awaitable[int]],
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._prune = prune
        self._is_ours = is_ours

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:  # noqa: ASYNC110 - what it waits for is time
            await asyncio.sleep(await self.step())

    async def step(self) -> float:
        """Removes a little, unless another process does so, and says in how many seconds to go on."""
        if not self._is_ours():
            return _TURN
        # Whichever clock is behind: one that somebody sets to next year must not make everything old.
        now = min(self._clock.now(), self._clock.steady())
        try:
            removed = await self._prune(now - self._keep, _STEP)
        except Exception:  # the store's; it may come back
            logger.exception("nothing could be removed; trying again later")
            return _LOOK
        return _PAUSE if removed == _STEP else _LOOK
