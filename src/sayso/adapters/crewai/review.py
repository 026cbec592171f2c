"""A task's draft under review: what is asked in each round, and what each outcome means. Asks nobody itself."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Final, Literal

import msgspec
from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import ExecutorContext
from pydantic import BaseModel, ValidationError

from sayso import limits
from sayso.adapters.crewai.durable import Round, Working, current_run
from sayso.adapters.crewai.endings import answer_of, rejected
from sayso.adapters.crewai.identity import crew_origin
from sayso.adapters.crewai.wording import output_model, shown, usable_schema
from sayso.fit import cut, line
from sayso.model import Question, Request

Step = Literal["done", "redraft", "teach", "ask"]
"""What follows from an outcome: the draft stands, the agent must work again, it learns from the answer (training), or
the person is asked again."""

began: ContextVar[float | None] = ContextVar("sayso_attempt_began", default=None)
"""When this attempt at the task began (monotonic seconds): crewAI counts `max_execution_time` anew for each."""

_WHAT_TO_DO: Final = (
    "Review the agent's draft. **Approve** takes it as it is, **respond** tells the agent what to change, "
    "**edit** uses your own text instead, **reject** ends the run."
)


_WHAT_TO_TEACH: Final = (
    "The crew is being trained. Tell the agent what would make its work better; it works once more, and a lesson is "
    "made of both drafts and your words."
)


def review_of(draft: AgentFinish, context: ExecutorContext) -> Review:
    """The review that this run of the crew wants: training asks for a lesson, everything else for a decision."""
    if context._is_training_mode():
        return Lesson(draft, context)
    run = current_run()
    return Review(draft, context, None if run is None else run.answered(context.task, context.agent))


class Review:
    """The draft of one task, from the agent's answer to a person's decision.

    `question` is what to ask next; `take` says what follows from the outcome; a new draft goes to `draft`. In a durable
    run, `working` is this working at the task.
    """

    _what_to_do = _WHAT_TO_DO

    def __init__(self, draft: AgentFinish, context: ExecutorContext, working: Working | None = None) -> None:
        self.draft = draft
        self._working = working
        self._context = context
        self._origin = crew_origin(context.crew, context.task, context.agent)
        self._model = output_model(context.task)
        asked = working and working.draft and working.draft.question
        self._round, self._previous = (asked.round, asked.previous) if asked else (1, None)
        self._remark = ""

    def question(self) -> Question:
        """The question of this round."""
        crew, task, agent = self._context.crew, self._context.task, self._context.agent
        role = line(agent.role)
        text = shown(self.draft.output)
        time_left = _time_left(agent) if self._working is None else None  # a durable question outlives this attempt
        return Question(
            **self._origin,
            kind="review",
            title=line(_task_name(task) or role),
            prompt=cut("\n\n".join(filter(None, [self._remark, self._what_to_do, *_about(task)])), limits.PROMPT),
            context=cut(text, limits.CONTEXT),
            context_data={"agent": role, "task": line(_task_name(task)), "crew": line(_crew_name(crew))},
            response_schema=usable_schema(self._model),
            reason_flags={"missing_field": isinstance(self.draft.output, str) and not _fits(text, self._model)},
            round=self._round,
            previous=self._previous,
            timeout=time_left,
            on_timeout=None if time_left is None else "cancel",
        )

    def durably(self) -> Round | None:
        """How the question of this round outlives this process; None: it does not."""
        working = self._working
        return None if working is None else Round(working, self._round, self.draft, self._context.messages)

    def take(self, outcome: Request) -> Step:
        """Applies a decision. Raises Rejected or Unanswered, which end the run."""
        self._round, self._previous, self._remark = self._round + 1, outcome.request_id, ""
        answer = answer_of(outcome)
        if answer.decision == "reject":
            raise rejected(outcome)
        if answer.decision == "respond":
            self._context.messages.append(self._context._format_feedback_message(answer.text or ""))
            return "redraft"
        if answer.decision == "edit":
            try:
                self.draft.output = self._edited(answer.edited)
            except ValidationError as exc:
                self._remark = f"**The edit cannot be used:** {exc.errors()[0]['msg']}"
                return "ask"
        self._context.ask_for_human_input = False
        return "done"

    def _edited(self, edited: Any) -> Any:
        """The person's version in the form the draft had. The schema was checked when it was sent; a model's own
        validators may want more, which raises ValidationError."""
        model = type(self.draft.output) if isinstance(self.draft.output, BaseModel) else self._model
        if model is None:
            return edited
        text = edited if isinstance(edited, str) else msgspec.json.encode(edited).decode()
        checked = model.model_validate_json(text)
        return checked if isinstance(self.draft.output, BaseModel) else text


class Lesson(Review):
    """The draft of one task of a crew in training: one answer, from which the agent learns."""

    _what_to_do = _WHAT_TO_TEACH

    def question(self) -> Question:
        """The question of this iteration of the training."""
        return super().question().replace(allow=("respond",), response_schema=None)

    def take(self, outcome: Request) -> Step:
        """Raises Unanswered, which ends the training."""
        answer_of(outcome)
        return "teach"


def _about(task: Any) -> list[str]:
    if task is None:
        return []
    wanted = [f"**Expected output:** {task.expected_output}"] if task.expected_output else []
    return [f"**Task:** {task.description}", *wanted]


def _task_name(task: Any) -> str:
    """The task's name, else the first line of its description."""
    if task is None:
        return ""
    return str(task.name or task.description.strip().partition("\n")[0])


def _crew_name(crew: Any) -> str:
    return str(getattr(crew, "name", None) or "")


def _fits(text: str, model: type[BaseModel] | None) -> bool:
    if model is None:
        return True
    try:
        model.model_validate_json(text)
    except ValidationError:
        return False
    return True


def _time_left(agent: Any) -> float | None:
    """Seconds until crewAI's `max_execution_time` is over, which its sync road notices only after the wait."""
    most: float | None = getattr(agent, "max_execution_time", None)
    if most is None or (start := began.get()) is None:
        return None
    return max(0.1, most - (time.monotonic() - start))
