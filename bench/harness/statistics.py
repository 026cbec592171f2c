"""What a row of figures comes to: medians, ranges, ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some figures, the least and the most of them."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Raises ValueError when there are none."""
        if not figures:
            raise ValueError("no figures")
        return cls(statistics.median(figures), min(figures), max(figures), len(figures))


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """How many times theirs ours is, in the rounds that both have; None where there is none.

    Only figures of the same round are compared: what the machine does besides changes from minute to minute.
    """
    both = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys() if theirs[number]]
    return Spread.of(both) if both else None
