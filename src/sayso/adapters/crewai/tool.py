"""A tool with which an agent asks a person in the middle of its task."""

from __future__ import annotations

import logging
from typing import Any, Self

from crewai.hooks import HookAborted
from crewai.tools import BaseTool
from pydantic import BaseModel, Field, ValidationError, model_validator

from sayso import limits
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import crew_origin, role_of
from sayso.adapters.crewai.installed import reachable
from sayso.adapters.crewai.whereabouts import at_work
from sayso.adapters.crewai.wording import usable_schema
from sayso.errors import Misconfigured, SaysoError
from sayso.fit import cut, line
from sayso.model import Option, Question, Request

logger = logging.getLogger(__name__)


class AskHumanInput(BaseModel):
    """What the agent fills in."""

    question: str = Field(description="The question, with everything the person must know to answer it.")
    options: list[str] = Field(default=[], description="Answers to choose from, if there are some. May be empty.")


class AskHuman(BaseTool):
    """`Agent(tools=[AskHuman()])`: the agent asks, and the answer is the tool's result.

    response: a pydantic model that makes the question a form; the agent gets its JSON.
    timeout: seconds until the agent is told that nobody answered; None: it waits.
    asker: whom to ask through; None: who is installed, else whom `sayso.ask` would ask.
    """

    name: str = "ask_human"
    description: str = (
        "Asks a person and gives their answer. Use it when you need a decision that is not yours, or know too little "
        "to go on; not for what you can find out yourself."
    )
    args_schema: type[BaseModel] = AskHumanInput
    cache_function: Any = Field(default=lambda _args=None, _result=None: False, exclude=True)
    """A person who is asked again may answer otherwise."""
    response: type[BaseModel] | None = Field(default=None, exclude=True)
    timeout: float | None = None
    asker: Any = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _response_is_a_form(self) -> Self:
        if self.response is not None and usable_schema(self.response) is None:
            raise Misconfigured(f"{self.response.__name__} has no JSON Schema that can be used as a form")
        return self

    def _run(self, question: str, options: list[str] | None = None) -> str:
        pending = _Asking(self, question, options or [])
        try:
            while True:
                outcome = reachable(self.asker).ask(pending.question(), self, Mirror(pending.task))
                if (words := pending.take(outcome)) is not None:
                    return words
        except (HookAborted, SaysoError) as ended:
            return _nobody(ended)

    async def _arun(self, question: str, options: list[str] | None = None) -> str:
        pending = _Asking(self, question, options or [])
        try:
            while True:
                outcome = await reachable(self.asker).ask_async(pending.question(), self, Mirror(pending.task))
                if (words := pending.take(outcome)) is not None:
                    return words
        except (HookAborted, SaysoError) as ended:
            return _nobody(ended)


class _Asking:
    """One question of an agent, until there is something to tell it."""

    def __init__(self, tool: AskHuman, question: str, options: list[str]) -> None:
        crew, self.task, agent = at_work.get()
        self._model = tool.response
        role = role_of(agent)
        self._prompt = prompt = question if question.strip() else "The agent asks for your advice."
        self._question = Question(
            **crew_origin(crew, self.task, agent),
            kind="question" if tool.response is None else "form",
            title=line(prompt),
            prompt=cut(prompt, limits.PROMPT),
            context_data={"agent": role},
            options=_options(options) if tool.response is None else (),
            response_schema=usable_schema(tool.response),
            timeout=tool.timeout,
        )

    def question(self) -> Question:
        """The question of this round."""
        return self._question

    def take(self, outcome: Request | None) -> str | None:
        """What the agent is told; None: the person is to be asked again."""
        if outcome is None:
            return _nobody("the server does not run")
        if outcome.answer is None:
            return _nobody(outcome.reason or outcome.status)
        if self._model is not None:
            try:
                self._model.model_validate(outcome.answer.values)
            except ValidationError as exc:
                remark = f"**Please check your answer:** {exc.errors()[0]['msg']}"
                self._question = self._question.replace(
                    prompt=cut(f"{remark}\n\n{self._prompt}", limits.PROMPT),
                    round=self._question.round + 1,
                    previous=outcome.request_id,
                    deadline=outcome.deadline,
                )
                return None
        return outcome.words


def _options(labels: list[str]) -> tuple[Option, ...]:
    """As many as can be shown: models write what they like."""
    lines = dict.fromkeys(line(label) for label in labels)
    return tuple(Option(id=label) for label in lines if label)[: limits.OPTIONS]


def _nobody(why: object) -> str:
    logger.warning("an agent's question has no answer: %s", why)
    return f"Nobody answered ({why}). Go on as well as you can without, and say so in your result."
