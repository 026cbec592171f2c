"""Runs the application on uvicorn, on the loop that owns the gateway. The one place that knows uvicorn."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Ping

from sayso import limits

_quiet = logging.getLogger(f"{__name__}.connections")


@asynccontextmanager
async def serving(app: ASGIApp, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serves `app` on `sockets` while entered. On leaving, connections get `limits.STOP` to end; end streams first."""
    _quiet.setLevel(logging.ERROR)  # below that, uvicorn writes whole addresses, and with them `?token=`
    config = uvicorn.Config(
        app,
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
            server.should_exit = True


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


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
