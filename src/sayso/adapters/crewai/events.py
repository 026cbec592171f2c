"""The seed proposal's two events on crewAI's own bus: a mirror for listeners in this process; the log counts."""

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


def mirror_asked(source: Any, request: Request) -> None:
    """Emits that `request` was asked, with the ids it has in the log."""
    _emit(source, HumanInputRequiredEvent, InputRequired.of(request))


def mirror_settled(source: Any, request: Request) -> None:
    """Emits that `request` was settled, with the ids it has in the log."""
    _emit(source, HumanInputCompletedEvent, InputCompleted.of(request))


def _emit(source: Any, kind: type[BaseEvent], fact: Fact) -> None:
    members = {name: getattr(fact, name) for name in fact.__struct_fields__ if name in kind.model_fields}
    crewai_event_bus.emit(source, kind(**members))
