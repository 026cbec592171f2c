"""Who follows at the moment, by transport, on whichever road the call came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

from sayso.meters import Metric

Transport = Literal["ws", "sse", "poll"]

_TRANSPORTS: Final[tuple[Transport, ...]] = ("ws", "sse", "poll")


class Followers:
    """Those of the ASGI application are counted while they follow; other roads know theirs, and are asked."""

    def __init__(self) -> None:
        self._here: Counter[Transport] = Counter()
        self._elsewhere: list[Callable[[], Mapping[Transport, int]]] = []

    def add(self, count: Callable[[], Mapping[Transport, int]]) -> None:
        """Asks `count`, too, for its own."""
        self._elsewhere.append(count)

    @contextmanager
    def one(self, transport: Transport) -> Iterator[None]:
        """One more, until it is left."""
        self._here[transport] += 1
        try:
            yield
        finally:
            self._here[transport] -= 1

    def read(self) -> Iterator[Metric]:
        found = [self._here, *(count() for count in self._elsewhere)]
        samples = tuple(((one,), float(sum(count.get(one, 0) for count in found))) for one in _TRANSPORTS)
        yield Metric(
            name="sayso_followers",
            help="Streams that are open on this node, and polls that are held.",
            kind="gauge",
            labels=("transport",),
            samples=samples,
        )
