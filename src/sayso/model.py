"""What can be asked, answered and told: frozen values, and the life cycle of a request. Pure: no I/O, no clock."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from sayso.errors import AlreadySettled

Kind = Literal["review", "approval", "gate", "question", "choice", "form"]
Status = Literal["pending", "answered", "expired", "cancelled"]
Decision = Literal["approve", "edit", "respond", "reject"]
Priority = Literal["low", "normal", "high", "urgent"]
OnTimeout = Literal["reject", "approve", "default", "cancel"]
Style = Literal["default", "primary", "danger"]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone, as all have that sayso writes; one without cannot be compared with them."""

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
SYSTEM: Final = "system"
"""The channel of a settlement that no person made."""
HTTP: Final = "http"
"""The channel of what came over plain HTTP."""
PROCESS: Final = "process"
"""Who asks, and by which channel, when code of the server's own process does."""
DEADLINE: Final = "system:deadline"
"""Who settled a request that ran out of time."""
ASKER_GONE: Final = "asker-gone"
"""Why a request is cancelled whose asker can no longer take the answer."""

_ID = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
_NAMESPACE: Final = uuid.UUID("6b1f0c8e-6d0c-5c0e-9d55-5a7950000001")


_OWNER = re.compile(r"[A-Za-z0-9._~:@+-]{1,254}")

OWNER_RULE: Final = "must be 1 to 254 of A-Z a-z 0-9 . _ ~ : - @ +, as an e-mail address is"
"""`is_owner` in words."""
ID_RULE: Final = "must be 1 to 128 of A-Z a-z 0-9 . _ ~ : - (and not . or ..)"
"""`is_id` in words."""


def is_id(text: str) -> bool:
    """Whether `text` can name an execution, a request, an answer or an event on every transport.

    The grammar is that of unreserved URL characters and `:`, without `.` and `..`, which URL clients fold away.
    """
    return _ID.fullmatch(text) is not None and text not in {".", ".."}


def is_owner(text: str) -> bool:
    """Whether `text` can say whose an answer link is."""
    return _OWNER.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold `text`; Python's own strings may hold halves of surrogate pairs, which it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode("utf-8", "replace"))


def derived_uuid(*parts: str) -> str:
    """A UUIDv5 (RFC 9562) that is the same for the same parts, for things whose source has no UUID of its own."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


class Option(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the answers offered. An empty `label` means the id."""

    id: str
    label: str = ""
    description: str = ""
    style: Style = "default"


class Action(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call the agent wants to make. `digest`, which sayso fills in: SHA-256 (hex) of RFC 8785 `{"args", "name"}`."""

    name: str
    args: dict[str, Any] = {}
    args_schema: dict[str, Any] | None = None
    digest: str = ""


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a question comes from: the framework's name and the ids as the framework itself writes them."""

    name: str = "http"
    native: dict[str, Any] = {}


class _Content(Struct, frozen=True, kw_only=True):
    execution_id: str
    prompt: str
    title: str = ""
    context: str = ""
    context_data: dict[str, Any] | None = None
    action: Action | None = None
    options: tuple[Option, ...] = ()
    response_schema: dict[str, Any] | None = None
    deadline: datetime | None = None
    default: str | dict[str, Any] | None = None
    priority: Priority = "normal"
    assignees: tuple[str, ...] = ()
    reason_flags: dict[str, bool] = {}
    source: Source = Source()
    metadata: dict[str, Any] = {}
    round: int = 1
    previous: str | None = None


class Question(_Content, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an asker says; all but `execution_id` and `prompt` may be left out.

    `kind` follows from the rest where it is not given (an action: approval; options: choice; a response_schema: form;
    else question). `timeout` is seconds from the asking and stands in for `deadline`. Ids of crew, task and agent are
    UUIDs; without one, a UUIDv5 of the source's name and native id is made.
    """

    request_id: str | None = None
    crew_id: str | None = None
    task_id: str | None = None
    agent_id: str | None = None
    kind: Kind | None = None
    allow: tuple[Decision, ...] | None = None
    on_timeout: OnTimeout | None = None
    timeout: float | None = None

    def replace(self, **changes: Any) -> Question:
        """This question with other members. A `timeout` takes the place of a `deadline`, and the other way round.

        Raises TypeError for a member that a question does not have.
        """
        for one, other in (("timeout", "deadline"), ("deadline", "timeout")):
            if changes.get(one) is not None and other not in changes:
                changes[other] = None
        return msgspec.structs.replace(self, **changes)


class Submission(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person sends back, as it came in. `human_feedback` alone is enough; the kind says what it means.

    `action_digest`: the digest of the action that the person has seen; refused where that is not the request's.
    """

    answer_id: str | None = None
    decision: Decision | None = None
    human_feedback: str | None = None
    text: str | None = None
    option_ids: tuple[str, ...] | None = None
    values: Any = None
    edited: Any = None
    comment: str = ""
    action_digest: str | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, after it was checked against its request."""

    answer_id: str
    decision: Decision
    text: str | None = None
    option_ids: tuple[str, ...] = ()
    values: Any = None
    edited: Any = None
    comment: str = ""


class Request(_Content, frozen=True, kw_only=True):
    """One thing asked of a person. Its status changes once, from `pending` to one of the others, and never again.

    `durable`: whether it outlives the process that asked; if not, it is cancelled when that process ends.
    `digest`: what must be equal for a repeated ask to be the same question.
    """

    request_id: str
    crew_id: str
    task_id: str
    agent_id: str
    kind: Kind
    allow: tuple[Decision, ...]
    on_timeout: OnTimeout
    deadline: Moment | None = None
    status: Status = "pending"
    created_at: Moment
    asked_by: str
    asked_channel: str = ""
    durable: bool
    digest: str
    asked_event_id: str
    answer: Answer | None = None
    reason: str = ""
    settled_at: Moment | None = None
    settled_by: str | None = None
    settled_channel: str | None = None
    settled_event_id: str | None = None

    @classmethod
    def removed(
        cls, request_id: str, execution_id: str, status: Status, settled_by: str, settled_at: datetime
    ) -> Request:
        """What is left of a settled request whose contents were removed; whatever is not known any more is blank."""
        return cls(
            request_id=request_id,
            execution_id=execution_id,
            status=status,
            settled_by=settled_by,
            settled_at=settled_at,
            prompt="",
            crew_id="",
            task_id="",
            agent_id="",
            kind="question",
            allow=(),
            on_timeout="cancel",
            created_at=settled_at,
            asked_by="",
            durable=True,
            digest="",
            asked_event_id="",
        )

    @property
    def is_open(self) -> bool:
        return self.status == "pending"

    @property
    def human_feedback(self) -> str:
        """A person's answer as one text (`words`); "" when no person answered."""
        return self.words if self.status == "answered" else ""

    @property
    def words(self) -> str:
        """The answer as one text, also one that `on_timeout` gave: the text, else the option's label, else the edit or
        the values (compact JSON unless text), else "" for approve and the word for reject."""
        answer = self.answer
        if answer is None:
            return ""
        if answer.text is not None:
            return answer.text
        if answer.option_ids:
            return ", ".join(self.option(id).label or id for id in answer.option_ids)
        for value in (answer.edited, answer.values):
            if value is not None:
                return value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return "reject" if answer.decision == "reject" else ""

    def option(self, id: str) -> Option:
        """The option with this id; KeyError when it is not offered."""
        for option in self.options:
            if option.id == id:
                return option
        raise KeyError(id)

    def same_question(self, other: Request) -> bool:
        """Whether `other` asks the same: then asking it again is a repeat, not a second question."""
        return self.execution_id == other.execution_id and self.digest == other.digest

    def answered(self, answer: Answer, *, by: str, channel: str, now: datetime, event_id: str) -> Request:
        """This request with its answer. Raises AlreadySettled."""
        return self._settled("answered", answer, by=by, channel=channel, now=now, event_id=event_id)

    def expired(self, answer: Answer | None, *, now: datetime, event_id: str) -> Request:
        """This request after its deadline: `expired` with what `on_timeout` chose, `cancelled` if that was `cancel`."""
        status: Status = "cancelled" if answer is None else "expired"
        return self._settled(status, answer, by=DEADLINE, channel=SYSTEM, now=now, event_id=event_id, reason="deadline")

    def cancelled(self, reason: str, *, by: str, channel: str, now: datetime, event_id: str) -> Request:
        """This request, given up. Raises AlreadySettled."""
        return self._settled("cancelled", None, by=by, channel=channel, now=now, event_id=event_id, reason=reason)

    def _settled(
        self,
        status: Status,
        answer: Answer | None,
        *,
        by: str,
        channel: str,
        now: datetime,
        event_id: str,
        reason: str = "",
    ) -> Request:
        if not self.is_open:
            raise AlreadySettled(self)
        return msgspec.structs.replace(
            self,
            status=status,
            answer=answer,
            reason=reason,
            settled_at=now,
            settled_by=by,
            settled_channel=channel,
            settled_event_id=event_id,
        )


class InputRequired(Struct, frozen=True, kw_only=True, tag_field="type", tag="human_input_required"):
    """The fact that something was asked; the first ten members are the seed proposal's own."""

    execution_id: str
    crew_id: str
    task_id: str
    agent_id: str
    prompt: str
    context: str
    timestamp: Moment
    event_id: str
    reason_flags: dict[str, bool]
    request_id: str
    seq: int = 0
    kind: Kind
    title: str
    context_data: dict[str, Any] | None
    action: Action | None
    allow: tuple[Decision, ...]
    options: tuple[Option, ...]
    response_schema: dict[str, Any] | None
    deadline: Moment | None
    on_timeout: OnTimeout
    default: str | dict[str, Any] | None
    priority: Priority
    assignees: tuple[str, ...]
    round: int
    previous: str | None
    source: Source
    metadata: dict[str, Any]

    @property
    def type(self) -> Literal["human_input_required"]:
        return "human_input_required"

    @classmethod
    def of(cls, request: Request) -> InputRequired:
        own = {name: getattr(request, name) for name in cls.__struct_fields__ if hasattr(request, name)}
        return cls(**own, event_id=request.asked_event_id, timestamp=request.created_at)


class InputCompleted(Struct, frozen=True, kw_only=True, tag_field="type", tag="human_input_completed"):
    """The fact that a request was settled: answered, expired or cancelled. `decision` is null when nobody decided."""

    execution_id: str
    crew_id: str
    task_id: str
    agent_id: str
    event_id: str
    human_feedback: str
    timestamp: Moment
    request_id: str
    seq: int = 0
    status: Status
    decision: Decision | None = None
    option_ids: tuple[str, ...] = ()
    values: Any = None
    edited: Any = None
    comment: str = ""
    reason: str
    by: str
    channel: str

    @property
    def type(self) -> Literal["human_input_completed"]:
        return "human_input_completed"

    @classmethod
    def of(cls, request: Request) -> InputCompleted:
        """The settlement of `request`. Raises ValueError while it is pending."""
        if (
            request.settled_at is None
            or request.settled_event_id is None
            or request.settled_by is None
            or request.settled_channel is None
        ):
            raise ValueError("the request is still pending")
        answer = request.answer
        return cls(
            execution_id=request.execution_id,
            crew_id=request.crew_id,
            task_id=request.task_id,
            agent_id=request.agent_id,
            event_id=request.settled_event_id,
            human_feedback=request.human_feedback,
            timestamp=request.settled_at,
            request_id=request.request_id,
            status=request.status,
            decision=answer.decision if answer else None,
            option_ids=answer.option_ids if answer else (),
            values=answer.values if answer else None,
            edited=answer.edited if answer else None,
            comment=answer.comment if answer else "",
            reason=request.reason,
            by=request.settled_by,
            channel=request.settled_channel,
        )


Fact = InputRequired | InputCompleted
EMPTY_FLAGS: Final = {"ambiguity": False, "missing_field": False}
