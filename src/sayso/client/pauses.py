"""How long to wait between two tries: full jitter, growing, and never less than the server asks for."""

from __future__ import annotations

import random
from typing import Final

_FIRST: Final = 0.2
_LONGEST: Final = 20.0
"""Seconds, at most, before the second try and before late ones."""
_MOST_ASKED: Final = 300.0
"""Seconds that a server's Retry-After may ask for."""


class Pauses:
    """The pauses of one row of failures."""

    def __init__(self) -> None:
        self._longest = _FIRST

    def next(self, retry_after: str | None = None) -> float:
        """Seconds until the next try. `retry_after`: the server's header; one that is a date is passed over."""
        pause = random.uniform(0, self._longest)  # noqa: S311 - spreads load, hides nothing
        self._longest = min(self._longest * 2, _LONGEST)
        try:
            asked = float(retry_after or 0)
        except ValueError:
            asked = 0.0
        return max(pause, min(asked, _MOST_ASKED)) if asked > 0 else pause
