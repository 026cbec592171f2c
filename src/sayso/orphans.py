"""Gives up what a process that has ended left pending: nobody could take the answer. However much that is, the server
starts at once, and the rest is given up in steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sayso.errors import StoreFailed
from sayso.model import Request

logger = logging.getLogger(__name__)

_FIRST: Final = 500
"""Orphans given up before anyone is served: so many delay a start by a fraction of a second."""
_STEP: Final = 50
"""Those given up at once afterwards, so that whoever asks meanwhile hardly waits longer."""
_AGAIN: Final = 1.0
"""Seconds until what the store failed to do is tried again."""
_LOOK: Final = 10.0
"""Seconds between two looks for what other processes left."""


class Orphans:
    """`pending(after, limit)`: some of the orphans, from a place in their list on, and the place where the next ones
    begin (None: there are no more). What was asked after the store was opened is none of them.
    """

    def __init__(
        self,
        pending: Callable[[int, int], Awaitable[tuple[Sequence[Request], int | None]]],
        abandon: Callable[[str], Awaitable[object]],
    ) -> None:
        self._pending = pending
        self._abandon = abandon
        self._others: int | None = 0

    @property
    def are_left(self) -> bool:
        return self._others is not None

    async def give_up_first(self) -> None:
        """Gives up the first of them, which are mostly all. Raises StoreFailed."""
        await self._give_up(_FIRST)

    async def give_up_others(self) -> None:
        """Returns when none is left; a failure of the store only delays it."""
        while self.are_left:
            try:
                await self._give_up(_STEP)
            except StoreFailed:
                logger.exception("orphans not given up; trying again")
                await asyncio.sleep(_AGAIN)

    async def _give_up(self, count: int) -> None:
        requests, others = await self._pending(self._others or 0, count)
        await asyncio.gather(*(self._abandon(request.request_id) for request in requests))
        self._others = others


class OthersOrphans:
    """Gives up what other processes on the same store leave when they end: `gone(limit)` are some of those requests."""

    def __init__(
        self,
        gone: Callable[[int], Awaitable[Sequence[Request]]],
        abandon: Callable[[str], Awaitable[object]],
        is_ours: Callable[[], bool],
    ) -> None:
        self._gone = gone
        self._abandon = abandon
        self._is_ours = is_ours

    async def keep(self) -> None:
        """Runs until cancelled."""
        while True:  # noqa: ASYNC110 - what it waits for is time
            await asyncio.sleep(await self.step())

    async def step(self) -> float:
        """Gives up some, unless another process does so, and says in how many seconds to go on."""
        if not self._is_ours():
            return _LOOK
        try:
            requests = await self._gone(_STEP)
            await asyncio.gather(*(self._abandon(request.request_id) for request in requests))
        except StoreFailed:
            logger.exception("orphans of other processes not given up; trying again")
            return _LOOK
        return 0.0 if len(requests) == _STEP else _LOOK
