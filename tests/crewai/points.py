"""What can be kicked off and asks a person: flows, and one small program for each of crewAI's input points."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from crewai import Crew
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.hooks import InterceptionPoint, register_hook, unregister_hook
from crewai.tools import BaseTool

from tests.crewai.person import APPROVE, Message
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

TRAINING_DATA = Path("training_data.pkl")
"""crewAI's own file, in the working directory."""


def reviewed(output: Any = "draft", **settings: Any) -> Any:
    """A flow whose one method returns `output`, which a person reviews."""

    class Reviewed(Flow[dict[str, Any]]):
        @start()
        @human_feedback(**{"message": "Ship it?"} | settings)
        def work(self) -> Any:
            return output

    return Reviewed(suppress_flow_events=True)


def routed(*outcomes: str, **settings: Any) -> Any:
    """The same with outcomes; `routes` holds those that a listener was called for."""

    class Routed(Flow[dict[str, Any]]):
        routes: list[str] = []  # noqa: RUF012 - each Routed is a class of its own

        @start()
        @human_feedback(**{"message": "Ship it?", "emit": outcomes} | settings)
        def work(self) -> str:
            return "draft"

        @listen(outcomes[0])
        def first(self) -> None:
            self.routes.append(outcomes[0])

        @listen(outcomes[1])
        def second(self) -> None:
            self.routes.append(outcomes[1])

    return Routed(suppress_flow_events=True)


def asking(*questions: str, is_async: bool = False, **settings: Any) -> Any:
    """A flow whose one method asks these questions, one after the other, and returns the answers."""

    class Asking(Flow[dict[str, Any]]):
        @start()
        def work(self) -> list[str | None]:
            return [self.ask(question, **settings) for question in questions]

    class AskingAsync(Flow[dict[str, Any]]):
        @start()
        async def work(self) -> list[str | None]:
            return [self.ask(question, **settings) for question in questions]

    return (AskingAsync if is_async else Asking)(suppress_flow_events=True)


class Sender(BaseTool):
    """A tool with something to guard."""

    name: str = "send"
    description: str = "Sends a text"

    def _run(self, text: str) -> str:
        return f"sent {text}"


class ToolUser(ScriptedModel):
    """Calls the tool `send` once, and gives back what it heard from it."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        said = "" if isinstance(messages, str) else "\n".join(_words(one) for one in messages)
        _, observed, heard = said.rpartition("Observation: ")
        if not observed:
            return 'Thought: I must send it\nAction: send\nAction Input: {"text": "hello"}'
        return f"Thought: I now can give a great answer\nFinal Answer: {heard.splitlines()[0]}"


def _words(message: dict[str, Any]) -> str:
    """What the model itself was taken to have said; crewAI's instructions hold the same words."""
    return str(message["content"]) if message["role"] == "assistant" else ""


def a_sending_crew() -> Crew:
    """Its agent sends a text with a tool; nobody reviews the result."""
    sender = an_agent(ToolUser(), tools=[Sender()])
    return Crew(agents=[sender], tasks=[a_task(sender, human_input=False)])


def _gate(context: Any) -> bool | None:
    """What crewAI's documentation shows: it goes on only after the right word."""
    return None if context.request_human_input("Go on?") == "approve" else False


@contextmanager
def _gated(point: InterceptionPoint) -> Iterator[None]:
    register_hook(point, _gate)
    try:
        yield
    finally:
        unregister_hook(point, _gate)


class Point(NamedTuple):
    """One place where crewAI asks. `run` and `arun` give `outcome` when the person answers with `answers`, or types
    `lines`; None: crewAI has no async road to it."""

    run: Callable[[], Any]
    arun: Callable[[], Awaitable[Any]] | None
    answers: list[Message]
    lines: list[str]
    kinds: list[str]
    outcome: Any


def _task_review() -> Any:
    return a_crew(ScriptedModel()).kickoff().raw


async def _task_review_async() -> Any:
    return (await a_crew(ScriptedModel()).akickoff()).raw


def _training() -> list[str]:
    """What the agent was taught."""
    a_crew(ScriptedModel()).train(n_iterations=1, filename="trained.pkl")
    (taught,) = pickle.loads(TRAINING_DATA.read_bytes()).values()  # noqa: S301 - just written
    return [iteration["human_feedback"] for iteration in taught.values()]


def _flow_feedback() -> Any:
    return reviewed().kickoff().feedback


async def _flow_feedback_async() -> Any:
    return (await reviewed().kickoff_async()).feedback


def _flow_ask() -> Any:
    return asking("Topic?").kickoff()


async def _flow_ask_async() -> Any:
    return await asking("Topic?", is_async=True).kickoff_async()


def _tool_gate() -> Any:
    with _gated(InterceptionPoint.PRE_TOOL_CALL):
        return a_sending_crew().kickoff().raw


async def _tool_gate_async() -> Any:
    with _gated(InterceptionPoint.PRE_TOOL_CALL):
        return (await a_sending_crew().akickoff()).raw


def _llm_gate() -> Any:
    with _gated(InterceptionPoint.PRE_MODEL_CALL):
        return a_crew(ScriptedModel(), human_input=False).kickoff().raw


async def _llm_gate_async() -> Any:
    with _gated(InterceptionPoint.PRE_MODEL_CALL):
        return (await a_crew(ScriptedModel(), human_input=False).akickoff()).raw


_SHORTER: Message = {"human_feedback": "shorter"}
_REVISED = "draft 2 with: shorter"

POINTS = {
    "task review": Point(
        _task_review, _task_review_async, [_SHORTER, APPROVE], ["shorter", ""], ["review"] * 2, _REVISED
    ),
    "training": Point(_training, None, [_SHORTER], ["shorter"], ["review"], ["shorter"]),
    "flow feedback": Point(_flow_feedback, _flow_feedback_async, [_SHORTER], ["shorter"], ["review"], "shorter"),
    "flow ask": Point(_flow_ask, _flow_ask_async, [{"human_feedback": "rain"}], ["rain"], ["question"], ["rain"]),
    "tool gate": Point(_tool_gate, _tool_gate_async, [APPROVE], ["approve"], ["gate"], "sent hello"),
    "LLM gate": Point(_llm_gate, _llm_gate_async, [APPROVE], ["approve"], ["gate"], "draft 1"),
}
