"""uvicorn's protocols, with what they lack: an end for peers that neither give what they owe nor take what they get."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import Callable
from typing import Any, Final, Literal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Ping
from wsproto.utilities import RemoteProtocolError

from sayso import limits
from sayso.errors import Malformed, SaysoError, TooLarge, TooSlow
from sayso.server.caller import Caller
from sayso.server.connections import Place
from sayso.server.problems import raw_problem
from sayso.server.websocket import TOO_SLOW

quiet = logging.getLogger(f"{__name__}.connections")
"""In place of uvicorn's logger, which writes whole addresses, and with them `?token=`."""

_Owed = Literal["head", "body", "rest", "message"]
_HEAD_TOO_LARGE: Final = 431
_VERSION: Final = (b"sec-websocket-version", b"13")
"""Named to whoever could not open a WebSocket (RFC 6455, 4.4)."""


class Config(uvicorn.Config):
    """uvicorn's, and `refused`, which hears the code of each problem that a peer gets of no application."""

    refused: Callable[[str], None]

    def turn_away(self, error: SaysoError, *headers: tuple[bytes, bytes]) -> bytes:
        """The last word to a peer."""
        self.refused(error.code)
        return raw_problem(error, *headers)


class _Peer:
    """Cuts a peer that takes nothing for `limits.SEND`, or has begun something and not finished it in `limits.RECEIVE`.

    What is owed has one deadline from its beginning on, however much of it comes; only a body earns time with that.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _place: Place | None = None
    _cut: asyncio.TimerHandle | None = None
    _deadline: asyncio.TimerHandle | None = None
    _owed: _Owed | None = None
    _owed_since: float = 0.0
    _received: int = 0

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]  # asyncio.Protocol's, of the class this is mixed into
        self._give_time()

    def resume_writing(self) -> None:
        self._stay()
        super().resume_writing()  # type: ignore[misc]
        self._see_off()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stay()
        self._expect(None)
        super().connection_lost(exc)  # type: ignore[misc]
        if self._place is not None:
            self._place.leave()

    @property
    def _is_done(self) -> bool:
        """Whether nothing more will be sent until the peer has said something."""
        raise NotImplementedError

    def _too_late(self, owed: _Owed) -> None:
        """What is owed has not come."""
        raise NotImplementedError

    def _see_off(self) -> None:
        """A peer that drips away the last of an answer would hold its connection for ever, also one that is closing."""
        if self._is_done and self.transport.get_write_buffer_size():
            self._give_time()

    def _give_time(self) -> None:
        if self._cut is None:
            self._cut = self.loop.call_later(limits.SEND + self._grace, self._abort_unless_taken)

    @property
    def _grace(self) -> float:
        """Seconds for a last word after `limits.SEND`."""
        return 0.0

    def _abort_unless_taken(self) -> None:
        self._cut = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _stay(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _expect(self, owed: _Owed | None) -> None:
        if owed == self._owed:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._owed = owed
        if owed is not None:
            self._owed_since, self._received = self.loop.time(), 0
            self._deadline = self.loop.call_later(limits.RECEIVE, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        earned = min(self._received, limits.RESUME) / limits.RECEIVE_RATE if self._owed == "body" else 0.0
        until = self._owed_since + limits.RECEIVE + earned
        if until > self.loop.time():
            self._deadline = self.loop.call_at(until, self._look_at_the_clock)
            return
        owed, self._owed, self._deadline = self._owed, None, None
        if owed is not None and not self.transport.is_closing():
            self._too_late(owed)


class HTTP(_Peer, H11Protocol):
    """h11, which reads strictly."""

    config: Config

    def __init__(self, *args: Any, place: Place, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._place = place
        self.logger = quiet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)
        self._watch()
        self._rest()

    def on_response_complete(self) -> None:
        self.timeout_keep_alive = limits.KEEP_ALIVE if self._is_known() else math.ceil(limits.RECEIVE)
        super().on_response_complete()
        self._watch()
        self._see_off()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._expect(None)
        super().handle_websocket_upgrade(event)
        successor = self.transport.get_protocol()
        if isinstance(successor, WebSocket):
            successor._place, self._place = self._place, None

    def send_400_response(self, msg: str) -> None:
        """Called while what h11 has raised is handled."""
        hint = getattr(sys.exception(), "error_status_hint", 400)
        self._say(TooLarge(f"headers are at most {limits.HEADERS} bytes") if hint == _HEAD_TOO_LARGE else Malformed())

    @property
    def _is_done(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # it has none at first, whatever its type says
        return cycle is None or cycle.response_complete

    def _rest(self) -> None:
        """Whatever comes stops uvicorn's clock of idle connections, and only an answer starts it: after the rest of a
        call that was answered early, never again."""
        is_idle = self._place is not None and self.conn.their_state is h11.IDLE and self._owes() is None
        if is_idle and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _watch(self) -> None:
        is_ours = self._place is not None and not self.transport.is_closing()  # a WebSocket takes its place along
        self._expect(self._owes() if is_ours else None)

    def _owes(self) -> _Owed | None:
        state = self.conn.their_state
        if state is h11.IDLE:
            cycle: RequestResponseCycle | None = self.cycle
            return "head" if cycle is None or self.conn.trailing_data[0] else None
        if state is h11.SEND_BODY:
            return "rest" if self.cycle.response_complete else "body"
        return None

    def _too_late(self, owed: _Owed) -> None:
        if owed == "rest" or (owed == "head" and not self.conn.trailing_data[0]):
            self.transport.close()  # it has its answer, or has asked nothing
            self._see_off()
        elif owed == "body" and self.cycle.response_started:
            self.transport.abort()
        else:
            self._say(TooSlow())

    def _say(self, error: SaysoError) -> None:
        """The last word on this connection; h11 has no state left in which it could be said."""
        self.transport.write(self.config.turn_away(error))
        self.transport.close()
        self._see_off()

    def _is_known(self) -> bool:
        """Whether the caller showed a key, or is one that needs not be feared."""
        caller: Caller | None = self.scope["state"].get("caller")
        return (caller is not None and caller.name is not None) or (self._place is not None and self._place.is_exempt)


class WebSocket(_Peer, WSProtocol):
    """wsproto, since it alone passes Autobahn under uvicorn."""

    config: Config
    _is_over = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = quiet

    def data_received(self, data: bytes) -> None:
        if self.conn.state is ConnectionState.CONNECTING:
            self._shake_hands(data)
        else:
            super().data_received(data)
        self._expect("message" if self._is_amid_a_message() else None)

    def _shake_hands(self, data: bytes) -> None:
        """What uvicorn would say to who cannot do it is no answer of ours."""
        try:
            self.conn.receive_data(data)
        except (RemoteProtocolError, UnicodeError):  # wsproto reads some headers as ASCII, whatever they are
            error = Malformed("this opens no WebSocket (RFC 6455, 4.1)")
            self.transport.write(self.config.turn_away(error, _VERSION))
            self.transport.close()
            self._is_over = True
            self._see_off()
        else:
            self.handle_events()

    def handle_close(self, event: CloseConnection) -> None:
        """uvicorn ends a connection on which no frame came without a word."""
        if self.conn.state is ConnectionState.OPEN and not self.close_sent:
            self.transport.write(self.conn.send(CloseConnection(code=event.code, reason=event.reason)))
        super().handle_close(event)

    def handle_ping(self, event: Ping) -> None:
        """A peer that pings and takes no pongs would fill the memory: uvicorn answers whatever lies unread."""
        if self.transport.get_write_buffer_size() > limits.BATCH:
            self.transport.abort()
        else:
            super().handle_ping(event)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._is_over = True
            self._see_off()

    @property
    def _is_done(self) -> bool:
        return self._is_over

    @property
    def _grace(self) -> float:
        """In which the application closes with 4408, for a peer that begins to read again."""
        return limits.STOP

    def _is_amid_a_message(self) -> bool:
        """Whether a frame has begun, were it with half a header, or a message of several frames."""
        if self.conn.connection is None or self.transport.is_closing():
            return False
        protocol = self.conn.connection._proto
        frame = protocol._frame_decoder
        return frame.header is not None or len(frame.buffer) > 0 or protocol._message_decoder.opcode is not None

    def _too_late(self, owed: _Owed) -> None:
        if self.conn.state is not ConnectionState.OPEN:
            self.transport.abort()
            return
        farewell = CloseConnection(code=TOO_SLOW, reason="the rest of the message did not come in time")
        self.transport.write(self.conn.send(farewell))
        self.close_sent = True
        self.transport.close()
        self._see_off()
