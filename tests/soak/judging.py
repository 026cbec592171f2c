"""Whether a server came to rest and its memory stayed flat: judged from what was looked at. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final

Look = dict[str, Any]
Series = Sequence[tuple[float, float]]
"""Seconds, and a value."""

MIB: Final = 1024 * 1024
GROWTH: Final = 2 * MIB
"""Bytes by which memory may seem to grow over the last two thirds, by the slope: as allocators and caches do anyhow."""
MEMORY: Final = ("rss", "uss", "malloc")
HELD: Final = ("tasks", "connections", "descriptors", "threads")
"""What there must be no more of at the end than at the beginning."""


def slope(series: Series) -> float:
    """Of the line through most of it, per second, by Theil and Sen: peaks and steps that go again do not move it."""
    return statistics.median(
        (value - before) / (at - earlier)
        for number, (at, value) in enumerate(series)
        for earlier, before in series[:number]
        if at > earlier
    )


def last_two_thirds(series: Series) -> Series:
    begin = series[0][0] + (series[-1][0] - series[0][0]) / 3
    return [point for point in series if point[0] >= begin]


def growth(looks: Iterable[Look], what: str) -> float:
    """By how much `what` has grown over the last two thirds."""
    late = last_two_thirds([(look["at"], look[what]) for look in looks])
    return slope(late) * (late[-1][0] - late[0][0])


def verdicts(looks: Sequence[Look], begin: Look, end: Look, faults: int) -> list[str]:
    """What is wrong, if anything. `begin`, `end`: the server at rest, after everything was done once, and after all."""
    found = [f"{end[what] - begin[what]} {what} are left" for what in HELD if end[what] > begin[what]]
    if faults:
        found.append(f"{faults} faults")
    grown = {what: growth(looks, what) for what in MEMORY if looks}
    return found + [
        f"memory ({what}) grew by {size / MIB:.1f} MiB over the last two thirds"
        for what, size in grown.items()
        if size > GROWTH
    ]


def left(begin: Look, end: Look, most: int = 12) -> list[tuple[str, int]]:
    """Types of which there are more live objects than before, the most first."""
    more = {name: count - begin["types"].get(name, 0) for name, count in end["types"].items()}
    return sorted(((name, count) for name, count in more.items() if count > 0), key=lambda one: -one[1])[:most]


def quantile(values: Sequence[float], part: float) -> float:
    """`part`: 0.99 for the 99th percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def by_minute(lives: Sequence[Look], what: str, part: float) -> Series:
    """A quantile of each minute, in milliseconds."""
    minutes: dict[int, list[float]] = {}
    for life in lives:
        minutes.setdefault(int((life["at"] - lives[0]["at"]) / 60), []).extend(life[what])
    return [(minute * 60.0, 1_000 * quantile(took, part)) for minute, took in minutes.items() if took]


def used(looks: Sequence[Look], what: str, every: float = 30.0) -> Series:
    """Percent of a core, of so many seconds each."""
    points, last = [], looks[0]
    for look in looks:
        if look["at"] - last["at"] >= every:
            share = (look[what] - last[what]) / (look["at"] - last["at"])
            points.append((look["at"] - looks[0]["at"], 100 * share))
            last = look
    return points
