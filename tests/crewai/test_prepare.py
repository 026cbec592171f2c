"""`install(asker, prepare)` changes questions before they are asked; deadlines of a crew; whose run it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from crewai import Crew
from crewai.flow.flow import Flow, start
from crewai.flow.human_feedback import human_feedback
from crewai.tools import BaseTool
from pydantic import BaseModel, ConfigDict

import sayso
from sayso import HumanInputServer, Question
from sayso.adapters.crewai import AskHuman, Rejected, Unanswered, execution, install, provider, whereabouts
from sayso.errors import Misconfigured
from tests.builders import Even
from tests.client.askers import connecting
from tests.conftest import KEY
from tests.crewai.person import APPROVE, LONGEST, Person, in_turn, leave
from tests.crewai.roads import Kickoff, both_roads
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

People = Callable[..., Person]
Prepare = Callable[[Question, Any], Any]
SOON = 0.05


@contextmanager
def prepared(asker: Any, prepare: Prepare | None) -> Iterator[None]:
    undo = install(asker, prepare)
    try:
        yield
    finally:
        undo()


def _with(**members: Any) -> Prepare:
    return lambda question, context: question.replace(**members)


# What is prepared


@both_roads
def test_each_task_s_review_is_asked_as_it_was_prepared(
    server: HumanInputServer, person: People, kickoff: Kickoff
) -> None:
    deadline = datetime(2040, 1, 1, tzinfo=UTC)
    by_task: dict[str, dict[str, Any]] = {
        "first": {"priority": "urgent", "title": "Look at this", "deadline": deadline, "assignees": ("ada",)},
        "second": {"reason_flags": {"ambiguity": True}, "metadata": {"ticket": 7}, "timeout": 600.0},
    }
    writer = an_agent(ScriptedModel())
    crew = Crew(agents=[writer], tasks=[a_task(writer, name=name) for name in by_task])
    reader = person(in_turn([APPROVE, {"human_feedback": "shorter"}, APPROVE]))
    with prepared(server, lambda question, context: question.replace(**by_task[context.task.name])):
        kickoff(crew)
    first, *second = reader.asked
    assert (first["priority"], first["title"], first["assignees"]) == ("urgent", "Look at this", ["ada"])
    assert first["deadline"] == "2040-01-01T00:00:00Z"
    assert (first["metadata"], first["reason_flags"]["ambiguity"]) == ({}, False)
    for one in second:  # each round of it
        assert (one["priority"], one["title"], one["assignees"]) == ("normal", "second", [])
        assert (one["metadata"], one["reason_flags"]["ambiguity"]) == ({"ticket": 7}, True)
        assert one["deadline"] is not None
    assert [one["round"] for one in second] == [1, 2]


@both_roads
def test_prepare_sees_the_question_as_it_would_be_asked_and_crewais_own_objects(
    server: HumanInputServer, person: People, kickoff: Kickoff
) -> None:
    seen: list[tuple[Question, Any]] = []

    def look(question: Question, context: Any) -> Question:
        seen.append((question, context.task))
        return question

    crew, reader = a_crew(ScriptedModel(), name="poem"), person(in_turn([{"human_feedback": "shorter"}, APPROVE]))
    with prepared(server, look):
        assert kickoff(crew).raw == "draft 2 with: shorter"
    assert [(one.prompt, one.context, one.round) for one, _ in seen] == [
        (one["prompt"], one["context"], one["round"]) for one in reader.asked
    ]
    assert [task.name for _, task in seen] == ["poem", "poem"]
    assert seen[0][0].kind == "review"


def test_an_edit_after_a_prepared_question_is_checked_as_ever(server: HumanInputServer, person: People) -> None:
    person(in_turn([{"decision": "edit", "edited": "Mine."}]))
    with prepared(server, _with(allow=("approve", "edit"), title="Yes, or your own")):
        assert a_crew(ScriptedModel()).kickoff().raw == "Mine."


class _Steps(Flow[dict[str, Any]]):
    @start()
    @human_feedback(message="Ship it?")
    def write(self) -> str:
        return "the draft"


def test_a_flow_s_question_is_prepared_too(server: HumanInputServer, person: People) -> None:
    reader = person(in_turn([APPROVE]))
    with prepared(
        server, lambda question, context: question.replace(priority="high", metadata={"method": context.method_name})
    ):
        _Steps(suppress_flow_events=True).kickoff()
    assert (reader.asked[0]["priority"], reader.asked[0]["metadata"]) == ("high", {"method": "write"})


def _fails(question: Question, context: Any) -> Question:
    raise KeyError("redacted")


def _forgets(question: Question, context: Any) -> Any:
    question.replace(priority="high")


def _misspells(question: Question, context: Any) -> Question:
    return question.replace(priorty="high")


failing = pytest.mark.parametrize(
    ("prepare", "why"),
    [(_fails, "redacted"), (_forgets, "NoneType"), (_misspells, "priorty"), (_with(timeout=-1), "/timeout")],
    ids=["raises", "returns nothing", "misspells a member", "cannot be asked"],
)


@both_roads
@failing
def test_what_could_not_be_prepared_is_not_asked_and_ends_the_run(
    server: HumanInputServer, client: httpx.Client, kickoff: Kickoff, prepare: Prepare, why: str
) -> None:
    model = ScriptedModel()
    with prepared(server, prepare), pytest.raises(Unanswered, match=why):
        kickoff(a_crew(model, agent={"max_retry_limit": 3}))
    assert client.get("/requests").json()["requests"] == []
    assert model.calls == 1


@pytest.mark.parametrize(("prepare", "why"), [(_fails, "KeyError"), (_forgets, "prepare must return")])
def test_the_log_says_what_is_wrong_with_a_prepare(
    server: HumanInputServer, caplog: pytest.LogCaptureFixture, prepare: Prepare, why: str
) -> None:
    with prepared(server, prepare), pytest.raises(Unanswered):
        a_crew(ScriptedModel()).kickoff()
    errors = [one for one in caplog.records if one.levelname == "ERROR" and one.name.startswith("sayso")]
    assert any(why in one.getMessage() or why in str(one.exc_text) for one in errors), caplog.text


def test_a_flow_s_question_that_could_not_be_prepared_is_not_asked(
    server: HumanInputServer, client: httpx.Client
) -> None:
    with prepared(server, _fails), pytest.raises(Unanswered, match="redacted"):
        _Steps(suppress_flow_events=True).kickoff()
    assert client.get("/requests").json()["requests"] == []


# When it holds


@pytest.mark.parametrize("order", ["installed, then started", "started, then installed"])
def test_prepare_holds_whichever_came_first(serve: Callable[..., HumanInputServer], order: str) -> None:
    server = HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True)
    guard = threading.Timer(4 * LONGEST, server.stop)
    guard.start()
    try:
        if order == "installed, then started":
            undo = install(server, _with(priority="high"))
            server.__enter__()
        else:
            server.__enter__()
            undo = install(server, _with(priority="high"))
        with Person(server.url, in_turn([APPROVE, APPROVE]), gone=server.stop) as reader:
            a_crew(ScriptedModel()).kickoff()
            undo()
            a_crew(ScriptedModel()).kickoff()
    finally:
        guard.cancel()
        server.stop()
    assert [one["priority"] for one in reader.asked] == ["high", "normal"]


def test_the_latest_prepare_counts_and_undoing_it_restores_the_one_before(
    server: HumanInputServer, person: People
) -> None:
    reader = person(lambda asked: APPROVE)
    with prepared(server, _with(priority="low", title="outer")):
        with prepared(server, _with(priority="urgent")):
            a_crew(ScriptedModel()).kickoff()
        a_crew(ScriptedModel()).kickoff()
    a_crew(ScriptedModel()).kickoff()
    assert [one["priority"] for one in reader.asked] == ["urgent", "low", "normal"]
    assert [one["title"] for one in reader.asked][1] == "outer"


def test_undoing_twice_takes_out_only_one_s_own(server: HumanInputServer, person: People) -> None:
    reader = person(lambda asked: APPROVE)
    with prepared(server, _with(priority="low")):
        undo = install(server, _with(priority="urgent"))
        undo()
        undo()
        a_crew(ScriptedModel()).kickoff()
    assert [one["priority"] for one in reader.asked] == ["low"]


def test_a_prepare_is_for_its_own_asker_alone(
    server: HumanInputServer, serve: Callable[..., HumanInputServer], person: People
) -> None:
    reader = person(lambda asked: APPROVE)
    with prepared(server, _with(priority="high")):
        other = serve(adapters=True)
        with Person(other.url, lambda asked: APPROVE, gone=other.stop) as elsewhere:
            a_crew(ScriptedModel()).kickoff()
        other.stop()
        a_crew(ScriptedModel()).kickoff()
    assert [one["priority"] for one in elsewhere.asked] == ["normal"]
    assert [one["priority"] for one in reader.asked] == ["high"]


# Question.replace


def test_a_timeout_takes_the_place_of_a_deadline_and_the_other_way_round() -> None:
    later = datetime(2040, 1, 1, tzinfo=UTC)
    asked = Question(execution_id="run-1", prompt="Ship it?", timeout=5)
    assert (asked.replace(deadline=later).timeout, asked.replace(deadline=later).deadline) == (None, later)
    back = asked.replace(deadline=later).replace(timeout=7)
    assert (back.timeout, back.deadline) == (7, None)
    assert asked.replace(deadline=None).timeout == 5
    assert asked.replace(timeout=None, deadline=None) == Question(execution_id="run-1", prompt="Ship it?")
    assert asked.replace(title="x").timeout == 5
    both = asked.replace(timeout=1, deadline=later)
    assert (both.timeout, both.deadline) == (1, later)  # the server refuses it


def test_replacing_a_member_that_a_question_does_not_have_is_an_error() -> None:
    with pytest.raises(TypeError, match="priorty"):
        Question(execution_id="run-1", prompt="Ship it?").replace(priorty="high")


# Deadlines of a crew's question


@pytest.mark.promise("SETTLE-3")
@both_roads
def test_a_review_that_is_approved_at_its_deadline_takes_the_draft(
    server: HumanInputServer, person: People, kickoff: Kickoff
) -> None:
    model, reader = ScriptedModel(), person(leave)
    with prepared(server, _with(timeout=SOON, on_timeout="approve")):
        assert kickoff(a_crew(model)).raw == "draft 1"
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["status"], reader.settled[0]["decision"]) == ("expired", "approve")
    assert model.calls == 1


@both_roads
@pytest.mark.parametrize(
    ("default", "result", "calls"),
    [
        ("", "draft 1", 1),
        ({"decision": "approve"}, "draft 1", 1),
        ({"decision": "edit", "edited": "Mine."}, "Mine.", 1),
        ("shorter", "draft 2 with: shorter", 2),
        ({"decision": "respond", "text": "kinder"}, "draft 2 with: kinder", 2),
    ],
)
def test_a_default_does_at_the_deadline_what_that_answer_would(
    *, server: HumanInputServer, person: People, kickoff: Kickoff, default: Any, result: str, calls: int
) -> None:
    def until(question: Question, context: Any) -> Question:
        return question.replace(timeout=SOON, default=default if question.round == 1 else "", on_timeout=None)

    model, reader = ScriptedModel(), person(leave)
    with prepared(server, until):
        assert kickoff(a_crew(model)).raw == result
    assert model.calls == calls
    reader.wait_until(lambda it: len(it.settled) == calls)
    assert {one["status"] for one in reader.settled} == {"expired"}


@both_roads
@pytest.mark.parametrize("on_timeout", [None, "reject", "cancel"])
def test_a_review_that_nobody_answered_ends_the_run_and_nobody_rejected_it(
    server: HumanInputServer, person: People, kickoff: Kickoff, on_timeout: Any
) -> None:
    model, reader = ScriptedModel(), person(leave)
    with (
        prepared(server, _with(timeout=SOON, on_timeout=on_timeout)),
        pytest.raises(Unanswered, match="nobody answered") as caught,
    ):
        kickoff(a_crew(model, agent={"max_retry_limit": 3}))
    assert not isinstance(caught.value, Rejected)
    assert (len(reader.asked), model.calls) == (1, 1)


def test_a_default_teaches_a_crew_in_training_its_words(
    server: HumanInputServer, person: People, tmp_path: Any
) -> None:
    """What nobody said in time was said beforehand."""
    model, reader = ScriptedModel(), person(leave)
    lessons: list[str] = []

    class Noted(Exception):
        pass

    def note(self: Any, draft: Any, feedback: str, context: Any) -> Any:
        lessons.append(feedback)
        raise Noted

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)  # training writes into the working directory
        patch.setattr(provider.TaskProvider, "_handle_training_feedback", note)
        with prepared(server, _with(timeout=SOON, default="shorter")), pytest.raises(Noted):
            a_crew(model, agent={"max_retry_limit": 0}).train(n_iterations=1, filename=str(tmp_path / "it.pkl"))
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert lessons[:1] == ["shorter"]


# A server elsewhere


@both_roads
def test_a_crew_asks_a_server_elsewhere(serve: Callable[..., HumanInputServer], kickoff: Kickoff) -> None:
    far, model = serve(), ScriptedModel()
    guard = threading.Timer(4 * LONGEST, far.stop)
    guard.start()
    with (
        connecting() as connect,
        Person(far.url, in_turn([{"human_feedback": "shorter"}, APPROVE]), gone=far.stop) as reader,
        prepared(connect(far.url, KEY), _with(priority="high")),
    ):
        assert kickoff(a_crew(model)).raw == "draft 2 with: shorter"
    guard.cancel()
    assert [(one["round"], one["priority"]) for one in reader.asked] == [(1, "high"), (2, "high")]
    assert model.calls == 2


@both_roads
def test_a_crew_s_question_that_a_server_elsewhere_refuses_ends_the_run(
    serve: Callable[..., HumanInputServer], kickoff: Kickoff
) -> None:
    far, model = serve(), ScriptedModel()
    with (
        connecting() as connect,
        prepared(connect(far.url, "another-key"), None),
        pytest.raises(Unanswered, match="key is needed"),
    ):
        kickoff(a_crew(model))
    assert model.calls == 1


# Whose run a question of the user's own belongs to


class _AskBoss(BaseTool):
    name: str = "ask_boss"
    description: str = "Asks the boss."

    def _run(self) -> str:
        return sayso.ask("Which colour?").text


class _Calls(ScriptedModel):
    """Uses a tool once, then says what it gave."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self._prompts.append(messages)
        text = "\n".join(str(one["content"]) for one in messages)
        _, called, since = text.rpartition("Action Input: {}")
        if called:
            said = since.rpartition("Observation: ")[2].splitlines()[0]
            return f"Thought: I now can give a great answer\nFinal Answer: {said}"
        return "Thought: I must ask\nAction: ask_boss\nAction Input: {}"


def test_a_question_of_a_crew_s_tool_belongs_to_the_crew_s_run(person: People) -> None:
    reader = person(in_turn([{"human_feedback": "Blue"}]))
    crew = a_crew(_Calls(), agent={"tools": [_AskBoss()]}, human_input=False)
    with execution("run-7"):
        assert "Blue" in crew.kickoff().raw
    assert (reader.asked[0]["execution_id"], reader.asked[0]["source"]["name"]) == ("run-7", "crewai")
    assert (reader.asked[0]["crew_id"], reader.asked[0]["task_id"]) == (str(crew.id), str(crew.tasks[0].id))
    assert reader.asked[0]["agent_id"] == str(crew.agents[0].id)


async def test_a_question_of_an_awaited_crew_s_tool_belongs_to_the_crew_s_run(person: People) -> None:
    reader = person(in_turn([{"human_feedback": "Blue"}]))
    crew = a_crew(_Calls(), agent={"tools": [_AskBoss()]}, human_input=False)
    async with asyncio.timeout(LONGEST):
        with execution("run-7"):
            assert "Blue" in (await crew.akickoff()).raw
    assert [(one["execution_id"], one["crew_id"]) for one in reader.asked] == [("run-7", str(crew.id))]


class _Asks(Flow[dict[str, Any]]):
    @start()
    def paint(self) -> str:
        return sayso.ask("Which colour?").text


class _Awaits(Flow[dict[str, Any]]):
    @start()
    async def paint(self) -> str:
        return (await sayso.aask("Which colour?")).text


@pytest.mark.parametrize("kind", [_Asks, _Awaits])
def test_a_question_of_a_flow_s_method_belongs_to_the_flow_s_run(person: People, kind: type[Flow[Any]]) -> None:
    reader = person(in_turn([{"human_feedback": "Blue"}]))
    with execution("run-7"):
        flow = kind(suppress_flow_events=True)
        assert flow.kickoff() == "Blue"
    assert (reader.asked[0]["execution_id"], reader.asked[0]["source"]["native"]["method_name"]) == ("run-7", "paint")
    assert reader.asked[0]["crew_id"] == flow.flow_id


def test_a_question_after_a_crew_has_run_belongs_to_no_run(person: People) -> None:
    reader = person(in_turn([APPROVE, {"human_feedback": "Blue"}]))
    with execution("run-7"):
        a_crew(ScriptedModel()).kickoff()
    assert sayso.ask("Which colour?").text == "Blue"
    assert (reader.asked[1]["execution_id"] != "run-7", reader.asked[1]["source"]["name"]) == (True, "python")


def test_an_execution_that_the_caller_names_wins_over_the_run(person: People) -> None:
    reader = person(in_turn([{"human_feedback": "Blue"}]))

    class Named(Flow[dict[str, Any]]):
        @start()
        def paint(self) -> str:
            return sayso.ask("Which colour?", execution_id="mine").text

    with execution("run-7"):
        Named(suppress_flow_events=True).kickoff()
    assert reader.asked[0]["execution_id"] == "mine"


def test_a_tool_with_an_asker_of_its_own_that_is_installed_is_prepared_too(
    server: HumanInputServer, person: People
) -> None:
    """Nothing is asked that was not prepared: it may hold what that code would remove."""
    reader = person(in_turn([{"human_feedback": "Blue"}, {"human_feedback": "Blue"}]))
    with prepared(server, _with(priority="high")):
        AskHuman().run(question="Which colour?")
        AskHuman(asker=server).run(question="Which colour?")
    assert [one["priority"] for one in reader.asked] == ["high", "high"]


# Who is asked, and where a question belongs


def test_a_stopped_server_that_was_installed_does_not_stand_before_one_that_runs(
    server: HumanInputServer, person: Callable[..., Person]
) -> None:
    with ExitStack() as undo:
        other = HumanInputServer(port=0, store=":memory:", quiet=True)
        undo.callback(install(other, prepare=lambda question, context: question.replace(priority="urgent")))
        other.stop()
        reader = person(in_turn([APPROVE]))
        a_crew(ScriptedModel()).kickoff()
    assert [one["priority"] for one in reader.asked] == ["normal"]


def test_what_is_installed_is_asked_by_code_that_names_no_framework(serve: Callable[..., HumanInputServer]) -> None:
    elsewhere = serve(store=":memory:")
    with ExitStack() as stack, connecting() as connect:
        stack.enter_context(Person(elsewhere.url, lambda asked: {"human_feedback": "yes"}, gone=elsewhere.stop))
        here = stack.enter_context(HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False))
        stack.callback(install(connect(elsewhere.url, api_key=KEY)))
        assert sayso.ask("Well?").text == "yes"
        assert httpx.get(f"{here.url}/requests").json()["requests"] == []


def test_runs_that_fail_leave_nothing_behind(person: Callable[..., Person]) -> None:
    person(lambda asked: {"decision": "reject"})
    for _ in range(5):
        with pytest.raises(Rejected):
            a_crew(ScriptedModel()).kickoff()
    former = whereabouts._former.get()
    assert former is None or former.earlier is None


class Price(BaseModel):
    amount: Decimal


def test_a_form_with_an_amount_of_money_can_be_asked(person: Callable[..., Person], server: HumanInputServer) -> None:
    reader = person(lambda asked: {"values": {"amount": "12.50"}})
    assert sayso.ask("How much?", response=Price, asker=server).values == Price(amount=Decimal("12.50"))
    assert "amount" in reader.asked[0]["response_schema"]["properties"]
    assert AskHuman(response=Price)._run("How much?") == '{"amount":"12.50"}'


def test_a_tool_whose_form_cannot_be_asked_says_so_when_it_is_made() -> None:
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        lock: type[ExitStack]
        stack: ExitStack

    with pytest.raises(Misconfigured, match="Odd has no JSON Schema"):
        AskHuman(response=Odd)


def test_a_tools_time_does_not_begin_anew_when_the_person_is_asked_again(
    person: Callable[..., Person], server: HumanInputServer
) -> None:
    reader = person(in_turn([{"values": {"lines": 3}}, {"values": {"lines": 4}}]))
    AskHuman(response=Even, timeout=3600)._run("How many?")
    assert reader.asked[0]["deadline"] == reader.asked[1]["deadline"] is not None
