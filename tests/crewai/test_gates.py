"""`context.request_human_input(…)` in crewAI's hooks: text in, text out; a call that nobody allowed does not run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from crewai import Agent
from crewai.flow.flow import Flow
from crewai.hooks import (
    InterceptionPoint,
    LLMCallHookContext,
    ToolCallHookContext,
    register_hook,
    unregister_hook,
)

from sayso import HumanInputServer
from sayso.adapters.crewai import Stopped, Unanswered, install
from tests.crewai.conftest import Console
from tests.crewai.person import APPROVE, LONGEST, Person, in_turn, leave
from tests.crewai.roads import Kickoff, both_roads
from tests.crewai.tool_models import (
    DONE,
    Args,
    NativeModel,
    ReActModel,
    ToolModel,
    a_tool_crew,
    both_models,
    delete_file,
    one_call,
)

People = Callable[..., Person]
Hooks = Callable[[InterceptionPoint, Callable[[Any], Any]], None]
ModelOf = Callable[..., ToolModel]

BEFORE_TOOL, AFTER_TOOL = InterceptionPoint.PRE_TOOL_CALL, InterceptionPoint.POST_TOOL_CALL
BEFORE_MODEL, AFTER_MODEL = InterceptionPoint.PRE_MODEL_CALL, InterceptionPoint.POST_MODEL_CALL
GATES = (BEFORE_TOOL, AFTER_TOOL, BEFORE_MODEL, AFTER_MODEL)
CONSOLE_WORDS = "Press Enter to continue, or provide feedback:"

each_gate = pytest.mark.parametrize("gate", GATES, ids=[gate.value for gate in GATES])


@pytest.fixture
def hook() -> Iterator[Hooks]:
    """Registers hooks that are gone after the test."""
    with ExitStack() as undo:

        def register(point: InterceptionPoint, function: Callable[[Any], Any]) -> None:
            register_hook(point, function)
            undo.callback(unregister_hook, point, function)

        yield register


def asks_once(heard: list[str], **words: str) -> Callable[[Any], None]:
    """A hook that asks at its first call, notes the answer, and lets everything through."""
    passed: list[Any] = []

    def ask(context: Any) -> None:
        if not passed:
            passed.append(context)
            heard.append(context.request_human_input(**{"prompt": "Go on?"} | words))

    return ask


def documented(context: ToolCallHookContext) -> bool | None:
    """The example in crewAI's documentation."""
    if context.tool_name == "delete_file":
        response = context.request_human_input(
            prompt="Allow file deletion?", default_message="Type 'approve' to continue:"
        )
        if response.lower() != "approve":
            return False
    return None


@each_gate
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (APPROVE, "approve"),
        ({"decision": "reject"}, "reject"),
        ({"decision": "reject", "text": "too late"}, "reject"),
        ({"human_feedback": "  Not the \n one in  use. \n"}, "Not the \n one in  use."),
        ({"decision": "respond", "text": "Approve"}, "Approve"),
        ({"human_feedback": " \n"}, ""),
    ],
    ids=["approve", "reject", "reject with a reason", "text", "respond", "blank"],
)
def test_a_gate_gives_its_hook_what_a_person_wrote(
    person: People, hook: Hooks, gate: InterceptionPoint, answer: dict[str, Any], text: str
) -> None:
    heard: list[str] = []
    hook(gate, asks_once(heard))
    reader = person(in_turn([answer]))
    crew = a_tool_crew(NativeModel(one_call()), delete_file([]))
    assert crew.kickoff().raw == DONE
    assert heard == [text]
    assert [one["kind"] for one in reader.asked] == ["gate"]


@each_gate
@both_models
@both_roads
def test_every_gate_asks_the_server_on_every_road(
    person: People, hook: Hooks, kickoff: Kickoff, model_of: ModelOf, gate: InterceptionPoint
) -> None:
    heard: list[str] = []
    hook(gate, asks_once(heard))
    reader, ran = person(in_turn([{"human_feedback": "seen"}])), []
    crew = a_tool_crew(model_of(one_call()), delete_file(ran))
    assert kickoff(crew).raw == DONE
    assert heard == ["seen"]
    assert len(ran) == 1
    (asked,) = reader.asked
    agent, task = crew.agents[0], crew.tasks[0]
    ids = (asked["crew_id"], asked["task_id"], asked["agent_id"])
    assert ids == (str(crew.id), str(task.id), str(agent.id))


@both_models
@both_roads
@pytest.mark.parametrize(
    ("answer", "runs"),
    [
        (APPROVE, True),
        ({"human_feedback": " Approve "}, True),
        ({"human_feedback": ""}, False),
        ({"human_feedback": "no"}, False),
        ({"decision": "reject"}, False),
    ],
    ids=["approve", "the word approve", "blank", "no", "reject"],
)
def test_crewais_documented_example_runs_the_tool_only_when_it_is_approved(
    *, person: People, hook: Hooks, kickoff: Kickoff, model_of: ModelOf, answer: dict[str, Any], runs: bool
) -> None:
    hook(BEFORE_TOOL, documented)
    person(in_turn([answer]))
    ran: list[Args] = []
    model = model_of(one_call())
    assert kickoff(a_tool_crew(model, delete_file(ran))).raw == DONE
    assert bool(ran) is runs
    assert ("blocked by hook" in model.results[0]) is not runs


@both_models
def test_a_gate_before_a_tool_call_shows_who_wants_to_call_what_with_which_arguments(
    person: People, hook: Hooks, model_of: ModelOf
) -> None:
    hook(BEFORE_TOOL, documented)
    reader = person(in_turn([APPROVE]))
    a_tool_crew(model_of(one_call(force=True)), delete_file([])).kickoff()
    (asked,) = reader.asked
    assert asked["title"] == "Clerk: delete_file"
    assert asked["prompt"] == "Allow file deletion?\n\nType 'approve' to continue:"
    assert json.loads(asked["context"]) == {"path": "a.txt", "force": True}
    assert asked["context_data"] == {"agent": "Clerk", "tool": "delete_file"}


@both_models
def test_a_gate_after_a_tool_call_shows_the_result(person: People, hook: Hooks, model_of: ModelOf) -> None:
    hook(AFTER_TOOL, asks_once([]))
    reader = person(in_turn([APPROVE]))
    a_tool_crew(model_of(one_call()), delete_file([])).kickoff()
    assert [one["context"] for one in reader.asked] == ["deleted a.txt"]
    assert [one["title"] for one in reader.asked] == ["Clerk: delete_file"]


@both_models
def test_a_gate_before_a_model_call_shows_the_last_message(person: People, hook: Hooks, model_of: ModelOf) -> None:
    hook(BEFORE_MODEL, asks_once([]))
    reader = person(in_turn([APPROVE]))
    a_tool_crew(model_of(one_call()), delete_file([])).kickoff()
    (asked,) = reader.asked
    assert "Tidy up" in asked["context"]
    assert asked["title"] == "Clerk: model call"
    assert asked["context_data"] == {"agent": "Clerk"}


def test_a_gate_after_a_model_call_shows_what_the_model_wrote(person: People, hook: Hooks) -> None:
    hook(AFTER_MODEL, asks_once([]))
    reader = person(in_turn([APPROVE]))
    a_tool_crew(ReActModel(one_call()), delete_file([])).kickoff()
    (asked,) = reader.asked
    assert asked["context"].startswith("Thought: I need a tool\nAction: delete_file")


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        ({}, "Go on?"),
        ({"default_message": CONSOLE_WORDS}, "Go on?"),
        ({"default_message": "Say yes or no:"}, "Go on?\n\nSay yes or no:"),
        ({"default_message": " "}, "Go on?"),
        ({"prompt": " ", "default_message": "Say yes or no:"}, "Say yes or no:"),
        ({"prompt": ""}, "The agent waits for your words."),
    ],
    ids=["nothing else", "crewAI's own", "the hook's own", "a blank one", "only the default message", "nothing"],
)
@pytest.mark.parametrize("gate", [BEFORE_TOOL, BEFORE_MODEL], ids=["tool", "model"])
def test_a_gate_shows_the_hooks_words_but_none_about_the_enter_key(
    person: People, hook: Hooks, gate: InterceptionPoint, words: dict[str, str], prompt: str
) -> None:
    hook(gate, asks_once([], **words))
    reader = person(in_turn([APPROVE]))
    a_tool_crew(NativeModel(one_call()), delete_file([])).kickoff()
    assert [one["prompt"] for one in reader.asked] == [prompt]


def _cancel(server: HumanInputServer, client: httpx.Client, asked: dict[str, Any]) -> None:
    client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()


def _stop(server: HumanInputServer, client: httpx.Client, asked: dict[str, Any]) -> None:
    server.stop()


def _let_it_expire(server: HumanInputServer, client: httpx.Client, asked: dict[str, Any]) -> None:
    """Its deadline is in 0.2 seconds."""


unanswered_ways = pytest.mark.parametrize(
    "end", [_cancel, _stop, _let_it_expire], ids=["cancelled", "stopped", "expired"]
)


@pytest.fixture
def ended_by(
    server: HumanInputServer, client: httpx.Client, person: People, aside: Callable[..., Future[Any]]
) -> Iterator[Callable[..., Future[Any]]]:
    """Runs a crew until it asks, ends the question so that nobody answers it, and gives what became of the run."""
    with ExitStack() as undo:

        def run(end: Callable[..., None], kickoff: Kickoff, crew: Any) -> Future[Any]:
            if end is _let_it_expire:
                undo.callback(install(server, prepare=lambda question, context: question.replace(timeout=0.2)))
            reader = person(leave)
            running = aside(kickoff, crew)
            reader.wait_until(lambda it: len(it.asked) == 1)
            end(server, client, reader.asked[0])
            running.exception(LONGEST)
            return running

        yield run


@unanswered_ways
@both_models
@both_roads
def test_a_tool_does_not_run_whose_gate_nobody_answered(
    hook: Hooks,
    ended_by: Callable[..., Future[Any]],
    kickoff: Kickoff,
    model_of: ModelOf,
    end: Callable[..., None],
) -> None:
    hook(BEFORE_TOOL, documented)
    ran: list[Args] = []
    model = model_of(one_call())
    running = ended_by(end, kickoff, a_tool_crew(model, delete_file(ran)))
    assert ran == []
    assert running.result().raw == DONE
    assert "blocked by hook" in model.results[0]


@unanswered_ways
def test_a_tool_does_not_run_whose_gate_nobody_answered_even_where_the_hook_knows_only_the_word_no(
    hook: Hooks, ended_by: Callable[..., Future[Any]], end: Callable[..., None]
) -> None:
    def unless_no(context: ToolCallHookContext) -> bool | None:
        return False if context.request_human_input("Delete it? Type 'no' to keep it.") == "no" else None

    hook(BEFORE_TOOL, unless_no)
    ran: list[Args] = []
    ended_by(end, lambda crew: crew.kickoff(), a_tool_crew(NativeModel(one_call()), delete_file(ran))).result()
    assert ran == []


@pytest.mark.parametrize(("end", "error"), [(_cancel, Unanswered), (_stop, Stopped)], ids=["cancelled", "stopped"])
@pytest.mark.parametrize("gate", [BEFORE_MODEL, AFTER_TOOL, AFTER_MODEL], ids=lambda gate: gate.value)
def test_a_run_ends_at_a_gate_that_nobody_answered_where_there_is_no_tool_to_block(
    hook: Hooks,
    ended_by: Callable[..., Future[Any]],
    gate: InterceptionPoint,
    end: Callable[..., None],
    error: type[Exception],
) -> None:
    heard: list[str] = []
    hook(gate, asks_once(heard))
    model = NativeModel(one_call())
    running = ended_by(end, lambda crew: crew.kickoff(), a_tool_crew(model, delete_file([])))
    assert isinstance(running.exception(), error)
    assert heard == []
    assert model.calls == {BEFORE_MODEL: 0, AFTER_TOOL: 1, AFTER_MODEL: 2}[gate]


def test_a_gate_is_prepared_with_the_hooks_own_context(server: HumanInputServer, person: People, hook: Hooks) -> None:
    seen: list[Any] = []

    def prepare(question: Any, context: Any) -> Any:
        seen.append(context)
        return question.replace(priority="urgent")

    undo = install(server, prepare=prepare)
    try:
        hook(BEFORE_TOOL, documented)
        reader = person(in_turn([APPROVE]))
        a_tool_crew(NativeModel(one_call()), delete_file([])).kickoff()
    finally:
        undo()
    assert [type(one) for one in seen] == [ToolCallHookContext]
    assert seen[0].tool_name == "delete_file"
    assert [one["priority"] for one in reader.asked] == ["urgent"]


def test_a_gate_asks_for_an_agent_without_a_crew(person: People, hook: Hooks) -> None:
    hook(BEFORE_TOOL, documented)
    reader, ran = person(in_turn([APPROVE])), []
    clerk = Agent(role="Clerk", goal="Tidy", backstory="Tidies", llm=NativeModel(one_call()), tools=[delete_file(ran)])
    assert clerk.kickoff("Tidy up").raw == DONE
    assert len(ran) == 1
    assert [one["title"] for one in reader.asked] == ["Clerk: delete_file"]


def test_a_gate_of_a_model_call_outside_of_any_crew_asks_too(person: People) -> None:
    reader = person(in_turn([{"human_feedback": "yes"}]))
    context = LLMCallHookContext(messages=[{"role": "user", "content": "Hello"}])
    assert context.request_human_input("Send it?") == "yes"
    (asked,) = reader.asked
    assert (asked["title"], asked["context"]) == ("model call", "Hello")


def test_a_hook_may_ask_again_and_each_answer_goes_to_its_own_question(person: People, hook: Hooks) -> None:
    heard: list[str] = []

    def ask_twice(context: ToolCallHookContext) -> None:
        heard.extend(context.request_human_input(prompt) for prompt in ("First?", "Second?"))

    hook(BEFORE_TOOL, ask_twice)
    reader = person(lambda asked: {"human_feedback": f"to {asked['prompt']}"})
    a_tool_crew(NativeModel(one_call()), delete_file([])).kickoff()
    assert heard == ["to First?", "to Second?"]
    assert len({one["request_id"] for one in reader.asked}) == 2


async def test_a_gate_that_waits_leaves_the_loop_of_an_awaited_kickoff_free(person: People, hook: Hooks) -> None:
    hook(BEFORE_TOOL, documented)
    reader, ran = person(leave), []
    running = asyncio.create_task(a_tool_crew(NativeModel(one_call()), delete_file(ran)).akickoff())
    async with asyncio.timeout(LONGEST):
        await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == 1)  # needs this very loop
        await asyncio.to_thread(reader.answer, reader.asked[0]["request_id"], **APPROVE)
        assert (await running).raw == DONE
    assert len(ran) == 1


@each_gate
def test_without_a_server_a_gate_reads_the_console_as_ever(
    console: Console, hook: Hooks, gate: InterceptionPoint
) -> None:
    heard: list[str] = []
    hook(gate, asks_once(heard))
    console.feed("  fine ")
    assert a_tool_crew(NativeModel(one_call()), delete_file([])).kickoff().raw == DONE
    assert heard == ["fine"]
    assert console.reads == 1


def test_a_gate_reads_the_console_again_after_the_server_has_stopped(
    console: Console, serve: Callable[..., HumanInputServer], hook: Hooks
) -> None:
    serve(adapters=True).stop()
    hook(BEFORE_TOOL, documented)
    ran: list[Args] = []
    console.feed("approve")
    a_tool_crew(NativeModel(one_call()), delete_file(ran)).kickoff()
    assert len(ran) == 1
    assert console.reads == 1


def test_crewais_own_methods_are_back_when_the_last_server_has_stopped(
    serve: Callable[..., HumanInputServer],
) -> None:
    places = [
        (ToolCallHookContext, "request_human_input"),
        (LLMCallHookContext, "request_human_input"),
        (next(kind for kind in Flow.__mro__ if "chat" in vars(kind)), "chat"),
    ]
    before = [vars(owner)[name] for owner, name in places]
    assert not any(hasattr(method, "__wrapped__") for method in before)

    first, second = serve(adapters=True), serve(adapters=True)
    during = [vars(owner)[name] for owner, name in places]
    assert [method.__wrapped__ for method in during] == before
    first.stop()
    assert [vars(owner)[name] for owner, name in places] == during
    second.stop()
    assert all(vars(owner)[name] is own for (owner, name), own in zip(places, before, strict=True))


def test_a_method_that_someone_else_has_replaced_is_left_alone(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mine(context: Any, prompt: str, default_message: str = "") -> str:
        return "mine"

    monkeypatch.setattr(ToolCallHookContext, "request_human_input", mine)
    server = serve(adapters=True)
    assert vars(ToolCallHookContext)["request_human_input"] is mine
    server.stop()
    assert vars(ToolCallHookContext)["request_human_input"] is mine
