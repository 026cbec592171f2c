"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sayso.clock import Clock
from tests.builders import NOW


class SetClock(Clock):
    """Begins at NOW. `advance` is time that passes; `set_wall` is somebody who sets the machine's clock."""

    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__()
        self._wall = NOW
        self._started = (NOW, 0.0)

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
        self._wall += timedelta(seconds=seconds)

    def set_wall(self, days: int) -> None:
        self._wall += timedelta(days=days)
