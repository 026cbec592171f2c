"""How notifiers get on, as this process sees it: numbers for who watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from sayso.meters import Metric

Outcome = Literal["delivered", "failed"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("delivered", "failed")


class Progress:
    """Of one notifier. `owed`: executions that are behind; `is_off`: whether it was switched off; both are None while
    another process does the work."""

    def __init__(self) -> None:
        self.deliveries: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.owed: int | None = None
        self.is_off: bool | None = None
        self._behind_since: float | None = None

    @property
    def lag(self) -> float:
        """Seconds since the log had news that are neither delivered nor owed yet; 0: there are none."""
        return 0.0 if self._behind_since is None else time.monotonic() - self._behind_since

    def looked(self, owed: int, *, is_off: bool, has_news: bool) -> None:
        self.owed, self.is_off = owed, is_off
        if not has_news or is_off:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()

    def is_others(self) -> None:
        self.owed, self.is_off, self._behind_since = None, None, None


def metrics(all: Mapping[str, Progress]) -> Iterator[Metric]:
    """By the notifiers' names. Gauges are left out where another process does the work."""
    deliveries = [
        ((name, outcome), float(one.deliveries[outcome])) for name, one in all.items() for outcome in OUTCOMES
    ]
    yield Metric(
        name="sayso_notifier_deliveries",
        help="Deliveries that this node tried, by what came of them.",
        kind="counter",
        labels=("notifier", "outcome"),
        samples=tuple(deliveries),
    )
    ours = [(name, one) for name, one in all.items() if one.owed is not None]
    gauges = {
        "sayso_notifier_owed": (
            "Executions with something that is still to be delivered.",
            [(name, float(one.owed or 0)) for name, one in ours],
        ),
        "sayso_notifier_lag_seconds": (
            "For how long it has been behind the log, but for what is owed.",
            [(name, one.lag) for name, one in ours],
        ),
        "sayso_notifier_off": (
            "1: it was switched off, by a 410.",
            [(name, float(one.is_off or False)) for name, one in ours],
        ),
    }
    for name, (help, values) in gauges.items():
        samples = tuple(((notifier,), value) for notifier, value in values)
        yield Metric(name=name, help=help, kind="gauge", labels=("notifier",), samples=samples)
