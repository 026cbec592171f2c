"""The runs of a measurement: what they come to, and how they are kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.harness.measuring import Run
from bench.harness.noise import Noise, kept
from bench.harness.scenarios import Scenario
from bench.harness.statistics import Spread, ratios


@dataclass(frozen=True)
class Row:
    """What the runs of one row come to. `spreads`: of each figure of the scenario, in its order; `ratios`: of each to
    the reference's; `discarded`: runs that did not count; `is_quiet`: whether those that did were undisturbed.
    """

    name: str
    spreads: tuple[Spread, ...]
    ratios: tuple[Spread | None, ...]
    discarded: int
    is_quiet: bool


def rows(scenario: Scenario, runs: Sequence[Run]) -> list[Row]:
    """Those that have runs, in the scenario's order."""
    by_row = {name: [run for run in runs if run.row == name] for name in scenario.rows}
    chosen = {name: kept(found) for name, found in by_row.items() if found}
    reference, _ = chosen.get(scenario.reference or "", ([], True))
    return [
        Row(
            name,
            tuple(Spread.of([float(run.result[figure]) for run in found]) for figure in scenario.figures),
            tuple(ratios(_by_round(found, figure), _by_round(reference, figure)) for figure in scenario.figures),
            len(by_row[name]) - len(found),
            is_quiet,
        )
        for name, (found, is_quiet) in chosen.items()
    ]


def _by_round(runs: Iterable[Run], figure: str) -> dict[int, float]:
    """The figure of each round: the median, where noisy runs count and there are several."""
    figures: dict[int, list[float]] = {}
    for run in runs:
        figures.setdefault(run.round, []).append(float(run.result[figure]))
    return {number: Spread.of(found).median for number, found in figures.items()}


def written(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """The runs as JSON has them."""
    return [asdict(run) for run in runs]


def read(runs: Iterable[Mapping[str, Any]]) -> list[Run]:
    """What `written` gave."""
    return [Run(**{**run, "noise": Noise(**run["noise"])}) for run in runs]
