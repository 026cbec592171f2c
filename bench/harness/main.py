"""`bench/run`: measures, and says what came out."""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from bench.harness.built import BUILT, load_client
from bench.harness.certificate import certificate
from bench.harness.client import Client, Failed
from bench.harness.machine import described
from bench.harness.measuring import Machine, Run, measure
from bench.harness.missing import Missing
from bench.harness.noise import Watch
from bench.harness.plots import draw
from bench.harness.publishing import FOLDER, Measured, publish
from bench.harness.running import is_free
from bench.harness.scenarios import SCENARIOS, Load, Scenario
from bench.harness.tables import table

_FIRST_PORT: Final = 10_000
_PORTS: Final = 9_000
"""Below those that tests take, and those that Linux gives away."""
_DESCRIPTORS: Final = 20_000
"""No more, however many there may be: some servers make room for all at their start."""
_ROWS: Final = {row for scenario in SCENARIOS.values() for row in scenario.rows}
_QUICK: Final = 0.3


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if given.publish and (given.quick or set(given.servers) != _ROWS):
        print("only whole measurements are published", file=sys.stderr)
        return 2
    if given.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:14} {scenario.title}: {', '.join(scenario.rows)}")
        return 0
    measured = dict[str, Measured]()
    BUILT.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the servers end with this program
    try:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            about = described(Path(folder))
            chosen = [SCENARIOS[name] for name in given.only]
            machine = _machine(Path(folder), _QUICK if given.quick else 1.0, chosen)
            for name in given.only:
                all = _measured(SCENARIOS[name], given.servers, 2 if given.quick else given.rounds, machine)
                runs = [run for run in all if isinstance(run, Run)]
                failed = [str(run).partition("\n")[0] for run in all if isinstance(run, Failed)]
                measured[name] = Measured(about, runs, failed)
                print(f"\n{table(SCENARIOS[name], runs)}\n", flush=True)
    except Missing as problem:
        print(problem, file=sys.stderr)
        return 1
    if given.publish:
        there = publish(measured)
        draw({name: one.runs for name, one in there.items()}, FOLDER)
    return 1 if any(one.failed for one in measured.values()) else 0


def _measured(scenario: Scenario, rows: Collection[str], rounds: int, machine: Machine) -> list[Run | Failed]:
    """All runs; each is told as it is done."""
    runs = list[Run | Failed]()
    for run in measure(scenario, rows, rounds, machine):
        runs.append(run)
        if isinstance(run, Failed):
            print(f"FAILED: {run}", file=sys.stderr)
        else:
            said = "" if run.noise.is_quiet else f"   disturbed: {run.noise}"
            print(f"{run.scenario:14} {run.round + 1} {run.row:14} {run.figure:14,.1f}{said}", file=sys.stderr)
    return runs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bench/run", description="Measures sayso and its peers, doing the same work in turn."
    )
    parser.add_argument("--only", type=_names(SCENARIOS), default=list(SCENARIOS), metavar="SCENARIO,…")
    parser.add_argument("--servers", type=_names(_ROWS), default=_ROWS, metavar="SERVER,…")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two short rounds: whether it works, not how fast")
    parser.add_argument("--publish", action="store_true", help="write what comes out into docs/performance")
    parser.add_argument("--folder", help="where servers keep their files; it should be on a disk", default=str(BUILT))
    parser.add_argument("--list", action="store_true", help="the scenarios, and what is in each")
    return parser


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        for name in (chosen := text.split(",")):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return names


def _descriptors(scenario: Scenario) -> int:
    """How many a server or the client needs, and what they have open besides."""
    return 500 + (int(scenario.work.options.get("followers", 0)) if isinstance(scenario.work, Load) else 0)


def _machine(folder: Path, pace: float, scenarios: Iterable[Scenario]) -> Machine:
    """For those scenarios. Raises Missing."""
    all = sorted(os.sched_getaffinity(0))
    cores = all[0], all[-1]  # neighbours may be two halves of one
    if len(all) < 2:
        raise Missing("a second processor is missing: one is the server's and one the client's")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = min(hard, _DESCRIPTORS)
    if descriptors < max(map(_descriptors, scenarios)):
        raise Missing(f"ten thousand followers need more open files than {hard}: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    client = cache(lambda tls: Client(load_client(tls=tls), cores[1]))
    ports = filter(is_free, itertools.count(_FIRST_PORT + os.getpid() % _PORTS))
    return Machine(folder, cores[0], cores[1], descriptors, *certificate(folder), client, Watch(cores), ports, pace)
