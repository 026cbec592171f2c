"""Roads that the smoke test does not go: on each, the load client has checked every event."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.harness.client import Failed
from bench.harness.measuring import Machine, Run, measure
from bench.harness.scenarios import SCENARIOS, Load, Program
from bench.harness.servers import SERVERS, Place, Plan


@pytest.mark.parametrize(
    ("name", "row"),
    [
        *(("poll-wake", "transport"), ("poll-wake", "plain"), ("replay", "transport"), ("replay", "sayso")),
        *(("asks-10", "sayso"), ("connects", "transport"), ("memory", "plain"), ("answer", "remote")),
    ],
)
def test_a_scenario_gives_its_figures(name: str, row: str, machine: Machine) -> None:
    scenario = SCENARIOS[name]
    if isinstance(scenario.work, Load) and "followers" in scenario.work.options:
        few = {**scenario.work.options, "followers": min(32, scenario.work.options["followers"])}
        scenario = replace(scenario, work=replace(scenario.work, options=few))
    (run,) = measure(scenario, [row], 1, replace(machine, pace=0.2), again=0)
    assert isinstance(run, Run), run
    assert all(run.result[figure] > 0 for figure in scenario.figures)


def test_a_server_that_fails_is_left_out_and_the_others_are_measured(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, "transport", ending)
    found = list(measure(SCENARIOS["smoke-ws"], ["transport", "plain"], 2, replace(machine, pace=0.2), again=0))
    assert [type(one) for one in found] == [Failed, Run, Run]
    assert "smoke-ws, transport: " in str(found[0])
    assert "no such thing" in str(found[0])


def test_a_program_that_fails_is_a_failure(machine: Machine) -> None:
    scenario = replace(SCENARIOS["answer"], work=Program("bench.nothing"))
    (found,) = measure(scenario, ["remote"], 2, machine, again=0)
    assert isinstance(found, Failed)
    assert "bench.nothing" in str(found)


def ending(place: Place) -> Plan:
    """A server that ends at once."""
    return Plan(["sh", "-c", "echo no such thing; exit 1"], {"ws": "/"}, place.publish_port)
