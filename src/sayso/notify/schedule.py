"""When a delivery that failed is tried again. Pure: the dice are an argument."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_PAUSES: Final = (
    *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR),
    *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds after the first failure, the second, … (Standard Webhooks, "Retry schedule"). The last one goes on until the
execution is removed: what is owed is not given up before what it speaks of."""
_JITTER: Final = 0.2
"""Of each pause, so that what failed together is not tried together."""


def pause(failures: int, dice: float, retry_after: float | None = None) -> timedelta:
    """How long to wait after so many failures in a row, 1 or more; `dice` from 0 to 1.

    `retry_after`: seconds that the receiver asked for; it is not tried before that, or before a day is over.
    """
    planned = _PAUSES[min(failures, len(_PAUSES)) - 1]
    asked = min(retry_after or 0.0, _PAUSES[-1])
    return timedelta(seconds=max(planned, asked) * (1 + _JITTER * dice))
