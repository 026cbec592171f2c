"""The seed proposal's two events on crewAI's own bus: the same facts, under the same ids, as on the stream."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from typing import Any

import httpx
import pytest
from crewai import Crew
from crewai.events import crewai_event_bus

from sayso import HumanInputServer
from sayso.adapters.crewai import HumanInputCompletedEvent, HumanInputRequiredEvent, Stopped, Unanswered
from tests.crewai.person import LONGEST, Person, leave, revise_once
from tests.crewai.scripted import ScriptedModel, a_crew

IDS = ("execution_id", "crew_id", "task_id", "agent_id", "event_id", "request_id")
REQUIRED = ("type", *IDS, "prompt", "context", "reason_flags")
COMPLETED = ("type", *IDS, "human_feedback")

both_roads = pytest.mark.parametrize(
    "kickoff", [Crew.kickoff, lambda crew: asyncio.run(crew.akickoff())], ids=["sync", "async"]
)


@pytest.fixture
def heard() -> Iterator[queue.Queue[Any]]:
    """What a listener on crewAI's bus hears of both kinds."""
    heard: queue.Queue[Any] = queue.Queue()
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(HumanInputRequiredEvent)
        def required(source: Any, event: HumanInputRequiredEvent) -> None:
            heard.put(event)

        @crewai_event_bus.on(HumanInputCompletedEvent)
        def completed(source: Any, event: HumanInputCompletedEvent) -> None:
            heard.put(event)

        yield heard


def _same(mirrored: Any, streamed: dict[str, Any], names: tuple[str, ...]) -> None:
    assert {name: getattr(mirrored, name) for name in names} == {name: streamed[name] for name in names}
    assert mirrored.timestamp == datetime.fromisoformat(streamed["timestamp"])


@both_roads
def test_each_event_of_the_stream_is_on_the_bus_once_with_the_same_ids_and_words(
    person: Callable[..., Person], heard: queue.Queue[Any], kickoff: Callable[[Crew], Any]
) -> None:
    reader = person(revise_once())
    kickoff(a_crew(ScriptedModel()))
    reader.wait_until(lambda it: len(it.settled) == 2)
    mirrored = {event.event_id: event for event in (heard.get(timeout=LONGEST) for _ in range(4))}
    assert heard.empty()
    for streamed in reader.asked:
        _same(mirrored.pop(streamed["event_id"]), streamed, REQUIRED)
    for streamed in reader.settled:
        _same(mirrored.pop(streamed["event_id"]), streamed, COMPLETED)
    assert mirrored == {}


def test_the_source_on_the_bus_is_the_task(person: Callable[..., Person]) -> None:
    sources: queue.Queue[Any] = queue.Queue()
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(HumanInputRequiredEvent)
        def required(source: Any, event: HumanInputRequiredEvent) -> None:
            sources.put(source)

        person(revise_once())
        crew = a_crew(ScriptedModel())
        crew.kickoff()
        assert sources.get(timeout=LONGEST) is crew.tasks[0]


def test_a_question_that_nobody_answers_is_completed_on_the_bus_too(
    person: Callable[..., Person], client: httpx.Client, heard: queue.Queue[Any]
) -> None:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel").raise_for_status()

    person(cancel)
    with pytest.raises(Unanswered):
        a_crew(ScriptedModel()).kickoff()
    events = {event.type: event for event in (heard.get(timeout=LONGEST) for _ in range(2))}
    completed = events["human_input_completed"]
    assert (completed.status, completed.human_feedback, completed.decision) == ("cancelled", "", None)
    assert completed.request_id == events["human_input_required"].request_id


@both_roads
def test_a_question_that_the_stop_of_the_server_ends_is_completed_on_the_bus_too(
    server: HumanInputServer,
    person: Callable[..., Person],
    heard: queue.Queue[Any],
    aside: Callable[..., Future[Any]],
    kickoff: Callable[[Crew], Any],
) -> None:
    reader = person(leave)
    running = aside(kickoff, a_crew(ScriptedModel()))
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert isinstance(running.exception(LONGEST), Stopped)
    events = {event.type: event for event in (heard.get(timeout=LONGEST) for _ in range(2))}
    completed = events["human_input_completed"]
    assert (completed.status, completed.by, completed.human_feedback) == ("cancelled", "system:asker", "")
    assert completed.request_id == events["human_input_required"].request_id
