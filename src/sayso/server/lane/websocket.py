"""WebSocket in the fast lane: events out, answers in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from wsproto.events import CloseConnection, Ping

from sayso import limits
from sayso.errors import TooLarge
from sayso.server.lane.frames import Frames, Said
from sayso.server.lane.stream import Stream
from sayso.server.lane.written import PING, TEXT, closing, frame, ws_events
from sayso.server.websocket import MOST, RESTART, TOO_LARGE, TOO_SLOW, UNAUTHORISED, answered
from sayso.wire import Reset

if TYPE_CHECKING:
    from sayso.server.lane.arrived import Arrived

logger = logging.getLogger(__name__)

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""
_PING: Final = frame(PING, b"")
_EMPTY_PONG: Final = b"\x8a\x80"
"""The head of what answers our pings, which carry nothing."""
_FAILED: Final = 1011
"""Close code: as uvicorn has it for what nobody foresaw."""
_FAREWELL: Final = 1.0
"""Seconds that a client has to answer the word of farewell, so that it is not lost."""


def accept_key(headers: Headers) -> bytes | None:
    """What proves that the handshake was understood (RFC 6455, 4.2.2); None for a call that is none."""
    if headers.get("upgrade", "").lower() != "websocket" or headers.get("sec-websocket-version") != "13":
        return None
    if "upgrade" not in {token.strip() for token in headers.get("connection", "").lower().split(",")}:
        return None
    key = headers.get("sec-websocket-key", "").encode("latin-1")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            return None
    except binascii.Error:
        return None
    return accept_of(key)


def accept_of(key: bytes) -> bytes:
    """The same, of a key that was found to be one."""
    return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)


class Socket(Stream):
    """Its client may answer; one message after the other, and nothing is read from it meanwhile."""

    __slots__ = ("_answering", "_deadline", "_frames", "_is_over", "_is_pinged", "_messages")

    encode = staticmethod(ws_events)

    def __init__(self, arrived: Arrived) -> None:
        super().__init__(arrived)
        self._frames: Frames | None = None
        """While a message is on its way."""
        self._messages: deque[str | bytes] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_pinged = False
        self._is_over = False

    def data_received(self, data: bytes) -> None:
        self._is_pinged = False
        if self._frames is None:
            if len(data) == 6 and data[:2] == _EMPTY_PONG:
                return
            self._frames = Frames(self.most())
        frames = self._frames
        try:
            for said in frames.receive(data):
                if not self._is_over or isinstance(said, CloseConnection):
                    self._hear(said, frames)
        except TooLarge:
            self.say_goodbye(TOO_LARGE, MOST)
        if frames.is_idle:
            self._frames = None
        self._expect(not frames.is_idle and not self.transport.is_closing())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._expect(False)
        if self._answering is not None:
            self._answering.cancel()

    def keep_alive(self) -> None:
        """Called every limits.PING: a client that did not answer the last ping is gone."""
        if self._answering is not None or self._is_over:
            return
        if self._is_pinged:
            self.transport.abort()
        elif not self.is_paused:
            self._is_pinged = True
            self.write(_PING)

    def written(self, reset: Reset) -> bytes:
        return frame(TEXT, reset.data)

    def end(self) -> None:
        self.say_goodbye(RESTART, "the server stops; reconnect with last_event_id")

    def fail(self) -> None:
        self.say_goodbye(RESTART, "the server failed; reconnect with last_event_id")

    def key_ended(self) -> None:
        self.say_goodbye(UNAUTHORISED, "the key has ended")

    def refuse_slowness(self) -> None:
        self.say_goodbye(TOO_SLOW, "too slow; reconnect with last_event_id")
        self._cut = self._arrived.lane.loop.call_later(limits.STOP, self.transport.abort)

    def say_goodbye(self, code: int, reason: str) -> None:
        """Closes; the client's own word is waited for, or what it had sent could make it lose ours."""
        if self._is_over:
            return
        self._is_over = True
        self.stand_still()
        self.write(closing(code, reason))
        self._arrived.lane.loop.call_later(_FAREWELL, self.close)

    def most(self) -> int:
        """Bytes of a message."""
        return limits.WEBSOCKET_MESSAGE

    async def reply(self, message: str | bytes) -> bytes:
        """The frame that the client gets for its message."""
        return frame(
            TEXT, (await answered(self._arrived.use, message, self._arrived.lane.application.refusals)).encode()
        )

    def _hear(self, said: Said, frames: Frames) -> None:
        if isinstance(said, Ping):
            if self.transport.get_write_buffer_size() > limits.BATCH:
                self.transport.abort()  # it pings and takes no pongs
            else:
                self.write(frames.response(said))
        elif isinstance(said, CloseConnection):
            if not self._is_over:
                self._is_over = True
                self.write(frames.response(said))
            self.close()
        else:
            self._take(said)

    def _take(self, message: str | bytes) -> None:
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        if self._answering is None:
            self.transport.pause_reading()
            self._answering = self._arrived.lane.loop.create_task(self._answer())

    async def _answer(self) -> None:
        try:
            while self._messages and not self._is_over:
                await self.taken()
                reply = await self.reply(self._messages.popleft())
                if not self._is_over:
                    self.write(reply)
        except Exception:
            logger.exception("message failed")
            self.say_goodbye(_FAILED, "the server failed")
        self._messages = self._answering = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _expect(self, is_owed: bool) -> None:
        """What is begun has one deadline from its beginning on, however much of it comes."""
        if is_owed and self._deadline is None:
            self._deadline = self._arrived.lane.loop.call_later(limits.RECEIVE, self._too_late)
        elif not is_owed and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self.say_goodbye(TOO_SLOW, "the rest of the message did not come in time")
