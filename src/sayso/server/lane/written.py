"""What the fast lane writes: heads of answers, chunks of a body, frames. Each event once for all followers."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from typing import Final

from sayso.server.protection import PROTECTION
from sayso.server.sse import HEADERS as SSE_HEADERS
from sayso.wire import HEARTBEAT, Event, events_page

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
_FINAL: Final = 0x80
_SHORT: Final = struct.Struct("!BB").pack
_MEDIUM: Final = struct.Struct("!BBH").pack
_LONG: Final = struct.Struct("!BBQ").pack

_EVENTS_PAGE: Final = {"Content-Type": "application/json", "Cache-Control": "no-store"}


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message, or control frame, of a server (RFC 6455, 5.2)."""
    length = len(payload)
    if length < 126:
        return _SHORT(_FINAL | opcode, length) + payload
    if length < 1 << 16:
        return _MEDIUM(_FINAL | opcode, 126, length) + payload
    return _LONG(_FINAL | opcode, 127, length) + payload


def closing(code: int, reason: str) -> bytes:
    """A close frame; `reason` is at most 123 bytes (5.5.1)."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode()[:123])


def chunk(data: bytes) -> bytes:
    """A piece of a body whose length is not known (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def sse_events(events: Sequence[Event]) -> bytes:
    return chunk(b"".join([event.sse for event in events]))


def ws_events(events: Sequence[Event]) -> bytes:
    if len(events) == 1:
        return frame(TEXT, events[0].data)
    return b"".join([frame(TEXT, event.data) for event in events])


def poll_events(events: Sequence[Event]) -> bytes:
    return page(events_page(events, cursor=events[-1].event_id, more=False, reset=None))


def page(body: bytes) -> bytes:
    """The answer to a poll."""
    headers = _EVENTS_PAGE | {"Content-Length": str(len(body))}
    return _head(b"200 OK", headers) + body


def last_of_connection(answer: bytes) -> bytes:
    """The same answer, which says that no other comes."""
    line, _, rest = answer.partition(b"\r\n")
    return line + b"\r\nconnection: close\r\n" + rest


HEARTBEAT_CHUNK: Final = chunk(HEARTBEAT)
LAST_CHUNK: Final = b"0\r\n\r\n"


def sse_head(more: Iterable[tuple[bytes, bytes]]) -> bytes:
    """`more`: headers of this call alone."""
    headers = SSE_HEADERS | {"Transfer-Encoding": "chunked", "Connection": "close"}
    return _head(b"200 OK", headers, more) + HEARTBEAT_CHUNK


def ws_head(accept: bytes) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: %b\r\n\r\n" % accept
    )


def _head(status: bytes, headers: dict[str, str], more: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"date: " + _date()]
    lines += [f"{name.lower()}: {value}".encode() for name, value in headers.items()]
    lines += [name + b": " + value for name, value in (*PROTECTION, *more)]
    return b"\r\n".join((*lines, b"", b""))


_date_of: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _date_of  # noqa: PLW0603 - written once a second, not for every answer
    now = int(time.time())
    if _date_of[0] != now:
        _date_of = (now, formatdate(now, usegmt=True).encode())
    return _date_of[1]
