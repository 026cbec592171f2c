"""How a store's commits go: how long each takes, and how many writes share it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sayso.meters import Counter, Histogram, Metric

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_WRITES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Commits:
    """Belongs to whichever thread commits; read from any."""

    def __init__(self) -> None:
        self._seconds = Histogram("sayso_store_commit_seconds", "How long a commit of this node took.", _SECONDS)
        self._writes = Histogram("sayso_store_commit_writes", "Writes that shared a commit.", _WRITES)
        self._failures = Counter(
            "sayso_store_commit_failures", "Commits that failed; nothing in them was acknowledged."
        )

    def done(self, seconds: float, writes: int) -> None:
        self._seconds.add(seconds)
        self._writes.add(writes)

    def failed(self) -> None:
        self._failures.add()

    def read(self) -> Iterator[Metric]:
        for one in (self._seconds, self._writes, self._failures):
            yield one.read()
