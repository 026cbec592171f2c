"""Runs the application on uvicorn, on the loop that owns the gateway. The one place that knows uvicorn."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Ping

from sayso import limits

_LAST: Final = 0.25
"""Seconds from a connection to its first request, many times over: proxies connect when they have one."""

_quiet = logging.getLogger(f"{__name__}.connections")


@asynccontextmanager
async def serving(app: ASGIApp, sockets: list[socket.socket], is_draining: Callable[[], bool]) -> AsyncIterator[None]:
    """Serves `app` on `sockets` while entered. On leaving, connections get `limits.STOP` to end; end streams first.

    `is_draining`: whether that is soon. From then on each response is the last of its connection.
    """
    _quiet.setLevel(logging.ERROR)  # below that, uvicorn writes whole addresses, and with them `?token=`
    config = uvicorn.Config(
        _parting(app, is_draining),
        http=_HTTP,
        ws=_WebSocket,
        ws_max_size=limits.WEBSOCKET_MESSAGE,
        ws_ping_interval=limits.PING,
        ws_ping_timeout=limits.PING,
        ws_per_message_deflate=False,
        timeout_keep_alive=limits.KEEP_ALIVE,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(limits.STOP),
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=sockets))
        await server.listening.wait()
        try:
            yield
        finally:
            if is_draining():
                await server.take_last()
            server.should_exit = True


def _parting(app: ASGIApp, is_draining: Callable[[], bool]) -> ASGIApp:
    """`app`, that says so when a connection will not be kept. A proxy that kept it would send a call into a socket that
    closes just then, and may not send it again elsewhere, since it could have arrived."""

    async def parting(scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            if message["type"] == "http.response.start" and is_draining():
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await app(scope, receive, say if scope["type"] == "http" else send)

    return parting


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def take_last(self) -> None:
        """Listens no more, so that a proxy goes elsewhere, and gives what has just come in time to say what it wants:
        uvicorn closes a connection that has not, and a proxy may not send a POST again."""
        for listening in self.servers:
            listening.close()
        await asyncio.sleep(_LAST)


class _Unstuck:
    """Cuts a peer that takes nothing for `limits.SEND`. Without it, closing waits for the peer as long as it lives."""

    transport: asyncio.Transport
    _cut: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]  # asyncio.Protocol's, of the class this is mixed into
        self._cut = asyncio.get_running_loop().call_later(limits.SEND, self.transport.abort)

    def resume_writing(self) -> None:
        self._stay()
        super().resume_writing()  # type: ignore[misc]

    def connection_lost(self, exc: Exception | None) -> None:
        self._stay()
        super().connection_lost(exc)  # type: ignore[misc]

    def _stay(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None


class _HTTP(_Unstuck, H11Protocol):
    """h11, which reads strictly."""


class _WebSocket(_Unstuck, WSProtocol):
    """wsproto, since it alone passes Autobahn under uvicorn; with a logger of our own, since uvicorn's tells keys."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _quiet

    def handle_ping(self, event: Ping) -> None:
        """A peer that pings and takes no pongs would fill the memory: uvicorn answers whatever lies unread."""
        if self.transport.get_write_buffer_size() > limits.BATCH:
            self.transport.abort()
        else:
            super().handle_ping(event)
