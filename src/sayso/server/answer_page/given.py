"""What the page's form sends, and the answer that it means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from sayso import limits
from sayso.errors import Fault, Invalid
from sayso.model import Request, Submission
from sayso.server.answer_page.fields import json_of, values_of
from sayso.wire import checked_submission

WORDS: Final = "words"
DECISION: Final = "decision"
OPTION: Final = "option"
EDITED: Final = "edited"
SEEN: Final = "seen"
"""The digest of the action that the page showed."""
SHOWING: Final = "showing"
"""Random, of each time that the page was shown."""


class Given(NamedTuple):
    """The fields as they came. `answer_id`: of this very form of this very page, so that sending it twice is once."""

    fields: Mapping[str, str]
    answer_id: str | None = None

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


NOTHING: Final = Given({})


def read(body: bytes) -> Given:
    """A form as browsers send it (`application/x-www-form-urlencoded`). Raises Invalid."""
    try:
        found = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=limits.FORM_FIELDS)
    except ValueError as exc:
        raise Invalid(Fault("", "must be the form of the page that the link leads to")) from exc
    fields = {name: value.replace("\r\n", "\n") for name, value in found}
    return Given(fields, f"form-{sha256(body).hexdigest()}" if fields.get(SHOWING) else None)


def submission(request: Request, given: Given) -> Submission:
    """Raises Invalid for what is no answer that could be looked at further."""
    said: dict[str, Any] = {"answer_id": given.answer_id, "decision": given.get(DECISION) or None}
    if request.action is not None:
        said["action_digest"] = given.get(SEEN)  # of no call at all, where it was not seen
    words = given.get(WORDS)
    option, decision = given.fields.get(OPTION), said["decision"]
    if option is not None:
        said |= {"decision": None, "option_ids": (option,)}
        if words.strip():
            said["comment" if request.kind == "choice" else "text"] = words
    elif decision is None:
        raise Invalid(Fault("", "press one of the buttons"))
    elif decision == "edit":
        said |= {"edited": _edited(request, given.get(EDITED)), "comment": words}
    elif decision == "approve":
        said["comment"] = words
    elif decision == "respond" and request.kind == "form":
        said |= {"values": values_of(request.response_schema or {}, given.fields), "comment": words}
    else:
        said["text"] = words if decision == "respond" else words or None
    return checked_submission(Submission(**said))


def _edited(request: Request, written: str) -> Any:
    """A call's arguments, and what a schema describes, are written as JSON."""
    if request.action is None and request.response_schema is None:
        return written
    try:
        return json_of(written)
    except ValueError:
        raise Invalid(Fault("/edited", "must be JSON")) from None
