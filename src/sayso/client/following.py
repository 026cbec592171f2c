"""A follower's side of a stream: where it is, how it goes on after a break, and when it takes to polling. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sayso.client.pauses import Pauses
from sayso.client.sse import Decoder
from sayso.errors import Fault, Invalid, Misconfigured, SaysoError
from sayso.model import ID_RULE, InputCompleted, InputRequired, Request, is_id
from sayso.wire import UNREADABLE, error_of

SILENCE: Final = 15.0
"""Seconds without a byte after which a stream counts as broken; the server says something every 4 s."""
POLL: Final = 25.0
"""Seconds that a poll is held."""
POLLING: Final = 300.0
"""Seconds of polls after which a stream is tried again: what held streams back may be gone."""
_HELD: Final = 1.0
"""Seconds from which on a poll counts as one that the server held."""
_MUTE: Final = 2
"""Streams in a row that brought nothing at all, after which something on the way holds them back."""


class Reset(Struct, tag_field="type", tag="reset"):
    """The cursor meant nothing to the server: what is open now, and where the stream goes on from.

    `more`: further requests are open than these.
    """

    reason: str
    event_id: str | None
    requests: tuple[Request, ...] = ()
    more: bool = False

    @property
    def type(self) -> Literal["reset"]:
        return "reset"


Event = InputRequired | InputCompleted
Told = InputRequired | InputCompleted | Reset


class _Reason(Struct):
    """Why a poll was reset."""

    reason: str


class _Page(Struct):
    events: tuple[Event, ...]
    cursor: str | None
    more: bool
    reset: _Reason | None = None


class Following:
    """One follower. Ask `address` and `headers` for the next call; tell it what came, and how a call ended."""

    def __init__(self, execution_id: str | None, after: str | None) -> None:
        self.cursor = after
        """The `event_id` up to which everything was told: what to go on from, also in another process."""
        if execution_id is not None and not is_id(execution_id):
            raise Invalid(Fault("/execution_id", ID_RULE))
        self._begins = execution_id is None and after is None
        """The first call is a poll: it gives the cursor from which what comes next misses nothing."""
        self._only_polls = False
        self._polled = 0.0
        self._is_known = False
        self._topic = "/human-input" if execution_id is None else f"/human-input/{execution_id}"
        self._pauses = Pauses()
        self._decoder = Decoder()
        self._mute = 0
        self._came = False
        self._has_more = False

    @property
    def road(self) -> Literal["sse", "poll"]:
        """How the next call goes."""
        return "poll" if self._begins or self._only_polls else "sse"

    @property
    def address(self) -> str:
        return f"/{'events' if self.road == 'sse' else 'poll'}{self._topic}"

    @property
    def query(self) -> dict[str, str]:
        cursor = {} if self.cursor is None else {"last_event_id": self.cursor}
        at_once = self._begins or self._has_more
        return cursor if self.road == "sse" else cursor | {"wait": "0" if at_once else f"{POLL:.0f}"}

    @property
    def patience(self) -> float:
        """Seconds without a byte after which a call counts as broken."""
        return SILENCE if self.road == "sse" else POLL + SILENCE

    def opened(self, status: int, content_type: str, body: bytes) -> None:
        """A call was answered; `body` where it is no stream. Raises what the server refuses it with."""
        if not 200 <= status < 300:
            raise error_of(body, status)
        self._decoder, self._came = Decoder(), False
        if self.road == "sse" and not content_type.startswith("text/event-stream"):
            self._take_to_polling()
            raise _NotAStream

    def feed(self, data: bytes) -> list[Told]:
        """What a piece of the stream tells."""
        if data:
            self._came, self._mute, self._pauses = True, 0, Pauses()
        told: list[Told] = []
        for block in self._decoder.feed(data):
            one = _decode(block.data.encode(), _told)
            self.cursor, self._is_known = one.event_id, True
            told.append(one)
        return told

    def page(self, body: bytes) -> list[Told]:
        """What a poll tells."""
        page = _decode(body, _pages)
        self._has_more = page.more and page.cursor not in (None, self.cursor)  # else it leads no further
        self._is_known = True
        self._begins = self._begins and page.more
        if page.events:
            self._pauses = Pauses()
        if page.reset is None:
            self.cursor = page.cursor or self.cursor
            return list(page.events)
        self.cursor = page.cursor
        return [Reset(reason=page.reset.reason, event_id=page.cursor, more=page.more), *page.events]

    def rest(self, told: list[Told], elapsed: float) -> float:
        """Seconds until the next call after a poll: none, unless someone on the way does not hold polls."""
        self._polled += elapsed
        if self._polled >= POLLING:
            self._only_polls = False
            self._mute = _MUTE - 1  # a single mute stream is enough to go on polling
        is_held = elapsed >= _HELD or self._has_more or self.road == "sse"
        return 0.0 if is_held or any(one.type != "reset" for one in told) else self._pauses.next()

    def broke(self, error: Exception | None, retry_after: str | None = None, *, reached: bool = True) -> float:
        """A call has ended; the seconds until the next. `reached`: the server was there.

        Raises `error` where trying again is no use. What is no answer of sayso's passes, once sayso has answered.
        """
        if isinstance(error, _NotAStream):
            return 0.0
        passes = self._is_known and isinstance(error, Misconfigured)
        if isinstance(error, SaysoError) and not error.retry and not passes:
            raise error
        if self.road == "sse" and reached and not self._came and not isinstance(error, SaysoError):
            self._mute += 1
            if self._mute >= _MUTE:
                self._take_to_polling()
        self._came = False
        return self._pauses.next(retry_after)

    def _take_to_polling(self) -> None:
        self._only_polls, self._polled = True, 0.0


class _NotAStream(SaysoError):
    """The server, or something on the way to it, does not stream."""


_told: Final = msgspec.json.Decoder(Told)
_pages: Final = msgspec.json.Decoder(_Page)


def _decode(data: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(data)
    except UNREADABLE as exc:
        raise Misconfigured("it streams, but not as a sayso server does; check the address") from exc
