"""A crew under a durable id outlives its process: it finds its drafts, its questions and the answers to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from crewai import Crew
from pydantic import BaseModel

from sayso import HumanInputServer
from sayso.adapters.crewai import Rejected, Stopped, Unanswered, execution, install
from sayso.errors import Invalid
from sayso.model import Question
from tests.conftest import KEY
from tests.crewai.person import APPROVE, LONGEST, Message, Person, leave
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

Serve = Callable[..., HumanInputServer]
Aside = Callable[..., Future[Any]]
ID = "order-42"


class Runs:
    """One durable run after another in one store: each ends where the test stops its server."""

    def __init__(self, serve: Serve, aside: Aside, store: str) -> None:
        self._serve = serve
        self._aside = aside
        self._store = store
        self.server: HumanInputServer
        self.person: Person
        self.start()

    def start(self, answered: Message | None = None, **answer: Any) -> None:
        self.server = self._serve(adapters=True, store=self._store)
        self.person = Person(self.server.url, leave, gone=self.server.stop)
        if answered is not None:
            self.person.answer(answered["request_id"], **answer)
        self.person.__enter__()

    def again(self, answered: Message | None = None, **answer: Any) -> None:
        """The process ended, and another one begins on the same store; `answered` is answered before anything runs."""
        self.end()
        self.start(answered, **answer)

    def end(self) -> None:
        self.server.stop()
        self.person.__exit__(None, None, None)

    def begin(self, crew: Crew, inputs: dict[str, Any] | None = None, *, id: str = ID) -> Future[Any]:
        """Kicks a crew off in a thread of its own."""
        return self._aside(run, crew, inputs, id=id)

    def begin_plain(self, crew: Crew) -> Future[Any]:
        """The same, under the same id, but not durable."""

        def kickoff() -> str:
            with execution(ID):
                return str(crew.kickoff().raw)

        return self._aside(kickoff)

    def asked(self, number: int) -> Message:
        """The request that was asked as the so-manieth while this server runs."""
        self.person.wait_until(lambda it: len(it.asked) >= number)
        return self.person.asked[number - 1]

    def all(self) -> list[Message]:
        """Every request of the store."""
        import httpx

        listed = httpx.get(f"{self.server.url}/requests", headers={"Authorization": f"Bearer {KEY}"}).json()
        return list(listed["requests"])


@pytest.fixture
def runs(serve: Serve, aside: Aside, tmp_path: Path) -> Iterator[Runs]:
    runs = Runs(serve, aside, f"sqlite:///{tmp_path / 'durable.db'}")
    guard = threading.Timer(6 * LONGEST, lambda: runs.server.stop())  # noqa: PLW0108 - the server of that moment
    guard.start()
    yield runs
    guard.cancel()
    runs.end()


def run(crew: Crew, inputs: dict[str, Any] | None = None, *, id: str = ID) -> str:
    with execution(id, durable=True):
        return str(crew.kickoff(inputs or {}).raw)


def unlike(number: int, feedback: str) -> str:
    """A draft that no other model would write: whoever sees it knows who wrote it."""
    return f"other {number}"


@pytest.mark.promise("SETTLE-4")
def test_a_crew_that_is_run_again_finds_its_question_and_its_draft(runs: Runs) -> None:
    first = runs.begin(a_crew(ScriptedModel()))
    asked = runs.asked(1)
    runs.again()
    with pytest.raises(Stopped):
        first.result(LONGEST)

    model = ScriptedModel(unlike)
    second = runs.begin(a_crew(model))
    assert runs.asked(1)["request_id"] == asked["request_id"]
    runs.person.answer(asked["request_id"], **APPROVE)
    assert (second.result(LONGEST), model.calls) == ("draft 1", 0)
    assert [one["status"] for one in runs.all()] == ["answered"]


def test_an_answer_that_came_while_nothing_ran_is_taken(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel()))
    asked = runs.asked(1)
    runs.again(asked, decision="edit", edited="my own")

    model = ScriptedModel(unlike)
    assert (run(a_crew(model)), model.calls) == ("my own", 0)


def test_feedback_that_came_while_nothing_ran_makes_one_new_draft_of_the_old_conversation(runs: Runs) -> None:
    unbroken = ScriptedModel()
    whole = runs.begin(a_crew(unbroken), id="unbroken")
    runs.person.answer(runs.asked(1)["request_id"], human_feedback="shorter")
    runs.person.answer(runs.asked(2)["request_id"], **APPROVE)
    whole.result(LONGEST)
    runs.begin(a_crew(ScriptedModel()))
    asked = runs.asked(3)
    runs.again(asked, human_feedback="shorter")

    model = ScriptedModel()
    again = runs.begin(a_crew(model))
    later = runs.asked(1)
    assert (later["round"], later["previous"], later["context"]) == (2, asked["request_id"], "draft 2 with: shorter")
    runs.person.answer(later["request_id"], **APPROVE)
    assert (again.result(LONGEST), model.calls) == ("draft 2 with: shorter", 1)
    assert _said(model._prompts[0]) == _said(unbroken._prompts[1])


def test_a_later_round_is_gone_on_with_from_its_own_draft(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel()))
    runs.person.answer(runs.asked(1)["request_id"], human_feedback="shorter")
    second = runs.asked(2)
    runs.again()

    model = ScriptedModel(unlike)
    again = runs.begin(a_crew(model))
    found = runs.asked(1)
    assert (found["request_id"], found["round"], found["context"]) == (
        second["request_id"],
        2,
        "draft 2 with: shorter",
    )
    runs.person.answer(found["request_id"], **APPROVE)
    assert (again.result(LONGEST), model.calls) == ("draft 2 with: shorter", 0)
    assert len(runs.all()) == 2


@pytest.mark.parametrize("human_input", [True, False])
def test_a_task_that_had_ended_is_not_done_again(runs: Runs, human_input: bool) -> None:
    def crew(model: ScriptedModel) -> Crew:
        writer = an_agent(model)
        return Crew(
            agents=[writer],
            tasks=[a_task(writer, description="first", human_input=human_input), a_task(writer, description="second")],
        )

    runs.begin(crew(ScriptedModel()))
    if human_input:
        runs.person.answer(runs.asked(1)["request_id"], decision="edit", edited="my own first")
    runs.asked(2 if human_input else 1)
    runs.again()

    model = ScriptedModel(unlike)
    again = runs.begin(crew(model))
    runs.person.answer(runs.asked(1)["request_id"], **APPROVE)
    again.result(LONGEST)
    assert model.calls == 0


async def test_a_crew_on_a_loop_finds_its_draft_too(runs: Runs) -> None:
    async def kickoff(crew: Crew) -> str:
        with execution(ID, durable=True):
            return str((await crew.akickoff()).raw)

    first = asyncio.create_task(kickoff(a_crew(ScriptedModel())))
    asked = await asyncio.to_thread(runs.asked, 1)
    await asyncio.to_thread(runs.again)
    with pytest.raises(Stopped):
        await first

    model = ScriptedModel(unlike)
    second = asyncio.create_task(kickoff(a_crew(model)))
    assert (await asyncio.to_thread(runs.asked, 1))["request_id"] == asked["request_id"]
    await asyncio.to_thread(runs.person.answer, asked["request_id"], human_feedback="shorter")
    later = await asyncio.to_thread(runs.asked, 2)
    await asyncio.to_thread(runs.person.answer, later["request_id"], **APPROVE)
    assert (await second, model.calls) == ("other 2", 1)


def test_a_run_that_had_ended_gives_the_same_again_and_asks_nobody(runs: Runs) -> None:
    first = runs.begin(a_crew(ScriptedModel()))
    runs.person.answer(runs.asked(1)["request_id"], human_feedback="shorter")
    runs.person.answer(runs.asked(2)["request_id"], **APPROVE)
    result = first.result(LONGEST)
    runs.again()
    model = ScriptedModel(unlike)
    assert (run(a_crew(model)), model.calls) == (result, 0)
    assert len(runs.all()) == 2


def test_what_was_rejected_stays_rejected(runs: Runs) -> None:
    first = runs.begin(a_crew(ScriptedModel()))
    runs.person.answer(runs.asked(1)["request_id"], decision="reject", text="no")
    with pytest.raises(Rejected):
        first.result(LONGEST)
    runs.again()
    with pytest.raises(Rejected, match="no"):
        run(a_crew(ScriptedModel(unlike)))


# which question is whose


def test_a_guardrail_that_has_the_task_done_again_makes_a_new_question(runs: Runs) -> None:
    def crew(model: ScriptedModel, seen: list[str]) -> Crew:
        def guardrail(output: Any):  # type: ignore[no-untyped-def]  # crewAI reads the annotation, as a text no more
            seen.append(output.raw)
            return (len(seen) > 1, output.raw if len(seen) > 1 else "once more")

        return a_crew(model, guardrail=guardrail)

    drafts = iter(["one", "two"])
    first = runs.begin(crew(ScriptedModel(lambda number, feedback: next(drafts)), []))
    one = runs.asked(1)
    runs.person.answer(one["request_id"], **APPROVE)
    two = runs.asked(2)
    assert (two["request_id"] != one["request_id"], two["context"]) == (True, "two")
    runs.again()
    with pytest.raises(Stopped):
        first.result(LONGEST)

    model, seen = ScriptedModel(unlike), list[str]()
    again = runs.begin(crew(model, seen))
    assert runs.asked(1)["request_id"] == two["request_id"]
    runs.person.answer(two["request_id"], **APPROVE)
    assert (again.result(LONGEST), model.calls, seen) == ("two", 0, ["one", "two"])


def test_equal_tasks_have_questions_of_their_own(runs: Runs) -> None:
    def crew(model: ScriptedModel) -> Crew:
        writer = an_agent(model)
        return Crew(agents=[writer], tasks=[a_task(writer), a_task(writer)])

    runs.begin(crew(ScriptedModel()))
    runs.person.answer(runs.asked(1)["request_id"], decision="edit", edited="first of two")
    second = runs.asked(2)
    runs.again()

    model = ScriptedModel(unlike)
    again = runs.begin(crew(model))
    assert runs.asked(1)["request_id"] == second["request_id"]
    runs.person.answer(second["request_id"], decision="edit", edited="second of two")
    assert (again.result(LONGEST), model.calls) == ("second of two", 0)


def test_the_inputs_of_for_each_make_different_questions(runs: Runs) -> None:
    def kickoff(model: ScriptedModel) -> list[str]:
        crew = a_crew(model, description="Write of {topic}")
        with execution(ID, durable=True):
            return [one.raw for one in crew.kickoff_for_each([{"topic": "ferries"}, {"topic": "trains"}])]

    first = runs._aside(kickoff, ScriptedModel())
    runs.person.answer(runs.asked(1)["request_id"], decision="edit", edited="of ferries")
    trains = runs.asked(2)
    assert "trains" in trains["prompt"]
    runs.again()
    with pytest.raises(Stopped):
        first.result(LONGEST)

    model = ScriptedModel(unlike)
    again = runs._aside(kickoff, model)
    assert runs.asked(1)["request_id"] == trains["request_id"]
    runs.person.answer(trains["request_id"], decision="edit", edited="of trains")
    assert (again.result(LONGEST), model.calls) == (["of ferries", "of trains"], 0)


def test_tasks_that_wait_side_by_side_each_find_their_own(runs: Runs) -> None:
    def crew(model: ScriptedModel) -> Crew:
        agents = [an_agent(model, role=role) for role in ("A", "B")]
        tasks = [a_task(agent, description=f"by {agent.role}", async_execution=True) for agent in agents]
        last = a_task(agents[0], description="both", context=tasks, human_input=False)
        return Crew(agents=agents, tasks=[*tasks, last])

    runs.begin(crew(ScriptedModel()))
    before = {runs.asked(number)["context_data"]["agent"]: runs.asked(number)["request_id"] for number in (1, 2)}
    runs.again()
    runs.person.answer(before["B"], decision="edit", edited="from B")

    model = ScriptedModel(unlike)
    again = runs.begin(crew(model))
    runs.person.wait_until(lambda it: any(one["request_id"] == before["A"] for one in it.asked))
    runs.person.answer(before["A"], decision="edit", edited="from A")
    again.result(LONGEST)
    assert model.calls == 1  # of the last task, which nobody had done
    assert len(runs.all()) == 2


@pytest.mark.parametrize("change", ["id", "inputs", "role"])
def test_another_id_other_inputs_or_another_agent_are_another_question(runs: Runs, change: str) -> None:
    def crew(role: str) -> Crew:
        return a_crew(ScriptedModel(), agent={"role": role}, description="Write of {topic}")

    runs.begin(crew("Writer"), {"topic": "ferries"})
    one = runs.asked(1)
    other = {
        "id": lambda: runs.begin(crew("Writer"), {"topic": "ferries"}, id="order-43"),
        "inputs": lambda: runs.begin(crew("Writer"), {"topic": "trains"}),
        "role": lambda: runs.begin(crew("Poet"), {"topic": "ferries"}),
    }[change]
    other()
    assert runs.asked(2)["request_id"] != one["request_id"]


def test_a_run_that_is_not_durable_finds_nothing_of_one_that_is(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel()))
    one = runs.asked(1)
    model = ScriptedModel(unlike)
    plain = runs.begin_plain(a_crew(model))
    two = runs.asked(2)
    assert two["request_id"] != one["request_id"]
    runs.person.answer(two["request_id"], **APPROVE)
    assert (plain.result(LONGEST), model.calls) == ("other 1", 1)


def test_another_execution_inside_a_durable_one_is_not_durable(runs: Runs) -> None:
    def kickoff(model: ScriptedModel) -> str:
        with execution(ID, durable=True), execution("plain"):
            return str(a_crew(model).kickoff().raw)

    first = runs._aside(kickoff, ScriptedModel())
    runs.asked(1)
    runs.again()
    with pytest.raises(Stopped):
        first.result(LONGEST)
    assert [one["reason"] for one in runs.all()] == ["asker-gone"]


# what is kept


class Haiku(BaseModel):
    lines: list[str]


def test_an_output_model_comes_back_as_one(runs: Runs) -> None:
    def crew(model: ScriptedModel) -> Crew:
        return a_crew(model, output_pydantic=Haiku, response_model=Haiku)

    runs.begin(crew(ScriptedModel(lambda number, feedback: '{"lines": ["a", "b"]}')))
    asked = runs.asked(1)
    runs.again(asked, **APPROVE)
    model = ScriptedModel(unlike)
    with execution(ID, durable=True):
        result = crew(model).kickoff()
    assert (result.pydantic, model.calls) == (Haiku(lines=["a", "b"]), 0)


def test_a_question_is_found_although_prepare_says_something_else_now(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel()))
    asked = runs.asked(1)
    runs.again()

    def prepare(question: Question, context: Any) -> Question:
        return question.replace(prompt="Another text", context="another draft")

    undo = install(runs.server, prepare=prepare)
    again = runs.begin(a_crew(ScriptedModel(unlike)))
    assert runs.asked(1)["request_id"] == asked["request_id"]
    runs.person.answer(asked["request_id"], human_feedback="shorter")
    later = runs.asked(2)
    assert (later["prompt"], later["round"]) == ("Another text", 2)
    runs.person.answer(later["request_id"], **APPROVE)
    again.result(LONGEST)
    undo()


def test_a_conversation_that_is_too_long_is_kept_without_its_middle(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sayso import limits

    monkeypatch.setattr(limits, "RESUME", 9_000)
    long = ScriptedModel(lambda number, feedback: "x" * 1_000 if number < 3 else "y" * 1_000)
    runs.begin(a_crew(long))
    for number in (1, 2):
        runs.person.answer(runs.asked(number)["request_id"], human_feedback="more " + "z" * 2_500)
    asked = runs.asked(3)
    runs.again(asked, human_feedback="shorter")
    model = ScriptedModel(unlike)
    again = runs.begin(a_crew(model))
    runs.person.answer(runs.asked(1)["request_id"], **APPROVE)
    again.result(LONGEST)
    said = _said(model._prompts[0])
    assert any("y" * 1_000 in one for one in said)
    assert not any("z" * 2_500 in one for one in said)


def test_a_draft_that_is_too_large_to_keep_is_asked_about_all_the_same(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sayso import limits

    monkeypatch.setattr(limits, "RESUME", 100)
    first = runs.begin(a_crew(ScriptedModel()))
    runs.person.answer(runs.asked(1)["request_id"], **APPROVE)
    assert first.result(LONGEST) == "draft 1"
    assert "too large to be kept" in caplog.text


# what goes wrong


def test_a_durable_run_needs_an_id() -> None:
    with pytest.raises(Invalid, match="needed"), execution(durable=True):
        pass


def test_two_runs_at_once_under_one_id_are_told_apart_with_an_error(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel(lambda number, feedback: "mine")))
    runs.asked(1)
    # another process that looked before the first had kept its draft
    from sayso.adapters.crewai import durable

    other = a_crew(ScriptedModel(unlike))
    look = durable.Working.look
    try:
        durable.Working.look = lambda *_, **__: None  # type: ignore[method-assign]
        with pytest.raises(Unanswered, match="another question"):
            run(other)
    finally:
        durable.Working.look = look  # type: ignore[method-assign]
    assert len(runs.all()) == 1


def test_an_asker_that_keeps_nothing_is_refused(runs: Runs) -> None:
    class Forgetful:
        def submit(self, question: Question) -> Any:
            return runs.server.submit(question)

    undo = install(Forgetful())
    with pytest.raises(Unanswered, match="keeps drafts"):
        run(a_crew(ScriptedModel()))
    undo()


def test_without_a_server_the_console_asks_as_ever(runs: Runs, console: Any) -> None:
    runs.server.stop()
    console.feed("")
    assert run(a_crew(ScriptedModel())) == "draft 1"


def test_an_agent_that_fails_before_it_answers_goes_on_under_the_same_question(runs: Runs) -> None:
    def crew(fails: int, write: Callable[[int, str], str]) -> tuple[Crew, ScriptedModel]:
        left = [fails]

        def work(number: int, feedback: str) -> str:
            if left[0]:
                left[0] -= 1
                raise RuntimeError("the model is away")
            return write(number, feedback)

        model = ScriptedModel(work)
        return a_crew(model), model

    one, _ = crew(1, lambda number, feedback: "draft")
    runs.begin(one)
    asked = runs.asked(1)
    runs.again()
    two, model = crew(0, unlike)
    again = runs.begin(two)
    assert runs.asked(1)["request_id"] == asked["request_id"]
    runs.person.answer(asked["request_id"], **APPROVE)
    assert (again.result(LONGEST), model.calls) == ("draft", 0)


def test_the_executor_is_crewais_own_again_after_it_went_on_from_a_draft(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel()))
    asked = runs.asked(1)
    runs.again(asked, **APPROVE)
    model = ScriptedModel(unlike)
    crew = a_crew(model)
    assert run(crew) == "draft 1"
    plain = runs.begin_plain(crew)
    runs.person.answer(runs.asked(1)["request_id"], **APPROVE)
    assert (plain.result(LONGEST), model.calls) == ("other 1", 1)


def test_an_agent_with_little_time_has_no_deadline_in_a_durable_run(runs: Runs) -> None:
    runs.begin(a_crew(ScriptedModel(), agent={"max_execution_time": 30}))
    assert runs.asked(1)["deadline"] is None


def _said(prompt: list[dict[str, Any]]) -> list[str]:
    return [f"{one['role']}: {one['content']}" for one in prompt]
