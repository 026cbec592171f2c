"""What each decision does to a real crew, on crewAI's sync road and on its async road."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from crewai.agents.parser import AgentFinish
from crewai.hooks import HookAborted
from pydantic import BaseModel, ConfigDict, Field

from sayso import HumanInputServer, limits
from sayso.adapters.crewai import Rejected, Stopped, Unanswered
from sayso.adapters.crewai.review import Review
from sayso.errors import ServerStopped
from sayso.model import Answer
from tests.builders import NOW, Even, new_id, request
from tests.crewai.person import APPROVE, LONGEST, Person, in_turn, leave
from tests.crewai.roads import Kickoff, both_roads
from tests.crewai.scripted import ScriptedModel, a_crew

People = Callable[..., Person]


class Poem(BaseModel):
    title: str
    lines: int


structured = pytest.mark.parametrize("output", ["output_pydantic", "output_json"])


def _poem(number: int, feedback: str) -> str:
    return json.dumps({"title": feedback or "Untitled", "lines": number})


def _untitled(number: int, feedback: str) -> str:
    return json.dumps({"lines": number})


@both_roads
def test_approve_takes_the_draft_as_it_is(person: People, kickoff: Kickoff) -> None:
    model, reader = ScriptedModel(), person(in_turn([APPROVE]))
    assert kickoff(a_crew(model)).raw == "draft 1"
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert [one["decision"] for one in reader.settled] == ["approve"]
    assert model.calls == 1


@pytest.mark.promise("ANSWER-5")
@both_roads
def test_a_blank_human_feedback_approves(person: People, kickoff: Kickoff) -> None:
    model, reader = ScriptedModel(), person(in_turn([{"human_feedback": " "}]))
    assert kickoff(a_crew(model)).raw == "draft 1"
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["decision"], reader.settled[0]["human_feedback"]) == ("approve", "")
    assert model.calls == 1


@pytest.mark.promise("ANSWER-5")
@both_roads
def test_respond_makes_the_agent_revise_and_ask_again_until_it_is_approved(person: People, kickoff: Kickoff) -> None:
    model = ScriptedModel()
    reader = person(in_turn([{"human_feedback": "shorter"}, {"decision": "respond", "text": "kinder"}, APPROVE]))
    assert kickoff(a_crew(model)).raw == "draft 3 with: kinder"
    assert [one["context"] for one in reader.asked] == ["draft 1", "draft 2 with: shorter", "draft 3 with: kinder"]
    assert [one["round"] for one in reader.asked] == [1, 2, 3]
    ids = [one["request_id"] for one in reader.asked]
    assert [one["previous"] for one in reader.asked] == [None, *ids[:2]]
    assert len(set(ids)) == 3
    assert model.calls == 3


@both_roads
def test_edit_becomes_the_final_answer_without_another_model_call(person: People, kickoff: Kickoff) -> None:
    model = ScriptedModel()
    person(in_turn([{"human_feedback": "shorter"}, {"decision": "edit", "edited": "  Mine.\n"}]))
    assert kickoff(a_crew(model)).raw == "  Mine.\n"
    assert model.calls == 2


@both_roads
def test_reject_ends_the_run_after_one_question(person: People, kickoff: Kickoff) -> None:
    model = ScriptedModel()
    reader = person(in_turn([{"decision": "reject", "text": "off topic"}]))
    with pytest.raises(Rejected, match="key:default: off topic") as caught:
        kickoff(a_crew(model, agent={"max_retry_limit": 3}))
    assert isinstance(caught.value, HookAborted)
    assert len(reader.asked) == 1
    assert model.calls == 1


@both_roads
def test_a_cancelled_request_ends_the_run_as_unanswered(person: People, kickoff: Kickoff, client: httpx.Client) -> None:
    model = ScriptedModel()

    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()

    reader = person(cancel)
    with pytest.raises(Unanswered, match="lunch") as caught:
        kickoff(a_crew(model))
    assert isinstance(caught.value, HookAborted)
    assert len(reader.asked) == 1
    assert model.calls == 1


@both_roads
def test_stopping_the_server_ends_a_waiting_run_once(
    server: HumanInputServer, person: People, aside: Callable[..., Future[Any]], kickoff: Kickoff
) -> None:
    model, reader = ScriptedModel(), person(leave)
    running = aside(kickoff, a_crew(model))
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    error = running.exception(LONGEST)
    assert isinstance(error, Stopped)
    assert isinstance(error, HookAborted)
    assert isinstance(error, ServerStopped)
    assert model.calls == 1
    assert len(reader.asked) == 1


@pytest.mark.promise("SETTLE-4", "EVENT-3")
def test_a_question_that_waited_when_the_server_stopped_is_cancelled_in_the_store(
    serve: Callable[..., HumanInputServer], server: HumanInputServer, person: People, aside: Callable[..., Future[Any]]
) -> None:
    reader = person(leave)
    running = aside(a_crew(ScriptedModel()).kickoff)
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert isinstance(running.exception(LONGEST), Stopped)

    reopened = serve(store=server._store)
    with Person(reopened.url, leave, execution_id=reader.asked[0]["execution_id"], gone=reopened.stop) as later:
        later.wait_until(lambda it: len(it.settled) == 1)
    assert [one["type"] for one in later.events] == ["human_input_required", "human_input_completed"]
    assert (later.settled[0]["status"], later.settled[0]["reason"]) == ("cancelled", "asker-gone")
    assert later.settled[0]["human_feedback"] == ""


@both_roads
@structured
def test_an_edited_structured_output_arrives_as_the_model_wants_it(
    person: People, kickoff: Kickoff, output: str
) -> None:
    model = ScriptedModel(_poem)
    reader = person(in_turn([{"decision": "edit", "edited": {"title": "Rain", "lines": 4}}]))
    result = kickoff(a_crew(model, **{output: Poem}))
    arrived = result.pydantic if output == "output_pydantic" else result.json_dict
    assert arrived == (Poem(title="Rain", lines=4) if output == "output_pydantic" else {"title": "Rain", "lines": 4})
    assert model.calls == 1
    assert reader.asked[0]["response_schema"]["required"] == ["title", "lines"]
    assert json.loads(reader.asked[0]["context"]) == {"title": "Untitled", "lines": 1}
    assert reader.asked[0]["reason_flags"] == {"ambiguity": False, "missing_field": False}


@both_roads
@structured
def test_feedback_to_a_structured_output_brings_a_new_structured_draft(
    person: People, kickoff: Kickoff, output: str
) -> None:
    reader = person(in_turn([{"human_feedback": "Rain"}, APPROVE]))
    result = kickoff(a_crew(ScriptedModel(_poem), **{output: Poem}))
    assert json.loads(reader.asked[1]["context"]) == {"title": "Rain", "lines": 2}
    assert result.to_dict() == {"title": "Rain", "lines": 2}


@pytest.mark.promise("ANSWER-4")
@structured
def test_an_edit_that_does_not_fit_is_refused_and_the_request_stays_open(
    person: People, aside: Callable[..., Future[Any]], client: httpx.Client, output: str
) -> None:
    reader = person(leave)
    running = aside(a_crew(ScriptedModel(_poem), **{output: Poem}).kickoff)
    reader.wait_until(lambda it: len(it.asked) == 1)
    request_id = reader.asked[0]["request_id"]
    refused = reader.try_to_answer(request_id, decision="edit", edited={"title": "Rain", "lines": "four"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/edited/lines"
    assert "four" not in refused.text
    assert client.get(f"/requests/{request_id}").json()["status"] == "pending"
    reader.answer(request_id, decision="edit", edited={"title": "Rain", "lines": 4})
    assert running.result(LONGEST).to_dict() == {"title": "Rain", "lines": 4}


@structured
def test_a_draft_that_lacks_a_field_of_the_output_is_flagged(person: People, output: str) -> None:
    reader = person(in_turn([{"decision": "edit", "edited": {"title": "Rain", "lines": 4}}]))
    result = a_crew(ScriptedModel(_untitled), **{output: Poem}).kickoff()
    assert reader.asked[0]["reason_flags"] == {"ambiguity": False, "missing_field": True}
    assert result.to_dict() == {"title": "Rain", "lines": 4}


@pytest.mark.parametrize("letter", ["x", "é", "雨"])
def test_a_draft_too_long_to_show_is_cut_visibly_and_taken_whole(person: People, letter: str) -> None:
    whole = letter * (300 * limits.KIB)
    reader = person(in_turn([APPROVE]))
    result = a_crew(ScriptedModel(lambda number, feedback: whole)).kickoff()
    shown = reader.asked[0]["context"]
    assert limits.CONTEXT - 4 <= len(shown.encode()) <= limits.CONTEXT
    assert shown.endswith(f"[… cut here: {len(whole.encode())} bytes in all]")
    assert result.raw == whole


def test_a_task_description_too_long_to_show_is_cut_visibly(person: People) -> None:
    reader = person(in_turn([APPROVE]))
    result = a_crew(ScriptedModel(), description="word " * (40 * limits.KIB)).kickoff()
    assert len(reader.asked[0]["prompt"].encode()) <= limits.PROMPT
    assert "[… cut here: " in reader.asked[0]["prompt"]
    assert len(reader.asked[0]["title"]) <= limits.TITLE_CHARACTERS
    assert result.raw == "draft 1"


@both_roads
def test_max_execution_time_bounds_the_wait_for_a_person(person: People, kickoff: Kickoff) -> None:
    model, reader = ScriptedModel(), person(leave)
    with pytest.raises((Unanswered, TimeoutError)):
        kickoff(a_crew(model, agent={"max_execution_time": 1}))
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert reader.settled[0]["status"] == "cancelled"
    assert reader.asked[0]["deadline"] is not None
    assert len(reader.asked) == 1
    assert model.calls == 1


async def test_cancelling_an_awaited_kickoff_cancels_its_request(person: People) -> None:
    reader = person(leave)
    running = asyncio.create_task(a_crew(ScriptedModel()).akickoff())
    await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(reader.wait_until, lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["status"], reader.settled[0]["reason"]) == ("cancelled", "asker-gone")
    assert reader.settled[0]["human_feedback"] == ""


@both_roads
def test_a_guardrail_that_fails_after_feedback_asks_again_as_a_new_request(person: People, kickoff: Kickoff) -> None:
    verdicts = [(False, "say more"), (True, "checked")]
    model = ScriptedModel()
    reader = person(in_turn([{"human_feedback": "shorter"}, APPROVE, APPROVE]))
    result = kickoff(a_crew(model, guardrail=lambda output: verdicts.pop(0)))
    assert result.raw == "checked"
    assert [one["round"] for one in reader.asked] == [1, 2, 1]
    assert reader.asked[2]["previous"] is None
    assert len({one["request_id"] for one in reader.asked}) == 3
    assert len({(one["execution_id"], one["task_id"]) for one in reader.asked}) == 1
    assert model.calls == 3


@both_roads
def test_each_attempt_at_a_task_has_its_max_execution_time_anew(person: People, kickoff: Kickoff) -> None:
    verdicts = [(False, "say more"), (True, "checked")]
    reader = person(in_turn([APPROVE, APPROVE]))
    crew = a_crew(ScriptedModel(), agent={"max_execution_time": 60}, guardrail=lambda output: verdicts.pop(0))
    assert kickoff(crew).raw == "checked"
    reader.wait_until(lambda it: len(it.settled) == 2)
    deadlines = [datetime.fromisoformat(one["deadline"]) for one in reader.asked]
    asked, settled = (datetime.fromisoformat(one[0]["timestamp"]) for one in (reader.asked, reader.settled))
    assert deadlines[1] - deadlines[0] >= settled - asked  # the second attempt began after the first was settled


class Letter(BaseModel):
    model_config = ConfigDict(strict=True)

    full_name: str = Field(alias="fullName")
    sent: datetime


@both_roads
@structured
def test_a_draft_of_a_strict_model_with_aliases_is_edited_in_the_form_in_which_it_is_shown(
    person: People, kickoff: Kickoff, output: str
) -> None:
    def edit(asked: dict[str, Any]) -> dict[str, Any]:
        return {"decision": "edit", "edited": json.loads(asked["context"]) | {"fullName": "Ada Lovelace"}}

    written = {"fullName": "Ada", "sent": "2030-01-31T12:00:00Z"}
    model, reader = ScriptedModel(lambda number, feedback: json.dumps(written)), person(edit)
    result = kickoff(a_crew(model, **{output: Letter}))
    assert json.loads(reader.asked[0]["context"]) == written
    assert reader.asked[0]["reason_flags"]["missing_field"] is False
    assert [one["round"] for one in reader.asked] == [1]
    assert json.loads(result.raw) == written | {"fullName": "Ada Lovelace"}
    assert Letter.model_validate_json(result.raw).sent.year == 2030


def test_a_draft_that_crewai_has_read_already_is_shown_by_alias_and_edited_in_that_form() -> None:
    crew = a_crew(ScriptedModel(), output_pydantic=Letter)
    written = {"fullName": "Ada", "sent": "2030-01-31T12:00:00Z"}
    draft = AgentFinish(thought="", output=Letter.model_validate_json(json.dumps(written)), text="")
    context: Any = SimpleNamespace(crew=crew, task=crew.tasks[0], agent=crew.agents[0])
    review = Review(draft, context)

    question = review.question()
    edited = written | {"fullName": "Ada Lovelace"}
    answer = Answer(answer_id=new_id(), decision="edit", edited=edited)
    asked = request(context=question.context, response_schema=question.response_schema, kind="review")
    step = review.take(asked.answered(answer, by="key:default", channel="http", now=NOW, event_id=new_id()))

    assert json.loads(question.context) == written
    assert step == "done"
    assert isinstance(review.draft.output, Letter)
    assert review.draft.output.full_name == "Ada Lovelace"


@both_roads
@structured
def test_an_edit_that_only_the_outputs_own_validator_refuses_is_asked_for_again(
    person: People, kickoff: Kickoff, output: str
) -> None:
    model = ScriptedModel(lambda number, feedback: json.dumps({"lines": 2}))
    edits = [{"decision": "edit", "edited": {"lines": lines}} for lines in (3, 4)]
    reader = person(in_turn(edits))
    assert kickoff(a_crew(model, **{output: Even})).to_dict() == {"lines": 4}
    assert [one["round"] for one in reader.asked] == [1, 2]
    assert model.calls == 1
