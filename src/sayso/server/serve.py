"""Runs the application on uvicorn, on the loop that owns the gateway. Only `protocols` knows uvicorn beside this."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sayso import limits
from sayso.server.accepting import Acceptor
from sayso.server.connections import Connections, Place, is_this_machine
from sayso.server.lane.lane import Lane, MakeProtocol
from sayso.server.protocols import HTTP, Config, WebSocket, quiet
from sayso.server.proxies import Proxies

_LAST: Final = 0.25
"""Seconds from a connection to its first request, many times over: proxies connect when they have one."""


@asynccontextmanager
async def serving(
    app: ASGIApp,
    sockets: list[socket.socket],
    is_draining: Callable[[], bool],
    *,
    lane: Callable[[MakeProtocol], Lane] | None = None,
    tls: ssl.SSLContext | None = None,
    proxies: Sequence[str] = (),
    refused: Callable[[str], None] = lambda code: None,
) -> AsyncIterator[None]:
    """Serves `app` on `sockets` while entered. On leaving, connections get `limits.STOP` to end; end streams first.

    `is_draining`: whether that is soon. From then on each response is the last of its connection. `lane`: makes the one
    that connections begin in, of what makes the protocol for calls that it does not take.
    `proxies`: addresses and networks of proxies whose word on who calls counts. `refused`: hears the code of each
    problem that a peer gets before `app` has seen a call of it.
    """
    quiet.setLevel(logging.ERROR)
    config = Config(
        _parting(app, is_draining),
        http=HTTP,
        ws=WebSocket,
        ws_max_size=limits.WEBSOCKET_MESSAGE,
        ws_ping_interval=limits.PING,
        ws_ping_timeout=limits.PING,
        ws_per_message_deflate=False,
        timeout_keep_alive=limits.KEEP_ALIVE,
        h11_max_incomplete_event_size=limits.URL + limits.HEADERS,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(limits.STOP),
    )
    config.refused = refused
    server = _Server(config)
    listed = Proxies(proxies)
    connections = Connections(lambda address: is_this_machine(address) or address in listed)
    fast = None if lane is None else lane(server.protocol)
    acceptor = Acceptor(connections, server.protocol if fast is None else fast.protocol, config.turn_away, tls)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_until_all_are_gone(server, sockets))
        keeping = None if fast is None else tasks.create_task(fast.keep())
        await server.is_ready.wait()
        try:
            async with AsyncExitStack() as accepting:
                for listener in sockets:
                    await accepting.enter_async_context(acceptor.accepting(listener))
                yield
        finally:
            if is_draining():
                # Nobody listens any more, so a proxy goes elsewhere; what has just come in gets time to say what it
                # wants: uvicorn closes a connection that has not, and a proxy may not send a POST again.
                await asyncio.sleep(_LAST)
            acceptor.end()  # uvicorn ends what it knows by now, and what came later nobody would
            server.should_exit = True
            if fast is not None and keeping is not None:
                await fast.ended()
                keeping.cancel()


async def _until_all_are_gone(server: _Server, sockets: list[socket.socket]) -> None:
    """Serves; what has not ended in order by `limits.STOP` is cut, or it would stay open with the process."""
    try:
        await server.serve(sockets=sockets)
    finally:
        for left in list(server.server_state.connections):
            left.transport.abort()
        while server.server_state.connections:  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0)  # each is told


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
    """Leaves accepting to others: uvicorn takes every connection, and waits a minute for a TLS handshake."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = asyncio.Event()
        self.servers = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self.started = True
        self.is_ready.set()

    def protocol(self, place: Place) -> asyncio.Protocol:
        return HTTP(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, place=place)
