"""Whether this node can take questions now: its store takes a write, and it does not end soon. Knows no transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sayso.clock import Clock
from sayso.errors import StoreFailed, Unready

logger = logging.getLogger(__name__)

_FRESH: Final = 1.0
"""Seconds for which a finding counts: anyone may ask, and a write each time would be a load that strangers set."""
_PATIENCE: Final = 2.0
"""Seconds that the write may take; whoever asks sends people elsewhere, and waits little longer than this itself."""


class Readiness:
    """`write` is a durable write that changes nothing; it raises StoreFailed."""

    def __init__(self, clock: Clock, write: Callable[[], Awaitable[object]]) -> None:
        self._clock = clock
        self._write = write
        self._looking = asyncio.Lock()
        self._looked_at = -_FRESH
        self._store_failed = False
        self.is_draining = False
        """Whether the node ends soon. It takes whatever comes until then."""

    async def check(self) -> None:
        """Raises Unready, which says what is not."""
        if self.is_draining:
            raise Unready("draining", "This node ends soon; another one takes questions.")
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= _FRESH:
                await self._look()
        if self._store_failed:
            raise Unready("store", "The store takes no writes at the moment; this node's log says why.")

    async def _look(self) -> None:
        failed_before = self._store_failed
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._write()
            self._store_failed = False
        except (StoreFailed, TimeoutError) as exc:
            self._store_failed = True
            if not failed_before:
                logger.warning("not ready: %s", exc if isinstance(exc, StoreFailed) else "the store does not answer")
        else:
            if failed_before:
                logger.warning("ready again")
        self._looked_at = self._clock.monotonic()
