"""What the client says to a server, and what it reads from the answers. Pure: sends nothing, waits for nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from sayso import limits
from sayso.client.pauses import Pauses
from sayso.errors import AlreadySettled, Fault, Invalid, Misconfigured, NotFound, SaysoError, TooSlow, Unavailable
from sayso.model import ID_RULE, InputCompleted, InputRequired, Question, Request, Status, Submission, is_id
from sayso.wire import UNREADABLE, checked, checked_submission, decode_request, encode, error_of

T = TypeVar("T")

HOLD: Final = limits.WAIT - 5
"""Seconds that one look at a pending request, or one poll, is held by the server."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One HTTP call. `hold`: seconds that the server may take beyond what any call takes."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: float = 0.0


class Reply(NamedTuple):
    """What came back; `error` where nothing did."""

    status: int = 0
    body: bytes = b""
    retry_after: str | None = None
    error: Exception | None = None


class Body:
    """The body of a reply, as it comes from `began` on. Refuses what no server of ours says so long or slowly."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._data = bytearray()

    def add(self, part: bytes, now: float) -> None:
        """Raises Misconfigured where there is no end in sight; TooSlow where it drips."""
        self._data += part
        if len(self._data) > limits.REPLY:
            raise Misconfigured(f"it answers, but not as a sayso server does: with more than {limits.REPLY} bytes")
        if now - self._began > limits.RECEIVE + len(self._data) / limits.RECEIVE_RATE:
            raise TooSlow("its answer does not come to an end")

    def whole(self) -> bytes:
        return bytes(self._data)


class Send(NamedTuple):
    """A step: make this call, and say what came back."""

    call: Call[Any]


class Sleep(NamedTuple):
    """A step: wait this many seconds."""

    seconds: float
    why: str


Steps = Generator[Send | Sleep, Reply | None, T]
"""A way to a T, step by step: whoever drives it makes the calls and waits, in a thread or on a loop."""


class RequestPage(Struct):
    """A page of a list. `next`: where the next page begins; `cursor`: a follower from here misses nothing."""

    requests: tuple[Request, ...]
    next: str | None = None
    cursor: str | None = None


def ask(question: Question) -> Call[Request]:
    """Asks. With a `request_id` in it, asking again is the same question. Raises Invalid."""
    return Call("POST", "/requests", decode_request, body=encode(checked(question)))


def identified(question: Question) -> Question:
    """The question with an id of its own, so that a reply that got lost can be asked for again."""
    return question if question.request_id is not None else question.replace(request_id=str(uuid.uuid4()))


def look(request_id: str, wait: float = 0.0) -> Call[Request]:
    """The request; with `wait` once it is settled, or after so many seconds (at most 50)."""
    if not wait >= 0:
        raise Invalid(Fault("/wait", "must be seconds, 0 or more"))
    hold = min(wait, HOLD)
    headers = {"Prefer": f"wait={hold:.3f}"} if hold else {}
    return Call("GET", _path(request_id), decode_request, headers=headers, hold=hold)


def listing(
    status: Iterable[Status] = (),
    execution_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
    *,
    newest: bool = False,
    q: str | None = None,
) -> Call[RequestPage]:
    """A page of requests, in asking order, or the newest first. Raises Invalid."""
    if execution_id is not None and not is_id(execution_id):
        raise Invalid(Fault("/execution_id", ID_RULE))
    query = [("limit", str(limit)), *(("status", one) for one in status)]
    chosen = {"execution_id": execution_id, "after": after, "order": "newest" if newest else None, "q": q}
    query += [(name, value) for name, value in chosen.items() if value is not None]
    return Call("GET", "/requests", _page.decode, query=tuple(query))


def next_of(page: RequestPage, after: str | None, *, newest: bool) -> str | None:
    """Where the next page begins; None after the last. Raises Misconfigured where that is no place further on."""
    place = page.next
    if place is None:
        return None
    is_place = place.isascii() and place.isdigit() and len(place) < 20
    if not is_place or (after is not None and (int(place) >= int(after) if newest else int(place) <= int(after))):
        raise Misconfigured("it answers, but not as a sayso server does: its list has no end")
    return place


def answer(request_id: str, given: Submission) -> Call[Request]:
    """Answers. With an `answer_id` in it, answering again is the same answer. Raises Invalid."""
    if given.answer_id is None:
        given = msgspec.structs.replace(given, answer_id=str(uuid.uuid4()))
    members = msgspec.structs.asdict(checked_submission(given)).items()
    body = encode({name: value for name, value in members if value is not None})  # null would say something else
    return Call("POST", f"{_path(request_id)}/answer", decode_request, body=body)


def cancel(request_id: str, reason: str) -> Call[Request]:
    """Gives a pending request up."""
    return Call("POST", f"{_path(request_id)}/cancel", decode_request, body=encode({"reason": reason}))


def keep(execution_id: str, request_id: str, data: bytes) -> Call[None]:
    """Keeps what an agent needs to go on from a request."""
    query = (("execution_id", execution_id),)
    return Call("PUT", f"{_path(request_id)}/resume", lambda body: None, query=query, body=data)


def kept(request_id: str) -> Call[bytes]:
    """What was kept for this request. The server says NotFound where nothing was."""
    return Call("GET", f"{_path(request_id)}/resume", bytes)


def lease(name: str, holder: str, seconds: float) -> Call[None]:
    """Takes or lengthens a lease. The server says Leased while it is another's."""
    return Call("PUT", f"/leases/{name}", lambda body: None, body=encode({"holder": holder, "seconds": seconds}))


def release(name: str, holder: str) -> Call[None]:
    """Gives a lease back."""
    return Call("DELETE", f"/leases/{name}", lambda body: None, query=(("holder", holder),))


def audit(execution_id: str | None, after: tuple[str, int] | None) -> Call[list[dict[str, Any]]]:
    """Entries of the audit after that place (execution and number), of one execution or of all. Raises Invalid."""
    if execution_id is not None and not is_id(execution_id):
        raise Invalid(Fault("/execution_id", ID_RULE))
    query = [] if execution_id is None else [("execution_id", execution_id)]
    if after is not None:
        query.append(("after", f"{after[0]},{after[1]}"))
    return Call("GET", "/audit", _entries, query=tuple(query))


def place_of(page: list[dict[str, Any]], after: tuple[str, int] | None) -> tuple[str, int]:
    """How far a page of the audit goes. Raises Misconfigured where that is no place, or no further than `after`."""
    execution_id, number = page[-1].get("execution_id"), page[-1].get("number")
    if not (isinstance(execution_id, str) and isinstance(number, int)):
        raise Misconfigured("it answers, but not as a sayso server does: an entry of its audit has no place")
    if after is not None and (execution_id, number) <= after:
        raise Misconfigured("it answers, but not as a sayso server does: its audit has no end")
    return execution_id, number


def _entries(body: bytes) -> list[dict[str, Any]]:
    return msgspec.json.Decoder(dict[str, Any]).decode_lines(body)


_page: Final = msgspec.json.Decoder(RequestPage)


def _path(request_id: str) -> str:
    if not is_id(request_id):
        raise NotFound(f"{request_id!r} can be no request's id")
    return f"/requests/{request_id}"


def persist(call: Call[T], *, patience: float | None, clock: Callable[[], float], is_known: bool = False) -> Steps[T]:
    """What `call` brings, however often it must be made within `patience` seconds (None: for ever).

    `is_known`: the address has answered as sayso does before, so what else it says now will pass. Raises what the
    server refuses the call with; Unavailable when the time is over; Misconfigured for an address that is no sayso's.
    """
    until = None if patience is None else clock() + patience
    pauses = Pauses()
    while True:
        reply = yield Send(call)
        assert reply is not None  # noqa: S101 - a Send is answered
        error = _failure(reply)
        if error is None:
            try:
                return call.read(reply.body)
            except UNREADABLE as exc:
                error = Misconfigured("it answers, but not as a sayso server does; check the address")
                error.__cause__ = exc
        if not (error.retry or (is_known and isinstance(error, Misconfigured))):
            raise error
        pause = pauses.next(reply.retry_after)
        if until is not None and clock() + pause > until:
            raise error
        yield Sleep(pause, str(error))


def settled(request: Request, *, clock: Callable[[], float]) -> Steps[Request]:
    """The request once it is settled, however long that takes, through restarts of the server."""
    pauses = Pauses()
    while request.is_open:
        began = clock()
        request = yield from persist(look(request.request_id, HOLD), patience=None, clock=clock, is_known=True)
        if clock() - began > _HELD:
            pauses = Pauses()
        elif request.is_open:  # someone on the way does not hold the call
            yield Sleep(pauses.next(), "")
    return request


def cancelled(request_id: str, reason: str, *, patience: float, clock: Callable[[], float]) -> Steps[Request]:
    """The request, given up; also when a first try had done it and its reply was lost."""
    try:
        return (yield from persist(cancel(request_id, reason), patience=patience, clock=clock))
    except AlreadySettled as exc:
        if exc.request.status == "cancelled" and exc.request.reason == reason:
            given_up: Request = exc.request
            return given_up
        raise


_HELD: Final = 1.0
"""Seconds from which on a look counts as one that the server held."""


def _failure(reply: Reply) -> SaysoError | None:
    if isinstance(reply.error, SaysoError):
        return reply.error
    if reply.error is not None:
        error = Unavailable(f"the server cannot be reached: {str(reply.error) or type(reply.error).__name__}")
        error.__cause__ = reply.error
        return error
    return None if 200 <= reply.status < 300 else error_of(reply.body, reply.status)


Fact = InputRequired | InputCompleted
