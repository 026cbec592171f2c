"""Whether something else was at work on the machine while a run was measured. Pure but for `Watch`, which looks."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import psutil

FOREIGN: Final = 0.3
"""Cores that others may use of the two while a run is measured."""
STEAL: Final = 0.03
"""Share of the time that the host may take from this machine's cores."""
SLOW: Final = 1.3
"""How many times as long as at best a fixed piece of work may take, before or after a run."""
_WORK: Final = 100_000
ENOUGH: Final = 3
"""Quiet runs without which the noisy ones are used, too."""


@dataclass(frozen=True)
class Noise:
    """`foreign`: cores that others used; `steal`: share of the time that the host took; `slow`: how many times as long
    as at best the cores took for a piece of work."""

    foreign: float
    steal: float
    slow: float

    @property
    def is_quiet(self) -> bool:
        return self.foreign <= FOREIGN and self.steal <= STEAL and self.slow <= SLOW


class Measured(Protocol):
    """A run with the noise that was about it."""

    @property
    def noise(self) -> Noise: ...


M = TypeVar("M", bound=Measured)


def kept(runs: Iterable[M]) -> tuple[list[M], bool]:
    """The runs that count, and whether they were quiet: all that were, unless these are too few; then, all."""
    runs = list(runs)
    quiet = [run for run in runs if run.noise.is_quiet]
    enough = min(ENOUGH, len(runs))
    return (quiet, True) if len(quiet) >= enough else (runs, False)


class Watch:
    """Looks at the machine before and after a run on `cores`."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._best = min(self._spin() for _ in range(20))

    def begin(self, server_time: Callable[[], float]) -> Callable[[], Noise]:
        """`server_time`: seconds of a processor that the server has used. Call what this gives when the run is over."""
        before = self._spin()
        began, times, ours = time.monotonic(), self._times(), server_time() + _own_time()

        def end() -> Noise:
            wall = time.monotonic() - began
            busy, stolen = (now - then for now, then in zip(self._times(), times, strict=True))
            used = server_time() + _own_time() - ours
            slow = max(before, self._spin()) / self._best
            return Noise(
                round(max(0.0, busy - used) / wall, 3), round(stolen / wall / len(self._cores), 4), round(slow, 2)
            )

        return end

    def _times(self) -> tuple[float, float]:
        """Seconds that the cores were busy for somebody here, and that the host took.

        Without interrupts: those are a measured server's own packets, too, and some kernels charge nobody with them.
        """
        all = psutil.cpu_times(percpu=True)
        mine = [all[core] for core in self._cores]
        return sum(one.user + one.nice + one.system for one in mine), sum(one.steal for one in mine)

    def _spin(self) -> float:
        """Seconds that the slower of the cores takes for a fixed piece of work."""
        former = os.sched_getaffinity(0)
        try:
            return max(self._spin_on(core) for core in self._cores)
        finally:
            os.sched_setaffinity(0, former)

    def _spin_on(self, core: int) -> float:
        os.sched_setaffinity(0, {core})
        began = time.perf_counter()
        left = _WORK
        while left:
            left -= 1
        return time.perf_counter() - began


def _own_time() -> float:
    """Seconds of a processor that this process and the clients it waited for have used."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
