"""What came out as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.harness.measuring import Run
from bench.harness.results import Row, rows
from bench.harness.scenarios import SCENARIOS, Scenario
from bench.harness.servers import TITLES
from bench.harness.statistics import Spread

NCHAN: Final = "nchan"
_ALSO: Final = {"embedded": "in the server's process", "remote": "in another process, over HTTP"}


def table(scenario: Scenario, runs: Sequence[Run]) -> str:
    """A table of one scenario, with a heading of its own."""
    times = [f"times {title(scenario.reference)}", "range"] if scenario.reference else []
    first, *others = scenario.figures.values()
    heads = [first, "range", *times]
    for other in others:
        heads += [other, *times[:1]]
    lines = [
        f"**{scenario.title}** (`{scenario.name}`; {'more' if scenario.more_is_better else 'less'} is better)",
        "",
        f"| | {' | '.join(heads)} | runs | discarded |",
        f"|---|{'---:|' * (len(heads) + 2)}",
    ]
    lines += [_line(row, with_ratio=bool(times)) for row in rows(scenario, runs)]
    return "\n".join(lines)


def title(row: str) -> str:
    """What a row is called."""
    return (TITLES | _ALSO).get(row, row)


def _line(row: Row, *, with_ratio: bool) -> str:
    cells = list[str]()
    for spread, ratio in zip(row.spreads, row.ratios, strict=True):
        is_first = not cells
        cells += [_number(spread.median), f"{_number(spread.least)}–{_number(spread.most)}"][: 1 + is_first]
        cells += _ratio(ratio)[: 1 + is_first] if with_ratio else []
    name = title(row.name) + ("" if row.is_quiet else " (on a busy machine)")
    return f"| {name} | {' | '.join(cells)} | {row.spreads[0].count} | {row.discarded} |"


def _ratio(ratio: Spread | None) -> list[str]:
    return [f"{ratio.median:.2f}x", f"{ratio.least:.2f}–{ratio.most:.2f}"] if ratio else ["–", "–"]


def _number(value: float) -> str:
    """Three digits at least, and all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def summary(measured: Mapping[str, Sequence[Run]]) -> str:
    """All scenarios that have nchan in them: what nchan does, and how many times that each other server."""
    others = [name for name in TITLES if name != NCHAN]
    lines = [
        f"| | nchan | {' | '.join(TITLES[name] for name in others)} |",
        f"|---|---:|{'---:|' * len(others)}",
    ]
    for name, scenario in SCENARIOS.items():
        found = {row.name: row for row in rows(scenario, measured.get(name, ()))}
        if NCHAN in found:
            unit = scenario.figures[scenario.figure]
            cells = [f"{_number(found[NCHAN].spreads[0].median)} {unit}"]
            cells += [_ratio(found[other].ratios[0])[0] if other in found else "–" for other in others]
            better = "" if scenario.more_is_better else "; less is better"
            lines.append(f"| {scenario.title}{better} | {' | '.join(cells)} |")
    return "\n".join(lines)
