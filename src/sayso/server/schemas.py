"""The schemas of what is read and written, for the documents: made from the types, with bounds that no type says."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sayso import limits
from sayso.keys import DEFAULT, KeyShown
from sayso.model import InputCompleted, InputRequired, Request
from sayso.notifier import NotifierShown

Schema = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
ID: Final[Schema] = {"type": "string", "pattern": r"^[A-Za-z0-9._~:-]{1,128}$", "not": {"enum": [".", ".."]}}
"""`model.is_id`."""
KEY_ID: Final[Schema] = {"type": "string", "pattern": r"^[a-z2-7]{8}$"}
_NAME: Final = {"pattern": ID["pattern"], "not": ID["not"]}
_UUID: Final = {"format": "uuid"}
_TIME: Final = {"format": "date-time"}
_NOT_BLANK: Final = {"pattern": r"\S"}


class RequestList(Struct):
    """A page of requests. `next` goes into `after`; a follower from `cursor` misses nothing that this list lacks."""

    requests: list[Request]
    next: str | None
    cursor: str


class PollReset(Struct):
    """Why the cursor of a poll meant nothing; `events` then hold what is open."""

    reason: str


class EventPage(Struct, omit_defaults=True):
    """What a poll gets. `more`: poll again at once with `cursor`."""

    events: list[InputRequired | InputCompleted]
    cursor: str | None
    more: bool
    reset: PollReset | None = None


class Health(Struct):
    """The server is there; or, from /ready, takes questions."""

    status: str
    timestamp: str


class KeyList(Struct):
    """Keys in the order in which they were made."""

    keys: list[KeyShown]


class NotifierList(Struct):
    """Notifiers in the order of the configuration."""

    notifiers: list[NotifierShown]


class Fault(Struct):
    """Where the input is wrong (a JSON Pointer) and how."""

    pointer: str
    detail: str


class Problem(Struct):
    """A problem object (RFC 9457). `errors` comes with `invalid`, `request` (as settled) with `already-settled`,
    `not_ready` (`starting`, `store` or `draining`) from /ready."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    request: Request | msgspec.UnsetType = msgspec.UNSET
    not_ready: list[str] | msgspec.UnsetType = msgspec.UNSET


class ResetShown(Struct, tag_field="type", tag="reset"):
    """The cursor meant nothing: what is open instead. Go on from `event_id`; `more`: others are open, too."""

    reason: Literal["unknown-cursor", "foreign-cursor"]
    event_id: str
    requests: list[Request]
    more: bool


class AnswerAccepted(Struct, tag_field="type", tag="answer_accepted"):
    """The answer counts. `request`: as it was settled."""

    request_id: str
    answer_id: str
    request: Request


class MessageRefused(Struct, tag_field="type", tag="error"):
    """What a message was refused for; the ids are those it had, null where it had none."""

    request_id: str | None
    answer_id: str | None
    problem: Problem


def _text(most: int) -> Schema:
    """A character is a byte at least; that it is the bytes that count, only words can say."""
    return {"maxLength": most, "description": f"At most {most} bytes of UTF-8."}


_EVERYWHERE: Final[dict[str, Schema]] = {
    **dict.fromkeys(("execution_id", "request_id", "previous", "answer_id", "holder"), _NAME),
    **dict.fromkeys(("timestamp", "deadline", "until"), _TIME),
    **dict.fromkeys(
        ("created_at", "settled_at", "expires_at", "revoked_at", "last_used_at", "due_at", "responded_at"), _TIME
    ),
}
"""What a member of this name must fit, whichever type has it."""

_SUBMISSION: Final[dict[str, Schema]] = {
    "human_feedback": _text(limits.TEXT),
    "text": _text(limits.TEXT),
    "comment": _text(limits.COMMENT),
    "option_ids": {"minItems": 1, "maxItems": 1},
    "action_digest": {"pattern": "^[0-9a-f]{64}$"},
}
_BOUNDS: Final[dict[str, dict[str, Schema]]] = {
    "Question": {
        "prompt": {"minLength": 1, **_NOT_BLANK, **_text(limits.PROMPT)},
        "title": {"maxLength": limits.TITLE_CHARACTERS},
        "context": _text(limits.CONTEXT),
        "options": {"maxItems": limits.OPTIONS},
        "assignees": {"maxItems": limits.ASSIGNEES, "items": {"type": "string", **_text(limits.LABEL)}},
        "reason_flags": {"propertyNames": {"maxLength": limits.LABEL}},
        "allow": {"minItems": 1},
        "timeout": {"exclusiveMinimum": 0, "maximum": limits.TIMEOUT},
        "round": {"minimum": 1, "maximum": limits.ROUND},
        "crew_id": _UUID,
        "task_id": _UUID,
        "agent_id": _UUID,
    },
    "Option": {
        "id": {"minLength": 1, **_NOT_BLANK, **_text(limits.LABEL)},
        "label": _text(limits.LABEL),
        "description": _text(limits.LABEL),
    },
    "Action": {"digest": {"pattern": "^([0-9a-f]{64})?$"}},
    "Source": {"name": _text(limits.LABEL)},
    "Submission": _SUBMISSION,
    "AnswerMessage": _SUBMISSION,
    "Cancellation": {"reason": _text(limits.COMMENT)},
    "LinkWanted": {
        "owner": {"pattern": r"^[A-Za-z0-9._~:@+-]{1,254}$"},
        "expires_in": {"exclusiveMinimum": 0, "maximum": limits.LINK_MOST},
    },
    "LeaseWanted": {"seconds": {"exclusiveMinimum": 0, "maximum": limits.LEASE}},
    "KeyWanted": {
        "name": {**_NAME, "not": {"enum": [".", "..", DEFAULT]}},
        "scopes": {"minItems": 1},
        "executions": {
            "minItems": 1,
            "maxItems": limits.PATTERNS,
            "items": {"type": "string", "pattern": r"^[A-Za-z0-9._~:*-]{1,128}$"},
        },
    },
    "Replay": {"after": _NAME},
    "SubscriptionWanted": {"endpoint": {"pattern": "^https://[!-~]+$", "maxLength": limits.ENDPOINT}},
    "DeviceKeys": {
        "p256dh": {"pattern": "^[A-Za-z0-9_-]{87}={0,2}$"},
        "auth": {"pattern": "^[A-Za-z0-9_-]{22}={0,2}$"},
    },
    "Rotation": {"overlap": {"minimum": 0, "maximum": limits.KEY_OVERLAP_MOST}},
    "InputRequired": {"event_id": _UUID, "crew_id": _UUID, "task_id": _UUID, "agent_id": _UUID, "seq": {"minimum": 1}},
    "InputCompleted": {"event_id": _UUID, "crew_id": _UUID, "task_id": _UUID, "agent_id": _UUID, "seq": {"minimum": 1}},
}
"""What the checks of `asking`, `kinds`, `keys` and the gateway take, as far as a schema of one member can say it."""

_WHOLE: Final[dict[str, Schema]] = {
    "TicketWanted": {
        "oneOf": [
            {"properties": {"execution_id": {"type": "string"}, "all": {"const": False}}, "required": ["execution_id"]},
            {"properties": {"execution_id": {"type": "null"}, "all": {"const": True}}, "required": ["all"]},
        ]
    },
}

_ALWAYS_WHOLE: Final = ("Request", "Answer", "InputRequired", "InputCompleted")
"""Types that are written only, and with every member, whatever their defaults are good for inside."""


def components(types: Iterable[type[Struct]]) -> dict[str, Schema]:
    """The schemas of `types` and of all that they hold, by name; they refer to each other as REF."""
    _, made = msgspec.json.schema_components(list(types), ref_template=REF)
    for name, schema in made.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        members = schema.get("properties", {})
        for member in members.keys() & _EVERYWHERE.keys():
            members[member] |= _EVERYWHERE[member]
        for member, bounds in _BOUNDS.get(name, {}).items():
            members[member] |= bounds
        schema.update(_WHOLE.get(name, {}))
        if name in _ALWAYS_WHOLE:
            schema["required"] = list(members)
            for described in members.values():
                described.pop("default", None)
    return made
