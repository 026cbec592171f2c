"""One task's draft under review: what is asked in each round, and what each outcome means. Asks nobody itself."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Final, Literal

import msgspec
from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import ExecutorContext
from pydantic import BaseModel, ValidationError

from sayso import limits
from sayso.adapters.crewai.endings import rejected, unanswered
from sayso.adapters.crewai.identity import current_execution, ids, native_ids
from sayso.errors import Invalid
from sayso.model import Question, Request, Source
from sayso.schema import check_schema

Step = Literal["done", "redraft", "ask"]
"""What follows from an outcome: the draft stands, the agent must work again, or the person is asked again."""

began: ContextVar[float | None] = ContextVar("sayso_attempt_began", default=None)
"""When this attempt at the task began (monotonic seconds): crewAI counts `max_execution_time` anew for each."""

_WHAT_TO_DO: Final = (
    "Review the agent's draft. **Approve** takes it as it is, **respond** tells the agent what to change, "
    "**edit** uses your own text instead, **reject** ends the run."
)


class Review:
    """The draft of one task, from the agent's answer to a person's decision.

    `question` is what to ask next; `take` says what follows from the outcome; a new draft goes to `draft`.
    """

    def __init__(self, draft: AgentFinish, context: ExecutorContext) -> None:
        self.draft = draft
        self._context = context
        self._execution_id = current_execution()
        self._model = _output_model(context.task)
        self._round = 1
        self._previous: str | None = None
        self._remark = ""

    def question(self) -> Question:
        """The question of this round."""
        crew, task, agent = self._context.crew, self._context.task, self._context.agent
        role = _line(agent.role)
        text = _shown(self.draft.output)
        time_left = _time_left(agent)
        own = ids(crew, task, agent)
        return Question(
            execution_id=self._execution_id,
            crew_id=own.get("crew_id"),
            task_id=own.get("task_id"),
            agent_id=own.get("agent_id"),
            kind="review",
            title=_line(_task_name(task) or role),
            prompt=_cut("\n\n".join([*([self._remark] if self._remark else []), *_prompt(task)]), limits.PROMPT),
            context=_cut(text, limits.CONTEXT),
            context_data={"agent": role, "task": _line(_task_name(task)), "crew": _line(_crew_name(crew))},
            response_schema=_schema(self._model),
            reason_flags={"missing_field": isinstance(self.draft.output, str) and not _fits(text, self._model)},
            source=Source(name="crewai", native=native_ids(crew, task, agent)),
            round=self._round,
            previous=self._previous,
            timeout=time_left,
            on_timeout=None if time_left is None else "cancel",
        )

    def take(self, outcome: Request) -> Step:
        """Applies a decision. Raises Rejected or Unanswered, which end the run."""
        self._round, self._previous, self._remark = self._round + 1, outcome.request_id, ""
        answer = outcome.answer
        if answer is None:
            raise unanswered(outcome)
        if answer.decision == "reject":
            raise rejected(outcome) if outcome.status == "answered" else unanswered(outcome)
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


def _prompt(task: Any) -> list[str]:
    if task is None:
        return [_WHAT_TO_DO]
    wanted = [f"**Expected output:** {task.expected_output}"] if task.expected_output else []
    return [_WHAT_TO_DO, f"**Task:** {task.description}", *wanted]


def _cut(text: str, limit: int) -> str:
    """`text` within `limit` bytes of UTF-8, the cut visible: a long draft must never fail a crew."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    mark = f"\n\n[… cut here: {len(data)} bytes in all]"
    return data[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


def _line(text: str) -> str:
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    most = limits.TITLE_CHARACTERS
    return line if len(line) <= most else line[: most - 1] + "…"


def _task_name(task: Any) -> str:
    """The task's name, else the first line of its description."""
    if task is None:
        return ""
    return str(task.name or task.description.strip().partition("\n")[0])


def _crew_name(crew: Any) -> str:
    return str(getattr(crew, "name", None) or "")


def _output_model(task: Any) -> type[BaseModel] | None:
    for name in ("output_pydantic", "output_json", "response_model"):
        model = getattr(task, name, None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            return model
    return None


def _schema(model: type[BaseModel] | None) -> dict[str, Any] | None:
    """The schema that an edited draft must fit; None where there is none, or none that can be checked."""
    if model is None:
        return None
    schema = model.model_json_schema()
    try:
        check_schema(schema, "")
    except Invalid:
        return None
    return schema if len(msgspec.json.encode(schema)) <= limits.JSON else None


def _shown(output: str | BaseModel) -> str:
    """By the names that the model's schema, and so an edit, goes by."""
    return output if isinstance(output, str) else output.model_dump_json(by_alias=True)


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
