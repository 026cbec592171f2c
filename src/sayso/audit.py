"""What is noted of each change of a request: who did what, how they proved it, when, and of what. Pure.

The entries of an execution are a chain: each carries the hash of the one before it. docs/security.md has the form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, Literal

from msgspec import Struct

from sayso.digest import canonical
from sayso.model import Request
from sayso.wire import encode

Change = Literal["asked", "answered", "expired", "cancelled"]

FIRST: Final = "0" * 64
"""What stands in the first entry of a chain for the hash of the one before it."""
ASKED: Final = (
    *("action", "agent_id", "allow", "assignees", "context", "context_data", "crew_id", "deadline", "default"),
    *("execution_id", "kind", "metadata", "on_timeout", "options", "previous", "priority", "prompt", "reason_flags"),
    *("request_id", "response_schema", "round", "source", "task_id", "title"),
)
"""The members of a request that the digest of what was asked is over."""
_asked: Final = attrgetter(*ASKED)


class _Members(Struct, frozen=True, kw_only=True):
    """An entry without its hash. In the order of RFC 8785, so that what msgspec writes is canonical: it holds nothing
    but text, null and one small number. `number` and `previous`, which the store knows alone, stand side by side."""

    action: str | None
    at: datetime
    by: str
    change: Change
    channel: str
    digest: str
    event_id: str
    execution_id: str
    number: int = 0
    previous: str = ""
    proof: str
    request_id: str


@dataclass(frozen=True)
class Draft:
    """An entry whose place in its chain is not known yet: the bytes before `number` and after `previous`."""

    execution_id: str
    head: bytes
    tail: bytes

    @classmethod
    def of(cls, request: Request) -> Draft:
        """What is noted of the change that made `request` what it is."""
        if request.is_open:
            at, by, channel = request.created_at, request.asked_by, request.asked_channel
            event_id, digest = request.asked_event_id, asked_digest(request)
        else:
            at, by = request.settled_at or request.created_at, request.settled_by or ""
            channel, event_id = request.settled_channel or "", request.settled_event_id or ""
            digest = settled_digest(request)
        members = _Members(
            action=_action(request),
            at=at.astimezone(UTC),
            by=by,
            change="asked" if request.status == "pending" else request.status,
            channel=channel,
            digest=digest,
            event_id=event_id,
            execution_id=request.execution_id,
            proof=proof(by),
            request_id=request.request_id,
        )
        head, _, tail = encode(members).partition(b'0,"previous":""')
        return cls(request.execution_id, head, tail)

    def after(self, number: int, hash: bytes | None) -> Entry:
        """The entry that follows number `number` with that hash; 0 and None: the first one."""
        previous = FIRST if hash is None else hash.hex()
        data = b'%b%d,"previous":"%b"%b' % (self.head, number + 1, previous.encode(), self.tail)
        return Entry(self.execution_id, number + 1, sha256(data).digest(), data)


@dataclass(frozen=True)
class Entry:
    """An entry as it is stored. `data`: its canonical JSON without the hash; `hash`: SHA-256 of that."""

    execution_id: str
    number: int
    hash: bytes
    data: bytes

    @cached_property
    def line(self) -> bytes:
        """Its JSON with its hash, on one line. Of one that is not as it was written, so much as to find it by."""
        if self._is_whole():
            return b'%b,"hash":"%b"}' % (self.data[:-1], self.hash.hex().encode())
        place = {"execution_id": self.execution_id, "number": self.number, "hash": self.hash.hex()}
        return encode(place | {"damaged": self.data.decode(errors="replace")})

    def follows(self, number: int, previous: str) -> bool:
        """Whether it is as it was written, and the one of this number, after the one with that hash."""
        return number == self.number and self._is_whole(previous)

    def _is_whole(self, previous: str = "") -> bool:
        place = f',"execution_id":"{self.execution_id}","number":{self.number},"previous":"{previous}'
        return place.encode() in self.data and sha256(self.data).digest() == self.hash


def proof(by: str) -> str:
    """How whoever is called `by` has shown who they are: `key`, `session`, `link`, `process`, `system`, `anonymous`."""
    return by.partition(":")[0]


def asked_digest(request: Request) -> str:
    """SHA-256 (hex) of the canonical JSON of what was asked."""
    return _digest(dict(zip(ASKED, _asked(request), strict=True)))


def settled_digest(request: Request) -> str:
    """SHA-256 (hex) of the canonical JSON of how it was settled: the answer, if any, and the reason."""
    return _digest({"answer": request.answer, "reason": request.reason})


def _action(request: Request) -> str | None:
    """The digest of the call that was asked about, or that may run after the answer; None where none may."""
    action, answer = request.action, request.answer
    if action is None:
        return None
    if request.is_open or (answer is not None and answer.decision == "approve"):
        return action.digest
    if answer is not None and answer.decision == "edit":
        return _digest({"args": answer.edited, "name": action.name})
    return None


def _digest(value: Any) -> str:
    return sha256(canonical(value)).hexdigest()
