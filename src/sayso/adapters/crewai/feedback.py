"""One `@human_feedback` of a flow under review: what is asked, and what an outcome means. Asks nobody itself."""

from __future__ import annotations

import json
from typing import Any, Final, Self

from crewai.events import crewai_event_bus
from crewai.events.types.flow_events import HumanFeedbackReceivedEvent, HumanFeedbackRequestedEvent
from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.llms.base_llm import BaseLLM
from pydantic import BaseModel, PrivateAttr, ValidationError

from sayso import limits
from sayso.adapters.crewai.endings import answer_of, rejected
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.identity import flow_name, flow_origin
from sayso.adapters.crewai.wording import as_metadata, shown, usable_schema
from sayso.fit import cut, line
from sayso.model import Decision, Option, Question, Request

_REVIEW: Final = "**Approve** takes it as it is, **respond** says what you think of it, **reject** ends the flow."
_REVIEW_OR_EDIT: Final = (
    "**Approve** takes it as it is, **respond** says what you think of it, **edit** puts your own version in its "
    "place, **reject** ends the flow."
)
_CHOOSE: Final = "**Choose** how the flow goes on; or write, and a model works out which of them you mean."


class Feedback(str):
    """A person's feedback to a flow, with what crewAI's own text cannot carry. `str()` leaves it as it is."""

    outcome: str | None
    """The one of `emit` that was chosen; None: none was, and crewAI finds one."""
    edited: Any
    """What is to stand in for the method's output."""
    is_edited: bool

    def __new__(cls, text: str, *, outcome: str | None = None) -> Self:
        made = super().__new__(cls, text)
        made.outcome, made.edited, made.is_edited = outcome, None, False
        return made

    @classmethod
    def edit(cls, edited: Any) -> Self:
        """The output as `edited`, without a word."""
        made = cls("")
        made.edited, made.is_edited = edited, True
        return made

    def __str__(self) -> str:
        return self


class FlowReview:
    """The output of one flow method, from the method's end to a person's feedback."""

    def __init__(self, context: PendingFeedbackContext, flow: Any) -> None:
        self._context = context
        self._flow = flow
        self._origin = flow_origin(flow, context.method_name)
        self._round = 1
        self._previous: str | None = None
        self._remark = ""

    def question(self) -> Question:
        """The question of this round."""
        context, emit = self._context, self._context.emit or []
        output = context.method_output
        model = type(output) if isinstance(output, BaseModel) else None
        schema = usable_schema(model)
        can_edit = not emit and (schema is not None or (isinstance(output, str) and bool(output.strip())))
        what_to_do = _CHOOSE if emit else _REVIEW_OR_EDIT if can_edit else _REVIEW
        allow: tuple[Decision, ...] = ("approve", "edit", "respond", "reject") if can_edit else _WITHOUT_EDIT
        return Question(
            **self._origin,
            kind="review",
            title=line(f"{flow_name(self._flow)}: {context.method_name}"),
            prompt=cut("\n\n".join(filter(str.strip, [self._remark, context.message, what_to_do])), limits.PROMPT),
            context=cut(shown(output), limits.CONTEXT),
            context_data={"flow": flow_name(self._flow), "method": line(context.method_name)},
            options=tuple(Option(id=outcome) for outcome in dict.fromkeys(emit) if outcome.strip()),
            allow=("respond",) if emit else allow,
            default={"option_ids": [context.default_outcome]} if context.default_outcome else None,
            response_schema=schema if can_edit else None,
            metadata=as_metadata(context.metadata),
            round=self._round,
            previous=self._previous,
        )

    def take(self, outcome: Request) -> Feedback | None:
        """What crewAI is told; None: the person is to be asked again. Raises Rejected or Unanswered."""
        self._round, self._previous, self._remark = self._round + 1, outcome.request_id, ""
        answer = answer_of(outcome)
        if answer.decision == "reject":
            raise rejected(outcome)
        if answer.decision == "edit":
            try:
                return Feedback.edit(self._edited(answer.edited))
            except ValidationError as exc:
                self._remark = f"**The edit cannot be used:** {exc.errors()[0]['msg']}"
                return None
        if answer.option_ids:
            chosen = answer.option_ids[0]
            return Feedback(answer.text or chosen, outcome=chosen)
        return Feedback(answer.text or "")

    def _edited(self, edited: Any) -> Any:
        """The person's version, of the type that the method returned. Raises ValidationError."""
        output = self._context.method_output
        return type(output).model_validate_json(json.dumps(edited)) if isinstance(output, BaseModel) else edited


class FlowMirror(Mirror):
    """Emits crewAI's own two events of a feedback beside ours, as its console would; they carry our request id."""

    def __init__(self, flow: Any, context: PendingFeedbackContext) -> None:
        super().__init__(flow)
        self._flow = flow
        self._context = context

    def asked(self, request: Request) -> None:
        super().asked(request)
        event = HumanFeedbackRequestedEvent(
            flow_name=flow_name(self._flow),
            method_name=self._context.method_name,
            output=self._context.method_output,
            message=self._context.message,
            emit=self._context.emit,
            request_id=request.request_id,
        )
        crewai_event_bus.emit(self._flow, event)

    def settled(self, request: Request) -> None:
        super().settled(request)
        if request.answer is None:
            return
        event = HumanFeedbackReceivedEvent(
            flow_name=flow_name(self._flow),
            method_name=self._context.method_name,
            feedback=request.human_feedback,
            outcome=request.answer.option_ids[0] if request.answer.option_ids else None,
            request_id=request.request_id,
        )
        crewai_event_bus.emit(self._flow, event)


class Chosen(BaseLLM):
    """Stands in for the model that works out an outcome from free text, where a person has chosen one."""

    _outcome: str = PrivateAttr()

    def __init__(self, outcome: str) -> None:
        super().__init__(model="sayso/chosen")
        self._outcome = outcome

    def call(self, *args: Any, response_model: type[BaseModel] | None = None, **kwargs: Any) -> Any:
        """crewAI matches text without regard to case, but takes its own model as it is."""
        outcome = {"outcome": self._outcome}
        return json.dumps(outcome) if response_model is None else response_model(**outcome)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)


_WITHOUT_EDIT: Final[tuple[Decision, ...]] = ("approve", "respond", "reject")
