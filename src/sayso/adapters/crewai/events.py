"""What is asked and answered, on crewAI's own bus: a mirror for listeners in this process; the log counts."""

from __future__ import annotations

from typing import Any, Literal

from crewai.events import crewai_event_bus
from crewai.events.base_events import BaseEvent

from sayso.model import Fact, InputCompleted, InputRequired, Request


class HumanInputRequiredEvent(BaseEvent):
    """Emitted when human input is required during task execution."""

    type: Literal["human_input_required"] = "human_input_required"
    execution_id: str
    crew_id: str
    prompt: str
    context: str
    reason_flags: dict[str, bool]
    request_id: str
    kind: str
    title: str
    round: int


class HumanInputCompletedEvent(BaseEvent):
    """Emitted when human input is completed."""

    type: Literal["human_input_completed"] = "human_input_completed"
    execution_id: str
    crew_id: str
    human_feedback: str
    request_id: str
    status: str
    decision: str | None
    by: str
    channel: str


class Mirror:
    """Tells crewAI's bus of one request, with the ids it has in the log; `source` is who asks, as crewAI names it."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def asked(self, request: Request) -> None:
        """Emits that `request` was asked."""
        self._emit(HumanInputRequiredEvent, InputRequired.of(request))

    def settled(self, request: Request) -> None:
        """Emits that `request` was settled."""
        self._emit(HumanInputCompletedEvent, InputCompleted.of(request))

    def _emit(self, kind: type[BaseEvent], fact: Fact) -> None:
        members = {name: getattr(fact, name) for name in fact.__struct_fields__ if name in kind.model_fields}
        crewai_event_bus.emit(self._source, kind(**members))
