"""What else was at work on the machine, and which runs count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.harness.noise import ENOUGH, FOREIGN, SLOW, STEAL, Noise, Watch, kept

QUIET = Noise(0.0, 0.0, 1.0)
LOUD = Noise(2 * FOREIGN, 0.0, 1.0)


@dataclass(frozen=True)
class Run:
    noise: Noise


@pytest.mark.parametrize(
    ("noise", "is_quiet"),
    [
        (QUIET, True),
        (Noise(FOREIGN, STEAL, SLOW), True),
        (Noise(FOREIGN + 0.01, 0.0, 1.0), False),
        (Noise(0.0, STEAL + 0.01, 1.0), False),
        (Noise(0.0, 0.0, SLOW + 0.01), False),
    ],
)
def test_a_run_is_quiet_when_nobody_else_was_at_work(noise: Noise, is_quiet: bool) -> None:
    assert noise.is_quiet is is_quiet


def test_disturbed_runs_do_not_count_where_enough_others_are_left() -> None:
    quiet, loud = [Run(QUIET)] * ENOUGH, [Run(LOUD)] * 2
    assert kept(loud + quiet) == (quiet, True)


def test_where_too_few_are_left_all_count_and_that_is_said() -> None:
    runs = [*[Run(QUIET)] * (ENOUGH - 1), Run(LOUD)]
    assert kept(runs) == (runs, False)


def test_of_few_runs_all_must_be_quiet() -> None:
    assert kept([Run(QUIET)]) == ([Run(QUIET)], True)
    assert kept([Run(LOUD)]) == ([Run(LOUD)], False)


def test_what_others_use_is_seen_and_what_the_server_uses_is_not_held_against_it() -> None:
    watch = Watch(sorted(os.sched_getaffinity(0)))
    with at_work() as other:
        as_foreign, as_server = watch.begin(lambda: 0.0), watch.begin(lambda: used(other))
        while used(other) < 0.5:
            os.sched_yield()
        foreign, server = as_foreign(), as_server()
    assert foreign.foreign > server.foreign  # the same work, seen once as somebody else's and once as the server's


@contextmanager
def at_work() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing but work."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield process
        finally:
            process.kill()


def used(process: subprocess.Popen[bytes]) -> float:
    """Seconds of a processor."""
    words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
