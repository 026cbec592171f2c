"""A follower's side of a stream: where it is, how it goes on after a break, and when it takes to polling. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sayso.client.pauses import Pauses
from sayso.client.sse import Decoder
from sayso.errors import Misconfigured, SaysoError
from sayso.model import InputCompleted, InputRequired, Request
from sayso.wire import error_of

SILENCE: Final = 15.0
"""Seconds without a byte after which a stream counts as broken; the server says something every 4 s."""
POLL: Final = 25.0
"""Seconds that a poll is held."""
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


class _Page(Struct):
    events: tuple[Event, ...]
    cursor: str | None
    more: bool
    reset: dict[str, str] | None = None


class Following:
    """One follower. Ask `address` and `headers` for the next call; tell it what came, and how a call ended."""

    def __init__(self, execution_id: str | None, after: str | None) -> None:
        self.cursor = after
        """The `event_id` up to which everything was told: what to go on from, also in another process."""
        self.road: Literal["sse", "poll"] = "sse"
        self._topic = "/human-input" if execution_id is None else f"/human-input/{execution_id}"
        self._pauses = Pauses()
        self._decoder = Decoder()
        self._mute = 0
        self._came = False
        self._has_more = False

    @property
    def address(self) -> str:
        return f"/{'events' if self.road == 'sse' else 'poll'}{self._topic}"

    @property
    def query(self) -> dict[str, str]:
        cursor = {} if self.cursor is None else {"last_event_id": self.cursor}
        return cursor if self.road == "sse" else cursor | {"wait": "0" if self._has_more else f"{POLL:.0f}"}

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
            self._poll_from_now_on()
            raise _NotAStream

    def feed(self, data: bytes) -> list[Told]:
        """What a piece of the stream tells."""
        if data:
            self._came, self._mute, self._pauses = True, 0, Pauses()
        told: list[Told] = []
        for block in self._decoder.feed(data):
            one = _decode(block.data.encode(), _told)
            self.cursor = one.event_id or self.cursor
            told.append(one)
        return told

    def page(self, body: bytes) -> list[Told]:
        """What a poll tells."""
        page = _decode(body, _pages)
        self._has_more = page.more
        if page.events:
            self._pauses = Pauses()
        self.cursor = page.cursor or self.cursor
        if page.reset is None:
            return list(page.events)
        return [Reset(reason=page.reset["reason"], event_id=page.cursor, more=page.more), *page.events]

    def rest(self, told: list[Told], elapsed: float) -> float:
        """Seconds until the next poll: none, unless someone on the way does not hold the call."""
        return self._pauses.next() if not told and not self._has_more and elapsed < _HELD else 0.0

    def broke(self, error: Exception | None, retry_after: str | None = None) -> float:
        """A call has ended; the seconds until the next. Raises `error` where trying again is no use."""
        if isinstance(error, SaysoError) and not error.retry and not isinstance(error, _NotAStream):
            raise error
        if self.road == "sse" and not self._came:
            self._mute += 1
            if self._mute >= _MUTE:
                self._poll_from_now_on()
        return 0.0 if isinstance(error, _NotAStream) else self._pauses.next(retry_after)

    def _poll_from_now_on(self) -> None:
        self.road = "poll"


class _NotAStream(SaysoError):
    """The server, or something on the way to it, does not stream."""


_told: Final = msgspec.json.Decoder(Told)
_pages: Final = msgspec.json.Decoder(_Page)


def _decode(data: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as exc:
        raise Misconfigured("it streams, but not as a sayso server does; check the address") from exc
