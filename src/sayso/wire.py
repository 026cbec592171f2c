"""How things are written: JSON, SSE blocks, WebSocket messages, problem objects; reads strictly."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Struct

from sayso import errors, keys, limits, model
from sayso.errors import AlreadySettled, Fault, Invalid, SaysoError, Unavailable
from sayso.keys import Key, KeyWanted, Rotation
from sayso.model import Fact, Question, Request, Submission
from sayso.notifier import Replay
from sayso.subscription import Subscription, SubscriptionWanted

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_LINE_BREAKS: Final = {"\x85": rb"\u0085", "\u2028": rb"\u2028", "\u2029": rb"\u2029"}
"""What Python's `splitlines`, and so httpx's `aiter_lines`, takes for the end of a line and JSON may hold as it is."""
_NOT_JSON: Final = "must be JSON: text that UTF-8 can hold, numbers, true, false, null, lists and objects"
PROBLEM_TYPE: Final = "application/problem+json"
HEARTBEAT: Final = b": heartbeat\n"
"""A comment (WHATWG HTML, 9.2.6). No empty line after it: httpx-sse takes one for the end of an event without data."""
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises of bytes that are not the JSON that they should be."""


class Event(Struct, frozen=True, eq=False, dict=True, weakref=True):
    """An appended fact with its place in the log, and its bytes: encoded once, shared by every follower.

    `position` orders all events of a store, `seq` (dense, from 1) those of one execution.
    """

    position: int
    execution_id: str
    seq: int
    event_id: str
    type: str
    request_id: str
    data: bytes

    @cached_property
    def sse(self) -> bytes:
        """One unnamed SSE event; its JSON is one `data:` line."""
        return b"id: " + self.event_id.encode() + b"\ndata: " + self.data + b"\n\n"

    @cached_property
    def text(self) -> str:
        """The JSON as the text of a WebSocket message."""
        return self.data.decode()

    @classmethod
    def of(cls, fact: Fact, *, position: int, seq: int) -> Event:
        """`fact` in its place, written down."""
        numbered = msgspec.structs.replace(fact, seq=seq)
        return cls(
            position=position,
            execution_id=fact.execution_id,
            seq=seq,
            event_id=fact.event_id,
            type=fact.__struct_config__.tag,  # type: ignore[arg-type]  # both facts have text tags
            request_id=fact.request_id,
            data=_one_line(numbered),
        )

    @staticmethod
    def around_seq(fact: Fact) -> tuple[bytes, bytes]:
        """What stands before and after `seq` in the `data` of `fact`, for a store that gives it out later."""
        before, name, after = _one_line(msgspec.structs.replace(fact, seq=0)).partition(b'"seq":0,')
        return before + name[:-2], name[-1:] + after


Reason = Literal["unknown-cursor", "foreign-cursor"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
"""Why a cursor means nothing."""


@dataclass(frozen=True)
class Reset:
    """Tells a follower that its cursor means nothing here, and what is open instead.

    `event_id` is where the stream goes on from; `more`: further requests are open, `GET /requests` has them all.
    """

    reason: Reason
    event_id: str
    requests: tuple[Request, ...]
    more: bool

    @cached_property
    def data(self) -> bytes:
        members = {"reason": self.reason, "event_id": self.event_id, "requests": self.requests, "more": self.more}
        return _one_line({"type": "reset", **members})

    @cached_property
    def sse(self) -> bytes:
        return b"id: " + self.event_id.encode() + b"\ndata: " + self.data + b"\n\n"


class AnswerMessage(Submission, frozen=True, kw_only=True):
    """A WebSocket client's answer: a submission that names its request."""

    type: Literal["answer"]
    request_id: str


class AuthMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a WebSocket client says who it is, where it did not in the handshake."""

    type: Literal["auth"]
    token: str


class TicketWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /tickets`: of one execution, or of all that the key may see."""

    execution_id: str | None = None
    all: bool = False


class Cancellation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /requests/{id}/cancel`."""

    reason: str = "cancelled"


class LeaseWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PUT /leases/{name}`."""

    holder: str
    seconds: float


class LinkWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /requests/{id}/links`. `owner`: whose it is, an e-mail address, say; `expires_in`: seconds."""

    owner: str
    expires_in: float = limits.LINK


class LinkMade(Struct, frozen=True, kw_only=True):
    """An answer link: whoever opens `url` can answer one question, once, until `expires_at`. Where the server was not
    told where people reach it, `url` is without scheme and host. `token`: as it stands in `url`."""

    url: str
    token: str
    expires_at: datetime


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /session`. Without a key where the server needs none."""

    key: str = ""


def encode(value: Any) -> bytes:
    """JSON (RFC 8259), UTF-8, no white space."""
    return _encoder.encode(value)


def decode_request(data: bytes) -> Request:
    """What `encode` made of a request, maybe by a newer version: members not known here are passed over.

    Raises ValueError.
    """
    return _request_decoder.decode(data)


_request_decoder = msgspec.json.Decoder(Request)


def decode_kept_subscription(data: bytes) -> Subscription:
    """What `encode` made of a device, likewise. Raises ValueError."""
    return _subscription_decoder.decode(data)


_subscription_decoder = msgspec.json.Decoder(Subscription)


def decode_key(data: bytes) -> Key:
    """What `encode` made of a key, likewise. Raises ValueError."""
    return _key_decoder.decode(data)


_key_decoder = msgspec.json.Decoder(Key)


def decode_question(data: bytes) -> Question:
    """The body of `POST /requests`. Raises Invalid."""
    return decode(data, Question)


def checked(question: Question) -> Question:
    """A question that was made in code, as if it had come over the wire: code may put anything anywhere.

    Raises Invalid for what could not have come over it.
    """
    return decode_question(_written(question))


def checked_submission(given: Submission) -> Submission:
    """An answer that was made in code, likewise. Raises Invalid."""
    return decode_submission(_written(given))


def _written(said: Struct) -> bytes:
    members = msgspec.structs.asdict(said).items()
    faults = [Fault(f"/{name}", _NOT_JSON) for name, value in members if not _is_json(value)]
    if faults:
        raise Invalid(*faults)
    return _encoder.encode({name: value for name, value in members if value is not None})


def _is_json(value: Any) -> bool:
    """Whether JSON can hold `value` as it is; msgspec would make null of numbers that are none."""
    try:
        left = [msgspec.to_builtins(value)]
        _encoder.encode(left)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return False
    while left:
        one = left.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return False
        if isinstance(one, dict | list | tuple):
            left.extend(one.values() if isinstance(one, dict) else one)
    return True


def decode_submission(data: bytes) -> Submission:
    """The body of `POST /requests/{id}/answer`. Raises Invalid."""
    return decode(data, Submission)


def decode_cancellation(data: bytes) -> str:
    """The reason in the body of `POST /requests/{id}/cancel`, which may be empty. Raises Invalid."""
    return decode(data or b"{}", Cancellation).reason


def decode_lease(data: bytes) -> LeaseWanted:
    """The body of `PUT /leases/{name}`. Raises Invalid."""
    return decode(data, LeaseWanted)


def decode_link_wanted(data: bytes) -> LinkWanted:
    """The body of `POST /requests/{id}/links`. Raises Invalid."""
    wanted, faults = decode(data, LinkWanted), []
    if not model.is_owner(wanted.owner):
        faults.append(Fault("/owner", model.OWNER_RULE))
    if not 0 < wanted.expires_in <= limits.LINK_MOST:
        faults.append(Fault("/expires_in", f"must be more than 0 and at most {limits.LINK_MOST:.0f}"))
    if faults:
        raise Invalid(*faults)
    return wanted


def decode_login(data: bytes) -> Login:
    """The body of `POST /session`, which may be empty. Raises Invalid."""
    return decode(data or b"{}", Login)


def decode_key_wanted(data: bytes) -> KeyWanted:
    """The body of `POST /keys`. Raises Invalid."""
    return decode(data, KeyWanted)


def decode_rotation(data: bytes) -> Rotation:
    """The body of `POST /keys/{id}/rotate`, which may be empty. Raises Invalid."""
    return decode(data or b"{}", Rotation)


def decode_replay(data: bytes) -> Replay:
    """The body of `POST /notifiers/{name}/replay`, which may be empty. Raises Invalid."""
    wanted = decode(data or b"{}", Replay)
    if wanted.after is not None and not model.is_id(wanted.after):
        raise Invalid(Fault("/after", model.ID_RULE))
    return wanted


def decode_subscription(data: bytes) -> SubscriptionWanted:
    """The body of `POST /push`. Raises Invalid."""
    return decode(data, SubscriptionWanted)


def decode_ticket_wanted(data: bytes) -> str | None:
    """The execution that the body of `POST /tickets` names; None for all. Raises Invalid."""
    wanted = decode(data, TicketWanted)
    if wanted.all == (wanted.execution_id is not None):
        raise Invalid(Fault("", 'must name an execution_id, or be {"all": true}'))
    if wanted.execution_id is not None and not model.is_id(wanted.execution_id):
        raise Invalid(Fault("/execution_id", model.ID_RULE))
    return wanted.execution_id


def decode_auth_message(data: bytes | str) -> str:
    """The key in the first message of a WebSocket client that brought none before. Raises Invalid."""
    return decode(data, AuthMessage).token


def decode_answer_message(data: bytes | str) -> AnswerMessage:
    """A message of a WebSocket client. Raises Invalid."""
    return decode(data, AnswerMessage)


def reference(data: bytes | str) -> dict[str, str | None]:
    """The ids that a message seems to carry, so that an error about it can name them; None where they are not ids."""
    try:
        loose = msgspec.json.decode(data)
    except UNREADABLE:
        loose = None
    found = loose if isinstance(loose, dict) else {}
    ids = {name: found.get(name) for name in ("request_id", "answer_id")}
    return {name: id if isinstance(id, str) and model.is_id(id) else None for name, id in ids.items()}


def events_page(events: Iterable[Event], *, cursor: str | None, more: bool, reset: Reset | None) -> bytes:
    """The body of a poll: the events' own bytes, joined."""
    tail = {"cursor": cursor, "more": more} | ({"reset": {"reason": reset.reason}} if reset else {})
    return b'{"events":[' + b",".join(event.data for event in events) + b"]," + _encoder.encode(tail)[1:]


def accepted_message(request: Request) -> str:
    """What a WebSocket client hears when its answer won."""
    assert request.answer is not None  # noqa: S101 - an accepted answer is there
    ids = {"request_id": request.request_id, "answer_id": request.answer.answer_id}
    return _encoder.encode({"type": "answer_accepted", **ids, "request": request}).decode()


def error_message(error: SaysoError, ids: dict[str, str | None]) -> str:
    """What a WebSocket client hears of a message that was refused."""
    return _encoder.encode({"type": "error", **ids, "problem": problem(error)}).decode()


def problem(error: SaysoError) -> dict[str, Any]:
    """The problem object (RFC 9457) of an error. It never holds what the sender wrote."""
    return {
        "type": f"urn:sayso:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        **error.members,
    }


def error_of(data: bytes, status: int) -> SaysoError:
    """The error that a problem object tells of; one that may be tried again for what is none, as from a proxy."""
    try:
        told = msgspec.json.decode(data, type=_Problem)
    except UNREADABLE:
        told = _Problem(detail=f"it answers with HTTP status {status}, not as a sayso server does; check the address")
    code = told.type.removeprefix("urn:sayso:problem:")
    if code == Invalid.code:
        return Invalid(*(Fault(one.pointer, one.detail) for one in told.errors))
    if code == AlreadySettled.code and told.request is not None:
        return AlreadySettled(told.request)
    kind = _ERRORS.get(code) or (Unavailable if status >= 500 or status in (408, 425, 429) else errors.Misconfigured)
    return kind(told.detail)


class _Fault(Struct):
    pointer: str
    detail: str


class _Problem(Struct):
    type: str = ""
    detail: str = ""
    errors: tuple[_Fault, ...] = ()
    request: Request | None = None


_ERRORS: Final[dict[str, type[SaysoError]]] = {
    kind.code: kind
    for kind in (
        *(errors.NotFound, errors.MethodNotAllowed, errors.Unauthorised, errors.Forbidden, errors.TooMany),
        *(errors.TooLarge, errors.RequestMismatch, errors.ActionMismatch, errors.NameTaken),
        *(errors.Leased, errors.LinkOver, errors.Unavailable),
        *(errors.Malformed, errors.TooSlow),
    )
}
"""By code; `server-stopped` is left out, since to a client it is no more than unavailable."""
CODES: Final = (
    *_ERRORS,
    *(kind.code for kind in (Invalid, AlreadySettled, errors.ServerStopped, SaysoError)),
)
"""What a problem's type may end with."""


def timestamp(now: datetime) -> str:
    """ISO 8601 in UTC, as in every message."""
    return now.astimezone(UTC).isoformat().replace("+00:00", "Z")


def check_json(value: Any, pointer: str) -> None:
    """Raises Invalid unless `value` is JSON of a size and depth that a request may hold."""
    try:
        size = len(_encoder.encode(value))
    except (TypeError, ValueError, RecursionError, OverflowError) as exc:
        raise Invalid(Fault(pointer, _NOT_JSON)) from exc
    if size > limits.JSON:
        raise Invalid(Fault(pointer, f"must be at most {limits.JSON} bytes of JSON"))
    level = [value]
    for _ in range(limits.JSON_DEPTH):
        level = [
            child
            for one in level
            if isinstance(one, dict | list | tuple)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise Invalid(Fault(pointer, f"must not be nested deeper than {limits.JSON_DEPTH} levels"))


def decode(data: bytes | str, type_: type[T]) -> T:
    """What came from outside, as `type_` has it. Raises Invalid, which names the place and never quotes it."""
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as exc:
        raise Invalid(_fault(str(exc))) from exc
    except RecursionError as exc:
        raise Invalid(Fault("", "is nested too deeply")) from exc
    except UnicodeError as exc:
        raise Invalid(Fault("", "is not JSON: it must be UTF-8, without halves of surrogate pairs")) from exc
    except msgspec.DecodeError as exc:
        raise Invalid(Fault("", f"is not JSON: {str(exc).removeprefix('JSON is malformed: ')}")) from exc


def _one_line(value: Any) -> bytes:
    """JSON without a character that any client could take for the end of a line."""
    data = _encoder.encode(value)
    if data.isascii():
        return data
    for character, escaped in _LINE_BREAKS.items():
        data = data.replace(character.encode(), escaped)
    return data


_WHERE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]")
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "kind": get_args(model.Kind),
    "decision": get_args(model.Decision),
    "allow": get_args(model.Decision),
    "priority": get_args(model.Priority),
    "on_timeout": get_args(model.OnTimeout),
    "style": get_args(model.Style),
    "scopes": keys.SCOPES,
    "type": ("answer",),
}


def _fault(message: str) -> Fault:
    """A msgspec message as a fault: its path as a JSON Pointer, and without the parts that quote the input."""
    where = _WHERE.search(message)
    path = where["path"].partition("[...]")[0] if where else ""  # below that are the sender's own names
    steps = [m["name"] or m["index"] for m in _STEP.finditer(path)]
    text = message[: where.start()] if where else message
    if missing := _MISSING.match(text):
        return Fault("".join(f"/{step}" for step in [*steps, missing["name"]]), "is missing")
    pointer = "".join(f"/{step}" for step in steps)
    if text.startswith("Object contains unknown field"):
        return Fault(pointer, "has a member that is not known here; check its spelling")
    if text.startswith("Invalid enum value") or text.startswith("Invalid value"):
        named = next((step for step in reversed(steps) if step in _CHOICES), "")
        return Fault(pointer, f"must be one of: {', '.join(_CHOICES.get(named, ()))}")
    return Fault(pointer, text.replace("`", ""))
