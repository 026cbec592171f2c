"""Runs a scenario: its rows in turn, round by round, and a run that something else disturbed once more."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from bench.harness.client import PATIENCE, Client, Failed
from bench.harness.noise import Noise, Watch
from bench.harness.running import Running, running
from bench.harness.scenarios import Load, Program, Scenario
from bench.harness.servers import SERVERS, Place

AGAIN: Final = 2
"""How often a disturbed run is done once more, in the same round."""
BUSY: Final = 6
"""Disturbed runs one after the other from which on none is done again: a machine that stays busy is not waited for."""
WARM_UP: Final = 0.5
_CHANNELS: Final = 10_000
"""Channels of one run; the next one has others, so that no history is in its way."""
_TRANSPORTS: Final = {"all": "ws", "replay": "poll"}


@dataclass(frozen=True)
class Machine:
    """What measuring is done with. `pace`: how much of the usual time a run takes."""

    folder: Path
    server_core: int
    client_core: int
    descriptors: int
    certificate: Path
    key: Path
    client: Callable[[bool], Client]
    watch: Watch
    ports: Iterator[int]
    pace: float = 1.0


@dataclass(frozen=True)
class Run:
    """One row's figure in one round; `result` is all that was measured with it."""

    scenario: str
    row: str
    round: int
    figure: float
    noise: Noise
    result: dict[str, Any]


def measure(
    scenario: Scenario, rows: Collection[str], rounds: int, machine: Machine, *, again: int = AGAIN
) -> Iterator[Run | Failed]:
    """The runs as they are done, the disturbed ones among them. A row that fails is left out from then on.

    `again`: how often a disturbed run is done once more, in the same round. Raises Missing.
    """
    left, disturbed = [row for row in scenario.rows if row in rows], 0
    subjects: dict[str, _Subject] = {}
    with ExitStack() as stack:
        for number in range(rounds):
            for row in list(left):
                try:
                    if row not in subjects:
                        subjects[row] = stack.enter_context(_subject(scenario, row, machine))
                    for _ in range(1 + again):
                        result, noise = subjects[row].run()
                        yield Run(scenario.name, row, number, float(result[scenario.figure]), noise, result)
                        disturbed = 0 if noise.is_quiet else disturbed + 1
                        if noise.is_quiet or disturbed > BUSY:
                            break
                except Failed as failed:
                    left.remove(row)
                    yield Failed(f"{scenario.name}, {row}: {failed}")


class _Subject(Protocol):
    """What a row stands for. `run` measures it once. Raises Failed."""

    def run(self) -> tuple[dict[str, Any], Noise]: ...


def _subject(scenario: Scenario, row: str, machine: Machine) -> AbstractContextManager[_Subject]:
    if isinstance(scenario.work, Program):
        return nullcontext(_Called(scenario.work, row, machine))
    if scenario.work.is_fresh:
        return nullcontext(_Fresh(scenario.work, row, machine))
    return _loaded(scenario.work, row, machine)


class _Called:
    """A program that measures."""

    def __init__(self, program: Program, row: str, machine: Machine) -> None:
        self._program = program
        self._row = row
        self._machine = machine

    def run(self) -> tuple[dict[str, Any], Noise]:
        machine = self._machine
        command = [sys.executable, "-m", self._program.module, self._row, str(machine.folder), str(machine.pace)]
        noise = machine.watch.begin(lambda: 0.0)
        pinned = ["taskset", "-c", f"{machine.server_core},{machine.client_core}", *command]
        done = subprocess.run(pinned, check=False, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603 - our own
        about = noise()
        if done.returncode:
            raise Failed(done.stderr.strip())
        return json.loads(done.stdout), about


class _Loaded:
    """A server under load."""

    def __init__(self, load: Load, server: Running, port: int, machine: Machine) -> None:
        self._load = load
        self._server = server
        self._port = port
        self._machine = machine
        self._channels = itertools.count(0, _CHANNELS)

    def run(self) -> tuple[dict[str, Any], Noise]:
        load, server, client = self._load, self._server, self._machine.client(self._load.tls)
        options = self._options()
        memory = server.memory()
        noise = self._machine.watch.begin(server.processor_time)
        if load.what == "hold":
            with client.holding(options) as result:
                server.rest()
                result["kib_each"] = round((server.memory() - memory) / 1024 / load.options["followers"], 2)
        else:
            result = client.run(load.what, options)
        about = noise()
        server.rest()
        return result, about

    def _options(self) -> dict[str, str | int | float | bool]:
        plan, load = self._server.plan, self._load
        return {
            "transport": _TRANSPORTS.get(load.road, load.road),
            "port": self._port,
            "path": plan.roads[load.road],
            "server": ",".join(map(str, self._server.processes())),
            "publish_port": plan.publish_port,
            "publish_path": plan.publish,
            "first_channel": next(self._channels),
            "tls": load.tls,
            "seconds": load.seconds * self._machine.pace,
            "warm_up": WARM_UP * self._machine.pace,
            **plan.client,
            **load.options,
        }


class _Fresh:
    """Each time a server that was just started."""

    def __init__(self, load: Load, row: str, machine: Machine) -> None:
        self._what = (load, row, machine)

    def run(self) -> tuple[dict[str, Any], Noise]:
        with _loaded(*self._what) as loaded:
            return loaded.run()


@contextmanager
def _loaded(load: Load, row: str, machine: Machine) -> Iterator[_Loaded]:
    port, publish_port = next(machine.ports), next(machine.ports)
    folder = Path(tempfile.mkdtemp(dir=machine.folder))
    certificate, key = (machine.certificate, machine.key) if load.tls else (None, None)
    plan = SERVERS[row](Place(folder, port, publish_port, machine.descriptors, certificate, key))
    with running(plan, port, machine.server_core) as server:
        server.rest()
        yield _Loaded(load, server, port, machine)
