"""The fast lane of one server: what its connections share, and what happens to all of them now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from sayso import limits
from sayso.feeds import Feeds
from sayso.gateway import Gateway
from sayso.server.app import Application
from sayso.server.connections import Place
from sayso.server.followers import Transport
from sayso.server.lane.connection import Connection
from sayso.server.lane.later import Later
from sayso.server.lane.regulars import Regulars
from sayso.server.lane.stream import Stream
from sayso.server.lane.websocket import Socket
from sayso.server.lane.written import HEARTBEAT_CHUNK, sse_events

logger = logging.getLogger(__name__)

MakeProtocol = Callable[[Place], asyncio.Protocol]
"""Of a connection, for which a place was taken."""
_LOOK: Final = 0.02
_TICKS: Final = 4
"""In a limits.HEARTBEAT; so exact are heartbeats and pings."""


class Lane:
    """`make` gives the protocol for calls that this lane does not take. `proxies`: whose word on who calls counts."""

    def __init__(
        self,
        application: Application,
        gateway: Gateway,
        make: MakeProtocol,
        proxies: Sequence[str],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.application = application
        self.gateway = gateway
        self.feeds = Feeds(gateway)
        self.make = make
        self.connections: set[Connection] = set()
        """Those that have asked nothing yet, or poll."""
        self.streams: set[Stream] = set()
        self.later = Later(self.loop)
        self.has_proxies = bool(proxies)
        self.regulars = Regulars(self)
        self._forwarded = ProxyHeadersMiddleware(_nothing, list(proxies)) if proxies else None  # type: ignore[arg-type]
        self._turn = 0
        application.followers.add(self._followers)

    def protocol(self, place: Place) -> asyncio.Protocol:
        """Of a new connection."""
        return Connection(self, place)

    async def from_its_caller(self, scope: Scope) -> None:
        """Puts into a call what a listed proxy says of it."""
        if self._forwarded is not None:
            await self._forwarded(scope, _unused, _unused)  # type: ignore[arg-type]

    async def keep(self) -> None:
        """Heartbeats, pings, and idle connections. Runs until cancelled."""
        while True:
            tick = limits.HEARTBEAT / _TICKS
            await asyncio.sleep(tick)
            try:
                self._look_around(tick)
            except Exception:
                logger.exception("a look around failed; the next one follows")

    async def ended(self) -> None:
        """Ends what waits for nothing; streams end with the gateway's. What is left after limits.STOP is cut."""
        for connection in list(self.connections):
            connection.end()
        until = self.loop.time() + limits.STOP
        while self._left and self.loop.time() < until:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(_LOOK)
        for one in self._left:
            one.transport.abort()
        while self._left:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0)  # each is told

    def _followers(self) -> Mapping[Transport, int]:
        sockets = sum(isinstance(stream, Socket) for stream in self.streams)
        polls = sum(connection.is_polling for connection in self.connections)
        return {"ws": sockets, "sse": len(self.streams) - sockets, "poll": polls}

    @property
    def _left(self) -> list[Connection | Stream]:
        return [*self.connections, *self.streams]

    def _look_around(self, tick: float) -> None:
        now = self.loop.time()
        for feed in self.feeds:
            if now - feed.told_at >= limits.HEARTBEAT - tick and feed.has_members(sse_events):
                feed.tell(sse_events, HEARTBEAT_CHUNK)
        self.feeds.look_around()
        for connection in list(self.connections):
            connection.look_around(now)
        self._turn += 1
        turns = max(
            1, round(limits.PING / tick)
        )  # in which sockets are pinged, so that it is never all of them at once
        for stream in [one for one in self.streams if (id(one) // 64 + self._turn) % turns == 0]:
            if isinstance(stream, Socket):
                stream.keep_alive()


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where an application would."""


async def _unused(*_: Any) -> Any:
    raise NotImplementedError
