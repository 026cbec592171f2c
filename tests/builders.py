"""Values that tests start from: valid, small, and different each time where that matters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, field_validator
from uuid_utils import uuid7

from sayso.asking import as_request
from sayso.model import Answer, InputCompleted, InputRequired, Question, Request

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)


class Even(BaseModel):
    """A form whose schema takes more than its own check does."""

    lines: int

    @field_validator("lines")
    @classmethod
    def _is_even(cls, lines: int) -> int:
        if lines % 2:
            raise ValueError("must be even")
        return lines


def new_id() -> str:
    return str(uuid7())


def question(**members: Any) -> Question:
    return Question(**{"execution_id": "run-1", "prompt": "Ship it?"} | members)


def request(*, now: datetime = NOW, by: str = "key:default", durable: bool = True, **members: Any) -> Request:
    """A pending request, not stored anywhere."""
    asked = question(**members)
    return as_request(asked, now=now, steady=now, request_id=new_id(), event_id=new_id(), by=by, durable=durable)


def asked(request: Request) -> InputRequired:
    return InputRequired.of(request)


def answered(
    request: Request, text: str = "yes", *, answer_id: str | None = None, now: datetime = NOW, by: str = "key:default"
) -> Request:
    answer = Answer(answer_id=answer_id or new_id(), decision="respond", text=text)
    return request.answered(answer, by=by, channel="http", now=now, event_id=new_id())


def completed(request: Request) -> InputCompleted:
    return InputCompleted.of(request)
