"""A little of `bench/run`, in a minute: sayso's transport and plain ASGI on uvicorn, in turn, on a machine that does
other things besides. It fails on gross loss alone: when the ratio is below half of what was published last."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.harness import publishing, results
from bench.harness.measuring import Machine, Run, measure
from bench.harness.scenarios import SCENARIOS
from bench.harness.servers import SERVERS, Place, Plan

LOSS = 0.5
OF_BURSTS = 0.2
"""How much comes together depends on what else the machine does, and it does much beside a gate."""
ROUNDS = 3
NAMES = [name for name in SCENARIOS if name.startswith("smoke-")]
_SLOW = """
import sys, time
from bench.injected import main
from sayso.hub import Hub
tell = Hub.tell_on

def tell_late(*told, **more):
    time.sleep(2.0)
    tell(*told, **more)

Hub.tell_on = tell_late
main(int(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.mark.parametrize("name", NAMES)
def test_the_transport_has_not_lost_half_of_what_was_published(name: str, machine: Machine) -> None:
    wanted = (OF_BURSTS if name == "smoke-burst" else LOSS) * published(name)
    assert measured(name, machine) > wanted or measured(name, machine) > wanted, "it is slow, and not by chance"


def test_a_sleep_on_the_road_to_the_followers_is_such_a_loss(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SERVERS, "transport", slowed)
    assert measured("smoke-ws", machine, rounds=1) < LOSS * published("smoke-ws")


def published(name: str) -> float:
    return ratio(name, publishing.read()[name].runs)


def measured(name: str, machine: Machine, rounds: int = ROUNDS) -> float:
    runs = list(measure(SCENARIOS[name], SCENARIOS[name].rows, rounds, machine, again=0))
    failed = [run for run in runs if not isinstance(run, Run)]
    assert not failed, failed
    return ratio(name, [run for run in runs if isinstance(run, Run)])


def ratio(name: str, runs: Sequence[Run]) -> float:
    found = {row.name: row.ratios[0] for row in results.rows(SCENARIOS[name], runs)}["transport"]
    assert found is not None
    return found.median


def slowed(place: Place) -> Plan:
    """Whatever is told to followers is told late."""
    plan = normal(place)
    return replace(plan, command=[sys.executable, "-c", _SLOW, str(place.port), str(place.publish_port)])


normal = SERVERS["transport"]
