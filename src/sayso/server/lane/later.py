"""Timers for many who mostly do not need theirs: one of the loop's for all that are due at about the same time."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

GRAIN: Final = 0.25
"""Seconds by which one may be early."""
_LONG: Final = 5.0
"""Seconds. Shorter waits are kept exactly."""


class Waiting(Protocol):
    """Whoever waits; hashed by what it is."""

    def time_out(self) -> None:
        """Its time is over."""


class Later:
    """Lives on one loop. Whoever waits does so once at a time, and keeps what `after` gave for `off`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Waiting, None]] = {}

    def after(self, seconds: float, who: Waiting) -> asyncio.TimerHandle | int:
        """Has `time_out` of `who` called after so many seconds, or up to GRAIN before that."""
        if seconds < _LONG:
            return self._loop.call_later(seconds, who.time_out)
        slot = int((self._loop.time() + seconds) / GRAIN)
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = {}
            self._loop.call_at(slot * GRAIN, self._ring, slot)
        waiting[who] = None
        return slot

    def off(self, timer: asyncio.TimerHandle | int, who: Waiting) -> None:
        """It waits no more. Idempotent."""
        if not isinstance(timer, int):
            timer.cancel()
        elif (waiting := self._slots.get(timer)) is not None:
            waiting.pop(who, None)

    def _ring(self, slot: int) -> None:
        waiting = self._slots[slot]
        while waiting:  # one may call another off
            who, _ = waiting.popitem()
            who.time_out()
        del self._slots[slot]
