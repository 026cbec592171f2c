"""What came out as pictures, in SVG: text stays text, and the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.harness.measuring import Run
from bench.harness.results import Row, rows
from bench.harness.scenarios import SCENARIOS
from bench.harness.tables import NCHAN, title

mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "sayso",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
Runs = Mapping[str, Sequence[Run]]

_COLOURS: Final = {
    "transport": "#0b6e4f",
    "sayso": "#6bbf59",
    "nchan": "#1f4e8c",
    "plain": "#c77d0a",
    "fastapi": "#b23a48",
    "bare": "#8a8a8a",
    "joined": "#bdbdbd",
}
_RATIOS: Final = ("ws-1000", "sse-1000", "ws-10000", "burst", "each-1000", "replay", "poll-wake", "connects")
_FOLLOWERS: Final = (100, 1_000, 10_000)


def draw(measured: Runs, folder: Path) -> list[Path]:
    """The plots for which there are figures, as files in `folder`."""
    drawn = {
        "ratios": _ratios(measured),
        "followers": _followers(measured),
        "asks": _asks(measured),
        "history": _history(measured),
    }
    files = []
    for name, figure in drawn.items():
        if figure is not None:
            file = folder / f"{name}.svg"
            figure.savefig(file, metadata={"Date": None}, bbox_inches="tight")
            file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
            files.append(file)
    return files


def _found(measured: Runs, name: str) -> dict[str, Row]:
    return {row.name: row for row in rows(SCENARIOS[name], measured.get(name, ()))}


def _ratios(measured: Runs) -> Figure | None:
    """Bars: how many times nchan each server does, with the least and the most."""
    by_scenario = {name: found for name in _RATIOS if NCHAN in (found := _found(measured, name))}
    if not by_scenario:
        return None
    shown = [
        server for server in _COLOURS if server != NCHAN and any(server in found for found in by_scenario.values())
    ]
    figure = Figure(figsize=(8, 0.4 + 0.17 * len(shown) * len(by_scenario)))
    axes = figure.subplots()
    step = 0.8 / len(shown)
    for index, server in enumerate(shown):
        places = [
            (number + index * step, found[server].ratios[0])
            for number, found in enumerate(by_scenario.values())
            if server in found
        ]
        bars = [(place, ratio) for place, ratio in places if ratio is not None]
        axes.barh(
            [place for place, _ in bars],
            [ratio.median for _, ratio in bars],
            step * 0.9,
            xerr=[
                [ratio.median - ratio.least for _, ratio in bars],
                [ratio.most - ratio.median for _, ratio in bars],
            ],
            error_kw={"elinewidth": 0.7, "ecolor": "#444444"},
            color=_COLOURS[server],
            label=title(server),
        )
    axes.axvline(1.0, color=_COLOURS[NCHAN], linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.set_yticks([number + 0.4 for number in range(len(by_scenario))], [SCENARIOS[one].title for one in by_scenario])
    axes.invert_yaxis()
    axes.set_xlabel("times nchan (the line), more is better; median and range")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _followers(measured: Runs) -> Figure | None:
    """Lines: messages a second by the number of followers, for WebSocket and for SSE."""
    figure = Figure(figsize=(8, 3.2))
    both = figure.subplots(1, 2, sharey=True)
    is_empty = True
    for axes, road, name in zip(both, ("ws", "sse"), ("WebSocket", "SSE"), strict=True):
        found = {followers: _found(measured, f"{road}-{followers}") for followers in _FOLLOWERS}
        for server, colour in _COLOURS.items():
            points = [(count, one[server].spreads[0]) for count, one in found.items() if server in one]
            if points:
                is_empty = False
                _line(axes, points, color=colour, label=title(server))
        axes.set_xscale("log")
        axes.set_title(name)
        axes.set_xlabel("followers of one execution")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    both[0].set_ylabel("messages/s")
    both[0].set_ylim(bottom=0)
    both[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if is_empty:
        return None
    both[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _asks(measured: Runs) -> Figure | None:
    """A line: questions a second, on the disk and with every follower, by the number of askers."""
    found = {askers: _found(measured, f"asks-{askers}") for askers in (1, 10, 100)}
    points = [(askers, one["sayso"].spreads[0]) for askers, one in found.items() if "sayso" in one]
    if not points:
        return None
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    _line(axes, points, color=_COLOURS["transport"])
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("askers")
    axes.set_ylabel("questions/s")
    return figure


def _history(measured: Runs) -> Figure | None:
    """Lines: what calls cost by the events in the store."""
    scenario = SCENARIOS["history"]
    found = _found(measured, "history")
    if not found:
        return None
    figure = Figure(figsize=(5, 3))
    axes = figure.subplots()
    for index, unit in enumerate(scenario.figures.values()):
        points = [(int(name.split()[0].replace(",", "")), row.spreads[index]) for name, row in found.items()]
        _line(axes, points, label=unit.removeprefix("µs "))
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("events in the store")
    axes.set_ylabel("µs")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _line(axes: Any, points: Sequence[tuple[int, Any]], **look: str) -> None:
    """Medians, with the least and the most."""
    axes.errorbar(
        [place for place, _ in points],
        [spread.median for _, spread in points],
        [[spread.median - spread.least for _, spread in points], [spread.most - spread.median for _, spread in points]],
        marker="o",
        markersize=3,
        linewidth=1,
        elinewidth=0.7,
        **look,
    )
