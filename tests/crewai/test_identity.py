"""Which execution, crew, task and agent an event belongs to."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Crew, Task
from crewai.execution import clear_execution_uuid, get_execution_uuid, set_execution_uuid

from sayso import HumanInputServer
from sayso.adapters.crewai import execution
from sayso.errors import Invalid
from tests.crewai.person import SSE, TRANSPORTS, WEBSOCKET, Person, revise_once
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

People = Callable[..., Person]
ID = "order-42.a:b~c_d"


@pytest.mark.promise("STREAM-1", "STREAM-4")
@pytest.mark.parametrize("via", TRANSPORTS)
def test_a_client_that_follows_an_execution_before_it_runs_sees_its_events(person: People, via: str) -> None:
    reader = person(revise_once(), via=via, execution_id=ID)
    assert reader.following.wait(10)
    with execution(ID) as id:
        result = a_crew(ScriptedModel()).kickoff()
    assert id == ID
    assert result.raw == "draft 2 with: shorter"
    reader.wait_until(lambda it: len(it.settled) == 2)
    assert {one["execution_id"] for one in reader.events} == {ID}
    assert [one["seq"] for one in reader.events] == [1, 2, 3, 4]


@pytest.mark.parametrize("via", [WEBSOCKET, SSE])
def test_a_client_of_another_execution_sees_none_of_these_events(person: People, via: str) -> None:
    other = person(revise_once(), via=via, execution_id="other")
    assert other.following.wait(10)
    reader = person(revise_once(), execution_id=ID)
    with execution(ID):
        a_crew(ScriptedModel()).kickoff()
    with execution("other"):
        a_crew(ScriptedModel()).kickoff()
    other.wait_until(lambda it: len(it.settled) == 2)
    assert {one["execution_id"] for one in other.events} == {"other"}
    assert {one["execution_id"] for one in reader.events} == {ID}


@pytest.mark.parametrize("via", [WEBSOCKET, SSE])
async def test_an_awaited_crew_belongs_to_the_execution_that_was_entered(person: People, via: str) -> None:
    reader = person(revise_once(), via=via, execution_id=ID)
    await asyncio.to_thread(reader.following.wait, 10)
    with execution(ID):
        result = await a_crew(ScriptedModel()).akickoff()
    assert result.raw == "draft 2 with: shorter"
    assert {one["execution_id"] for one in reader.events} == {ID}


@pytest.mark.promise("EVENT-4")
def test_the_ids_of_an_event_are_crewais_own(person: People) -> None:
    crew, reader = a_crew(ScriptedModel()), person(revise_once())
    crew.kickoff()
    reader.wait_until(lambda it: len(it.settled) == 2)
    own = {"crew_id": crew.id, "task_id": crew.tasks[0].id, "agent_id": crew.agents[0].id}
    for event in reader.events:
        assert {name: event[name] for name in own} == {name: str(id) for name, id in own.items()}
        assert uuid.UUID(event["execution_id"]).version == 4
    assert reader.asked[0]["source"]["name"] == "crewai"
    native = reader.asked[0]["source"]["native"]
    assert native["execution_id"] == reader.asked[0]["execution_id"]
    assert native["task_key"] == crew.tasks[0].key


def test_an_execution_without_a_given_id_gets_a_fresh_uuid() -> None:
    with execution() as first, execution() as second:
        assert uuid.UUID(first) != uuid.UUID(second)


@pytest.mark.parametrize("bad", ["bad id!", "", "a/b", "é", "x" * 129, ".", ".."])
def test_an_id_outside_the_grammar_is_invalid(bad: str) -> None:
    before = get_execution_uuid()
    with pytest.raises(Invalid, match=re.escape("/execution_id")), execution(bad):
        pass
    assert get_execution_uuid() == before


def test_an_id_of_crewais_that_is_outside_the_grammar_becomes_a_uuid_with_the_native_one_beside_it(
    person: People,
) -> None:
    reader, native = person(revise_once()), "kickoff 7 / züri"
    for _ in range(2):
        token = set_execution_uuid(native)
        try:
            a_crew(ScriptedModel()).kickoff()
        finally:
            clear_execution_uuid(token)
    ids = {one["execution_id"] for one in reader.asked}
    assert len(ids) == 1
    assert uuid.UUID(ids.pop()).version == 5
    assert {one["source"]["native"]["execution_id"] for one in reader.asked} == {native}


def test_a_replay_has_an_execution_of_its_own(person: People) -> None:
    crew, reader = a_crew(ScriptedModel()), person(revise_once())
    crew.kickoff()
    assert crew.replay(str(crew.tasks[0].id)).raw == "draft 2 with: shorter"
    first, *_, last = (one["execution_id"] for one in reader.asked)
    assert first != last
    assert [one["execution_id"] for one in reader.asked] == [first, first, last, last]
    uuid.UUID(last)


def test_a_task_that_runs_on_its_own_has_an_execution_of_its_own_each_time(person: People) -> None:
    reader = person(revise_once())
    task: Task = a_task(an_agent(ScriptedModel()))
    for _ in range(2):
        assert task.execute_sync().raw == "draft 2 with: shorter"
    executions = [one["execution_id"] for one in reader.asked]
    assert executions[0] == executions[1] != executions[2] == executions[3]
    assert {one["task_id"] for one in reader.asked} == {str(task.id)}
    uuid.UUID(reader.asked[0]["crew_id"])


def test_a_crew_inside_another_belongs_to_the_same_execution(person: People) -> None:
    reader, inner = person(revise_once()), a_crew(ScriptedModel(), name="inner")

    def run_inner(output: Any) -> None:
        inner.kickoff()

    a_crew(ScriptedModel(), name="outer", callback=run_inner).kickoff()
    assert [one["title"] for one in reader.asked] == ["outer", "outer", "inner", "inner"]
    assert len({one["execution_id"] for one in reader.asked}) == 1
    assert len({one["crew_id"] for one in reader.asked}) == 2


def test_nothing_of_an_execution_leaks_into_the_next_kickoff(person: People, server: HumanInputServer) -> None:
    reader = person(revise_once())
    crew = a_crew(ScriptedModel())
    with execution(ID):
        crew.kickoff()
    assert get_execution_uuid() is None
    crew.kickoff()
    crew.kickoff()
    ids = [one["execution_id"] for one in reader.asked]
    assert ids[:2] == [ID, ID]
    assert len(set(ids)) == 3
    assert [one["seq"] for one in reader.asked] == [1, 3] * 3
    assert [one["previous"] for one in reader.asked[::2]] == [None] * 3


@pytest.mark.parametrize("kickoff", [Crew.kickoff, lambda crew: asyncio.run(crew.akickoff())], ids=["sync", "async"])
def test_a_run_that_ends_badly_leaves_no_execution_behind(person: People, kickoff: Callable[[Crew], Any]) -> None:
    person(lambda asked: {"decision": "reject"})
    with pytest.raises(Exception, match="rejected"), execution(ID):
        kickoff(a_crew(ScriptedModel()))
    assert get_execution_uuid() is None
