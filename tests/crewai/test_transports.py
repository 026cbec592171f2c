"""A whole run over each transport alone: a real crew asks, is answered, revises, asks again and is approved."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import jsonschema_rs
import pytest
from crewai import Crew
from websockets.sync.client import connect

from sayso import HumanInputServer
from sayso.adapters.crewai import Rejected, execution
from tests.conftest import KEY
from tests.crewai.person import APPROVE, LONGEST, SSE, TRANSPORTS, WEBSOCKET, Message, Person, in_turn, leave
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

People = Callable[..., Person]

_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_TEXT = {"type": "string"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_IDS = dict.fromkeys(("execution_id", "crew_id", "task_id", "agent_id", "event_id"), _UUID)
_FLAGS = {
    "type": "object",
    "properties": {"ambiguity": {"type": "boolean"}, "missing_field": {"type": "boolean"}},
    "required": ["ambiguity", "missing_field"],
}
_REQUIRED = {
    "type": {"const": "human_input_required"},
    **_IDS,
    "prompt": _TEXT,
    "context": _TEXT,
    "timestamp": _TIME,
    "reason_flags": _FLAGS,
}
_COMPLETED = {"type": {"const": "human_input_completed"}, **_IDS, "human_feedback": _TEXT, "timestamp": _TIME}
SHAPES = {
    shape["type"]["const"]: jsonschema_rs.validator_for(
        {"type": "object", "properties": shape, "required": list(shape)}, validate_formats=True
    )
    for shape in (_REQUIRED, _COMPLETED)
}
via_each = pytest.mark.parametrize("via", TRANSPORTS)


def _check_shapes(events: list[Message]) -> None:
    for event in events:
        SHAPES[event["type"]].validate(event)


@pytest.mark.promise("EVENT-1", "EVENT-2", "ANSWER-6", "STREAM-1")
@via_each
def test_a_run_with_feedback_and_approval(person: People, via: str) -> None:
    model = ScriptedModel()
    reader = person(in_turn([{"human_feedback": "shorter"}, APPROVE]), via=via)
    assert a_crew(model).kickoff().raw == "draft 2 with: shorter"
    reader.wait_until(lambda it: len(it.settled) == 2 and len(it.replies) == 2)
    _check_shapes(reader.events)
    assert [(one["type"], one["seq"]) for one in reader.events] == [
        ("human_input_required", 1),
        ("human_input_completed", 2),
        ("human_input_required", 3),
        ("human_input_completed", 4),
    ]
    assert [one["human_feedback"] for one in reader.settled] == ["shorter", ""]
    assert [one["request_id"] for one in reader.settled] == [one["request_id"] for one in reader.asked]
    assert len({one["event_id"] for one in reader.events}) == 4
    channel = "websocket" if via == WEBSOCKET else "http"
    assert [(one["by"], one["channel"]) for one in reader.settled] == [("key:default", channel)] * 2
    assert model.calls == 2


@pytest.mark.promise("STREAM-7")
def test_answers_over_the_socket_are_acknowledged_on_it(person: People) -> None:
    reader = person(in_turn([{"human_feedback": "shorter", "answer_id": "mine"}, APPROVE]), via=WEBSOCKET)
    a_crew(ScriptedModel()).kickoff()
    reader.wait_until(lambda it: len(it.replies) == 2)
    assert [one["type"] for one in reader.replies] == ["answer_accepted"] * 2
    assert reader.replies[0]["answer_id"] == "mine"
    assert [one["request_id"] for one in reader.replies] == [one["request_id"] for one in reader.asked]
    assert reader.replies[0]["request"]["status"] == "answered"


@via_each
def test_an_edit_and_a_rejection(person: People, via: str) -> None:
    person(in_turn([{"decision": "edit", "edited": "Mine."}, {"decision": "reject", "text": "no"}]), via=via)
    assert a_crew(ScriptedModel()).kickoff().raw == "Mine."
    with pytest.raises(Rejected, match="no"):
        a_crew(ScriptedModel()).kickoff()


@pytest.mark.promise("STREAM-4")
@via_each
def test_two_requests_that_are_open_at_once(person: People, aside: Callable[..., Future[Any]], via: str) -> None:
    agents = [an_agent(ScriptedModel(), role=role) for role in ("One", "Other", "Last")]
    pair = [a_task(agent, name=agent.role, async_execution=True) for agent in agents[:2]]
    crew = Crew(agents=agents, tasks=[*pair, a_task(agents[2], human_input=False)])
    first = person(leave, via=via)
    running = aside(crew.kickoff)
    first.wait_until(lambda it: len(it.asked) == 2)
    by_title = {one["title"]: {"decision": "edit", "edited": f"for {one['title']}"} for one in first.asked}
    second = person(lambda asked: by_title[asked["title"]], via=via)  # comes when both are open, and is told of both
    running.result(LONGEST)
    second.wait_until(lambda it: len(it.settled) == 2)
    assert [one["event_id"] for one in second.asked] == [one["event_id"] for one in first.asked]
    assert [task.output.raw for task in pair if task.output] == ["for One", "for Other"]
    _check_shapes(second.events)


@pytest.mark.promise("ANSWER-2", "ANSWER-3", "STREAM-7")
@via_each
def test_a_late_answer_is_refused_and_a_repeated_one_is_the_same(
    server: HumanInputServer, person: People, via: str
) -> None:
    first = {"decision": "edit", "edited": "First.", "answer_id": "first"}
    reader = person(in_turn([first]), via=via)
    with execution("run-1"):
        assert a_crew(ScriptedModel()).kickoff().raw == "First."
    reader.wait_until(lambda it: len(it.settled) == 1 and len(it.replies) == 1)
    request_id = reader.asked[0]["request_id"]
    late = {"decision": "approve", "answer_id": "late"}
    for answer, accepted in ((late, False), (first, True), (late, False)):
        reply = _answer(server, via, request_id, answer)
        assert reply["ok"] is accepted
        assert reply["request"]["answer"]["answer_id"] == "first"
    reader.wait_until(lambda it: len(it.events) == 2)
    log = httpx.get(f"{server.url}/poll/human-input/run-1", headers={"Authorization": f"Bearer {KEY}"}).json()
    assert [one["seq"] for one in log["events"]] == [1, 2]


def _answer(server: HumanInputServer, via: str, request_id: str, answer: Message) -> Message:
    """Answers by the road that a client of this transport has; whether it won, and the request as it was settled."""
    if via != WEBSOCKET:
        headers = {"Authorization": f"Bearer {KEY}"}
        response = httpx.post(f"{server.url}/requests/{request_id}/answer", json=answer, headers=headers)
        body = response.json()
        if response.status_code == 200:
            return {"ok": True, "request": body}
        assert (response.status_code, body["type"]) == (409, "urn:sayso:problem:already-settled")
        return {"ok": False, "request": body["request"]}
    with connect(f"{server.url.replace('http', 'ws', 1)}/ws/human-input/none?token={KEY}") as socket:
        socket.send(json.dumps({"type": "answer", "request_id": request_id} | answer))
        message = json.loads(socket.recv(timeout=LONGEST))
    if message["type"] == "answer_accepted":
        return {"ok": True, "request": message["request"]}
    assert (message["problem"]["status"], message["answer_id"]) == (409, answer["answer_id"])
    return {"ok": False, "request": message["problem"]["request"]}


def test_the_shapes_of_the_seed_refuse_an_event_that_lacks_a_member() -> None:
    for shape in SHAPES.values():
        assert not shape.is_valid({})
    with pytest.raises(KeyError):
        _check_shapes([{"type": "heartbeat"}])


@pytest.mark.promise("STREAM-9")
@pytest.mark.parametrize("via", [SSE, WEBSOCKET])
def test_a_stream_that_is_followed_ends_when_the_server_stops(
    server: HumanInputServer, person: People, via: str
) -> None:
    reader = person(in_turn([APPROVE]), via=via)
    a_crew(ScriptedModel()).kickoff()
    reader.wait_until(lambda it: len(it.settled) == 1)
    server.stop()
    assert reader.ended.wait(LONGEST)
