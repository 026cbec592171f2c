"""Agents that call tools and need no network: one model for each of crewAI's two roads. Knows no sayso."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool, tool
from pydantic import PrivateAttr

DONE = "all done"
Args = dict[str, Any]
Turn = list[tuple[str, Args]]
"""The calls of one answer of a model: names and arguments."""


class _Function(NamedTuple):
    name: str
    arguments: str


class _NativeCall(NamedTuple):
    """A tool call as OpenAI's client gives it."""

    id: str
    function: _Function
    type: str = "function"


class ToolModel(BaseLLM):
    """Makes the calls turn by turn, and is then done. Reads which turn it is from the messages, as a real model would.

    `results` is what it was told of each call, in the order of the calls.
    """

    _turns: list[Turn] = PrivateAttr()
    _prompts: list[list[dict[str, Any]]] = PrivateAttr(default_factory=list)

    def __init__(self, *turns: Turn) -> None:
        super().__init__(model="scripted")
        self._turns = list(turns)

    @property
    def calls(self) -> int:
        """How often the model was called."""
        return len(self._prompts)

    @property
    def results(self) -> list[str]:
        return self._results(self._prompts[-1])

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self._prompts.append([dict(one) for one in messages])
        made = self._made(messages)
        return self._wants(made, self._turns[made]) if made < len(self._turns) else self._done()

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(messages, *args, **kwargs)

    def get_context_window_size(self) -> int:
        """Large, so that crewAI never sums up what this model reads its turn from."""
        return 1_000_000

    def _made(self, messages: Sequence[dict[str, Any]]) -> int:
        raise NotImplementedError

    def _wants(self, number: int, turn: Turn) -> Any:
        raise NotImplementedError

    def _done(self) -> str:
        raise NotImplementedError

    def _results(self, messages: Sequence[dict[str, Any]]) -> list[str]:
        raise NotImplementedError


class NativeModel(ToolModel):
    """Calls tools as the APIs of the large models do; several calls in one answer may run side by side."""

    def supports_function_calling(self) -> bool:
        return True

    def _made(self, messages: Sequence[dict[str, Any]]) -> int:
        return sum(bool(one.get("tool_calls")) for one in messages)

    def _wants(self, number: int, turn: Turn) -> list[_NativeCall]:
        return [
            _NativeCall(f"call-{number}-{place}", _Function(name, json.dumps(args)))
            for place, (name, args) in enumerate(turn)
        ]

    def _done(self) -> str:
        return DONE

    def _results(self, messages: Sequence[dict[str, Any]]) -> list[str]:
        return [str(one["content"]) for one in messages if one["role"] == "tool"]


class ReActModel(ToolModel):
    """Calls tools in its text, one in an answer, and reads the results as observations."""

    def supports_function_calling(self) -> bool:
        return False

    def _made(self, messages: Sequence[dict[str, Any]]) -> int:
        return len(self._acts(messages))

    def _wants(self, number: int, turn: Turn) -> str:
        ((name, args),) = turn
        return f"Thought: I need a tool\nAction: {name}\nAction Input: {json.dumps(args)}"

    def _done(self) -> str:
        return f"Thought: I now can give a great answer\nFinal Answer: {DONE}"

    def _results(self, messages: Sequence[dict[str, Any]]) -> list[str]:
        return [one.partition("\nObservation: ")[2] for one in self._acts(messages)]

    def _acts(self, messages: Sequence[dict[str, Any]]) -> list[str]:
        said = [str(one["content"]) for one in messages if one["role"] == "assistant"]
        return [one for one in said if "\nAction Input: " in one]


both_models = pytest.mark.parametrize("model_of", [NativeModel, ReActModel], ids=["native", "react"])


def delete_file(ran: list[Args], name: str = "Delete File", **settings: Any) -> BaseTool:
    """A tool that only notes with what it ran; crewAI shows it to the model as `delete_file`."""

    @tool(name, **settings)
    def delete(path: str, force: bool = False) -> str:
        """Deletes a file."""
        ran.append({"path": path, "force": force})
        return f"deleted {path}"

    return delete


def send(ran: list[Args]) -> BaseTool:
    """A tool with arguments inside arguments."""

    @tool("send")
    def send(to: list[str], mail: dict[str, Any]) -> str:
        """Sends a mail."""
        ran.append({"to": to, "mail": mail})
        return "sent"

    return send


def one_call(**args: Any) -> Turn:
    """An answer that calls `delete_file` once."""
    return [("delete_file", {"path": "a.txt"} | args)]


def a_tool_crew(model: BaseLLM, *tools: BaseTool, **agent: Any) -> Crew:
    """One agent with these tools and one task; nobody reviews what it writes."""
    given: dict[str, Any] = {"role": "Clerk", "goal": "Tidy", "backstory": "Tidies", "max_retry_limit": 0}
    clerk = Agent(**given | agent, llm=model, tools=list(tools))
    return Crew(agents=[clerk], tasks=[Task(description="Tidy up", expected_output="One line", agent=clerk)])
