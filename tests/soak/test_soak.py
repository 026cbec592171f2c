"""The soak itself, for seconds, and how it judges: what a server keeps that it should give back is found out."""

from __future__ import annotations

import asyncio
import math
import random
from functools import partial
from pathlib import Path

import pytest

from tests.postgres import Cluster
from tests.soak.judging import GROWTH, MIB, Look, Series, growth, slope, verdicts
from tests.soak.sizes import Sizes, of_database, of_file
from tests.soak.soaking import Soaked, soak

_REST: Look = {"tasks": 7, "connections": 0, "descriptors": 22, "threads": 9}


def _memory(seconds: int, grows: float, *, peak: float = 0.0) -> list[Look]:
    """Bytes of a server that warms up for a while, breathes, is measured in pages, and grows by `grows` bytes a second
    beside; `peak`: which it takes for a while in the middle."""
    chance = random.Random(f"{seconds} {grows}")  # noqa: S311 - hides nothing
    looks = []
    for at in range(0, seconds, 5):
        warm = 40 * MIB * (1 - math.exp(-at / 60))
        breath = MIB * math.sin(at / 40) + chance.gauss(0, MIB / 2)
        more = peak if seconds * 0.5 < at < seconds * 0.6 else 0.0
        size = 80 * MIB + warm + breath + more + grows * at
        pages = size // 4_096 * 4_096
        looks.append({"at": at, "rss": pages, "uss": pages - 20 * MIB, "malloc": size - 40 * MIB})
    return looks


@pytest.mark.parametrize("peak", [0.0, 50.0 * MIB])
def test_memory_that_warms_up_breathes_and_peaks_is_flat(peak: float) -> None:
    assert verdicts(_memory(7_200, 0.0, peak=peak), _REST, _REST, 0) == []


def test_a_leak_of_a_kilobyte_a_second_under_all_that_is_found() -> None:
    looks = _memory(7_200, 1_000.0, peak=50.0 * MIB)

    rss, uss, malloc = verdicts(looks, _REST, _REST, 0)

    assert "memory (rss) grew by" in rss
    assert "memory (uss) grew by" in uss
    assert "memory (malloc) grew by" in malloc
    assert growth(looks, "rss") == pytest.approx(4_800_000, rel=0.15)
    assert growth(looks, "rss") > GROWTH


def test_the_slope_is_that_of_the_most() -> None:
    line: Series = [(at, 3.0 * at + (1_000 if at % 5 == 0 else 0)) for at in range(100)]
    assert slope(line) == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize("what", _REST)
def test_whatever_is_left_is_said(what: str) -> None:
    assert verdicts([], _REST, _REST | {what: _REST[what] + 2}, 0) == [f"2 {what} are left"]
    assert verdicts([], _REST, _REST | {what: _REST[what] - 2}, 0) == []


def test_faults_are_said() -> None:
    assert verdicts([], _REST, _REST, 3) == ["3 faults"]


async def _soaked(folder: Path, store: str, sizes: Sizes, *, leak: int = 0) -> tuple[Soaked, list[str]]:
    async with asyncio.timeout(120):
        found = await soak(folder, store, sizes, seconds=2, rate=4.0, every=0.2, keep=30.0, leak=leak)
    return found, verdicts(found.looks, found.begin, found.end, len(found.faults))


async def test_a_server_that_was_lived_with_gives_everything_back(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    found, wrong = await _soaked(tmp_path, f"sqlite:///{path}", partial(of_file, path))

    assert found.faults == []
    assert [one for one in wrong if not one.startswith("memory")] == []  # which is still warming up
    for what in ("answered", "events by websocket", "events by sse", "events by poll", "refused"):
        assert found.counts[what] > 0
    assert max(look["connections"] for look in found.looks) > 10


async def test_one_that_keeps_something_of_each_question_is_found_out(
    tmp_path: Path, cluster: Cluster, database: str
) -> None:
    found, wrong = await _soaked(tmp_path, database, partial(of_database, cluster, database), leak=MIB)

    assert found.faults == []
    assert {"tasks", "descriptors"} <= {one.split()[1] for one in wrong if one.endswith("are left")}
    assert any(one.startswith("memory (rss)") for one in wrong)
