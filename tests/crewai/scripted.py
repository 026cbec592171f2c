"""Agents that need no network: a model that writes drafts and takes feedback into account. Does not know sayso."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr

_FEEDBACK = re.compile(r"User feedback: (.*?)\nInstructions:", re.DOTALL)


def draft(number: int, feedback: str) -> str:
    """What the model writes: `draft 1`, then `draft 2 with: shorter`."""
    return f"draft {number} with: {feedback}" if feedback else f"draft {number}"


class ScriptedModel(BaseLLM):
    """Writes `write(number of the draft, last feedback)`; reads both from the messages, as a real model would."""

    _write: Callable[[int, str], str] = PrivateAttr()
    _prompts: list[list[dict[str, Any]]] = PrivateAttr(default_factory=list)

    def __init__(self, write: Callable[[int, str], str] = draft) -> None:
        super().__init__(model="scripted")
        self._write = write

    @property
    def calls(self) -> int:
        return len(self._prompts)

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self._prompts.append(messages)
        text = messages if isinstance(messages, str) else "\n".join(str(one["content"]) for one in messages)
        feedback = _FEEDBACK.findall(text)
        written = self._write(len(feedback) + 1, feedback[-1] if feedback else "")
        is_structured = kwargs.get("response_model") is not None
        return written if is_structured else f"Thought: I now can give a great answer\nFinal Answer: {written}"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages, *args, **kwargs)

    def supports_function_calling(self) -> bool:
        return False


def an_agent(model: ScriptedModel, **settings: Any) -> Agent:
    given = {"role": "Writer", "goal": "Write", "backstory": "Writes", "max_retry_limit": 2}
    return Agent(**given | settings, llm=model)


def a_task(agent: Agent | None, **settings: Any) -> Task:
    given = {"description": "Write a line", "expected_output": "One line", "human_input": True}
    return Task(**given | settings, agent=agent)


def a_crew(model: ScriptedModel, *, agent: dict[str, Any] | None = None, **task: Any) -> Crew:
    """One agent with one task whose draft a person reviews."""
    writer = an_agent(model, **agent or {})
    return Crew(agents=[writer], tasks=[a_task(writer, **task)])
