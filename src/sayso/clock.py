"""Time and fresh ids: what the pure core takes as arguments."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from uuid_utils import uuid7

_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


class Clock:
    """Reads the machine's clocks. A test passes its own."""

    def __init__(self) -> None:
        self._started = (datetime.now(UTC), self.monotonic())

    def now(self) -> datetime:
        """The wall clock, UTC: for timestamps."""
        return datetime.now(UTC)

    def steady(self) -> datetime:
        """The wall clock of the start, moved on by the monotonic one: for deadlines; setting a clock moves none."""
        wall, monotonic = self._started
        return wall + timedelta(seconds=self.monotonic() - monotonic)

    def monotonic(self) -> float:
        """Seconds that only grow, also while the machine sleeps where the system counts those (Linux)."""
        return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)

    def new_id(self) -> str:
        """A UUIDv7 (RFC 9562): unique, and roughly in order of time."""
        return str(uuid7())
