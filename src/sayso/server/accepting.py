"""Accepts connections as long as there is room for them, and gives each its protocol; knows no HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from sayso import limits
from sayso.errors import SaysoError
from sayso.server.connections import Connections, Place
from sayso.server.listen import BACKLOG

_LINGER: Final = 1.0
"""Seconds that who is turned away has to say what it wanted, so that it hears why not."""
_AT_THE_DOOR: Final = 64
"""So many at once; whoever comes then is not told."""


class Acceptor:
    """`make` gives the protocol of a connection, which gives back its place in the end.

    `turn_away` is what a peer hears for which there is no room; over TLS, nothing, since that would cost a handshake.
    """

    def __init__(
        self,
        connections: Connections,
        make: Callable[[Place], asyncio.Protocol],
        turn_away: Callable[[SaysoError], bytes],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.connections = connections
        self.make = make
        self.turn_away = turn_away
        self.tls = tls
        self.is_over = False
        self.arrivals: set[_Arrival] = set()
        """Who is at the door yet: shakes hands, or was turned away."""

    @asynccontextmanager
    async def accepting(self, listener: socket.socket) -> AsyncIterator[None]:
        """Accepts while entered; then `listener` is closed. What had arrived by then comes in yet, until `end`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Arrival(self), sock=listener, backlog=BACKLOG)
        try:
            yield
        finally:
            # asyncio loses who was accepted just then, and leaves the socket open, if its server closes at once.
            with suppress(NotImplementedError):  # Windows' loop has no readers
                loop.remove_reader(listener)
            await asyncio.sleep(0)
            server.close()

    def end(self) -> None:
        """Nobody comes in any more; who was still at the door is gone."""
        self.is_over = True
        for arrival in list(self.arrivals):
            arrival.abort()


class _Arrival(asyncio.Protocol):
    """A connection until its own protocol takes it over."""

    _transport: asyncio.Transport
    _place: Place | None = None
    _early: bytes = b""
    _handshake: asyncio.Task[None] | None = None

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._acceptor.is_over:
            self._transport.abort()
            return
        peer = transport.get_extra_info("peername")
        tls = self._acceptor.tls
        try:
            self._place = self._acceptor.connections.enter(str(peer[0]) if peer else "")
        except SaysoError as error:
            self._turn_away(error)
            return
        if tls is None:
            self._hand_over(self._transport)
        else:
            self._acceptor.arrivals.add(self)
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(tls))

    def data_received(self, data: bytes) -> None:
        """What came with the end of the handshake, or from who was turned away."""
        if self._place is None:
            self._transport.close()
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._acceptor.arrivals.discard(self)
        if self._place is not None:
            self._place.leave()

    def _turn_away(self, error: SaysoError) -> None:
        """Closing before the call was read would reset the connection, and the word could be lost on its way."""
        arrivals = self._acceptor.arrivals
        if self._acceptor.tls is not None or len(arrivals) >= _AT_THE_DOOR:
            self._transport.abort()
            return
        arrivals.add(self)
        self._transport.write(self._acceptor.turn_away(error))
        asyncio.get_running_loop().call_later(_LINGER, self._transport.close)

    def abort(self) -> None:
        """Ends the connection, whatever is under way."""
        if self._handshake is not None:
            self._handshake.cancel()
        self._transport.abort()
        self._acceptor.arrivals.discard(self)
        if self._place is not None:
            self._place.leave()

    async def _shake_hands(self, tls: ssl.SSLContext) -> None:
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=limits.RECEIVE,
                ssl_shutdown_timeout=limits.STOP,
            )
        except OSError:  # no handshake, or none in time
            transport = None
        if transport is None or transport.is_closing():
            self.abort()
        else:
            self._acceptor.arrivals.discard(self)
            self._hand_over(transport)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        assert self._place is not None  # noqa: S101 - it has entered
        protocol, self._place = self._acceptor.make(self._place), None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(self._early)
