"""What is counted and measured, as plain numbers. Knows no monitoring system; whoever shows them to one does."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Values = tuple[str, ...]
"""Of labels, in their order. Each label has few values: no id of an execution or a request, no name of a key."""


class Spread(NamedTuple):
    """How measurements lie: `counts[n]` are above `bounds[n - 1]` and at most `bounds[n]`; the last count is of those
    above all bounds. `sum`: of all of them."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What one name stands for, at one moment. A counter's name has no `_total`; units are seconds."""

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    samples: tuple[tuple[Values, float | Spread], ...]


class Counter:
    """How often something happened, since this process began, by its labels.

    `known`: values that are told before they happened for the first time; a monitoring system that sees a counter begin
    at one sees no increase.
    """

    def __init__(self, name: str, help: str, *labels: str, known: Iterable[Values] = ()) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._counts: dict[Values, int] = dict.fromkeys(known if labels else [()], 0)

    def add(self, *values: str) -> None:
        self._counts[values] = self._counts.get(values, 0) + 1

    def read(self) -> Metric:
        samples = tuple(self._counts.items())
        return Metric(name=self._name, help=self._help, kind="counter", labels=self._labels, samples=samples)


class Histogram:
    """How measurements lie, since this process began, by their labels. Adding belongs to one thread; any may read."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._bounds: Final = tuple(bounds)
        self._counts: dict[Values, list[int]] = {}
        self._sums: dict[Values, float] = {}
        if not labels:
            self._begin(())

    def add(self, measured: float, *values: str) -> None:
        if values not in self._counts:
            self._begin(values)
        self._sums[values] += measured
        self._counts[values][bisect_left(self._bounds, measured)] += 1

    def read(self) -> Metric:
        samples = tuple(
            (values, Spread(self._bounds, tuple(counts), self._sums[values]))
            for values, counts in tuple(self._counts.items())
        )
        return Metric(name=self._name, help=self._help, kind="histogram", labels=self._labels, samples=samples)

    def _begin(self, values: Values) -> None:
        self._sums[values] = 0.0  # first, since it is read after the counts
        self._counts[values] = [0] * (len(self._bounds) + 1)


Read = Callable[[], Iterable[Metric]]
"""Gives what it has at the moment, at once: nothing that takes long, and nothing that waits."""


class Meters:
    """What there is to read of one gateway, or one server: whatever counts adds itself."""

    def __init__(self, *reads: Read) -> None:
        self._reads = [*reads]

    def add(self, read: Read) -> None:
        self._reads.append(read)

    def read(self) -> list[Metric]:
        return [metric for read in self._reads for metric in read()]
