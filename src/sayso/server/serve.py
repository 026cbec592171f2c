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
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from sayso import limits

_quiet = logging.getLogger(f"{__name__}.connections")
_quiet.setLevel(logging.ERROR)  # below that, uvicorn writes whole addresses, and with them `?token=`


@asynccontextmanager
async def serving(app: ASGIApp, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serves `app` on `sockets` while entered. On leaving, connections get `limits.STOP` to end; end streams first."""
    config = uvicorn.Config(
        app,
        http="h11",
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


class _WebSocket(WSProtocol):
    """wsproto, since it alone passes Autobahn under uvicorn; with a logger of our own, since uvicorn's tells keys."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _quiet
