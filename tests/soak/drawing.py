"""What was seen in a soak, as curves: `python -m tests.soak.drawing FOLDER FILE` draws it again."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from tests.soak.judging import MIB, Look, Series, by_minute, last_two_thirds, slope, used
from tests.soak.soaking import Soaked

_STYLE: Final = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "sayso",  # the same picture of the same figures
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 1,
    "legend.frameon": False,
}
_GREY: Final = "#666666"
_MORE: Final = re.compile(r"(?<=\d\.\d)\d+|[ \t]+$", re.MULTILINE)
"""Decimals that nobody sees, and what editors would take away."""


def draw(found: Soaked, path: Path) -> None:
    """Seven pictures under each other, by minutes."""
    looks, lives = found.looks, found.lives
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 11.5), layout="constrained")
        memory, held, blocks, store, disk, latency, processor = figure.subplots(7, 1, sharex=True)
        _curves(
            memory,
            "Memory of the server, MiB",
            resident=_of(looks, "rss", MIB),
            unshared=_of(looks, "uss", MIB),
            malloc=_of(looks, "malloc", MIB),
        )
        _mark_slope(memory, looks)
        opened = ("connections", "descriptors", "tasks")
        _curves(held, "Open at the server", **{what: _of(looks, what) for what in opened})
        _curves(blocks, "Pieces of memory given out by Python, thousands", blocks=_of(looks, "blocks", 1_000))
        sizes = [life["store"] | {"at": life["at"]} for life in lives]
        _curves(store, "Rows in the store", **{what: _of(sizes, what) for what in ("events", "requests")})
        _curves(
            disk, "Store on the disk, MiB", file=_of(sizes, "file", MIB), **{"written ahead": _of(sizes, "log", MIB)}
        )
        ways = {"ask to event": "told", "answer to asker": "settled"}
        figures = {
            f"{words}, {name}": by_minute(lives, what, part)
            for words, what in ways.items()
            for name, part in (("median", 0.5), ("99 %", 0.99))
        }
        _curves(latency, "Milliseconds", **figures)
        latency.set_yscale("log")
        latency.yaxis.set_major_formatter(ScalarFormatter())
        _curves(
            *(processor, "Processor, percent of a core"),
            server=used(looks, "processor"),
            clients=used(lives, "clients_processor"),
        )
        for axes in (memory, held, blocks, store, disk, processor):
            axes.set_ylim(bottom=0)
        processor.set_xlabel("minutes")
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(_MORE.sub("", drawn.getvalue()), encoding="utf-8")


def _of(looks: list[Look], what: str, unit: float = 1) -> Series:
    return [(look["at"] - looks[0]["at"], look[what] / unit) for look in looks]


def _curves(axes: Axes, title: str, **drawn: Series) -> None:
    for label, points in drawn.items():
        axes.plot([at / 60 for at, _ in points], [value for _, value in points], label=label)
    axes.set_title(title, loc="left", fontsize=9)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)


def _mark_slope(axes: Axes, looks: list[Look]) -> None:
    late = last_two_thirds(_of(looks, "rss", MIB))
    begin, per_hour = late[0][0] / 60, slope(late) * 3_600
    axes.axvline(begin, color=_GREY, linestyle=":")
    words = f"from here on {per_hour:+.2f} MiB an hour"
    axes.annotate(words, (begin, 0), xytext=(5, 5), textcoords="offset points", color=_GREY)


if __name__ == "__main__":
    draw(Soaked(**json.loads((Path(sys.argv[1]) / "soaked.json").read_text())), Path(sys.argv[2]))
