"""An echo over the server's own protocols, as Autobahn's cases want one; the product ships none.

`python -m tests.conformance.echo LANE` says its port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.loop import new_loop
from sayso.server import serve
from sayso.server.connections import Place
from sayso.server.lane.websocket import Socket, accept_key
from sayso.server.lane.written import TEXT, frame, ws_head

_BINARY: Final = 0x2
MESSAGE: Final = 20 * 1024 * 1024
"""The largest message of the cases has 16 MiB; the server's own cap is for answers."""

Lane = Callable[[ASGIApp, list[socket.socket]], AbstractAsyncContextManager[None]]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Each message back as it came."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})


async def mute(scope: Scope, receive: Receive, send: Send) -> None:
    """The control: nothing back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        pass


def _serving(app: ASGIApp, sockets: list[socket.socket]) -> AbstractAsyncContextManager[None]:
    return serve.serving(app, sockets, lambda: False)


class EchoSocket(Socket):
    """The fast lane's WebSocket, with another reply."""

    async def reply(self, message: str | bytes) -> bytes:
        return frame(_BINARY, message) if isinstance(message, bytes) else frame(TEXT, message.encode())


class MuteSocket(Socket):
    async def reply(self, message: str | bytes) -> bytes:
        return b""


class _Greeting(asyncio.Protocol):
    """Shakes hands, as the lane's connections do."""

    def __init__(self, lane: Any, kind: type[Socket], place: Place) -> None:
        self._lane = lane
        self._kind = kind
        self._place = place

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        lines = [line.partition(b":") for line in data.split(b"\r\n")[1:]]
        accept = accept_key(Headers(raw=[(name.lower(), value.strip()) for name, _, value in lines]))
        assert accept is not None
        self._transport.write(ws_head(accept))
        arrived: Any = SimpleNamespace(
            lane=self._lane, transport=self._transport, over=lambda stream: self._place.leave(), use=None
        )
        self._transport.set_protocol(self._kind(arrived))


class _EchoLane:
    """Stands where the server's lane would."""

    def __init__(self, kind: type[Socket]) -> None:
        self._kind = kind
        self.loop = asyncio.get_running_loop()
        self.feeds = None

    def protocol(self, place: Place) -> asyncio.Protocol:
        return _Greeting(self, self._kind, place)

    async def keep(self) -> None:
        """Nothing."""

    async def ended(self) -> None:
        """Nothing."""


def _fast(kind: type[Socket]) -> Lane:
    def serving(app: ASGIApp, sockets: list[socket.socket]) -> AbstractAsyncContextManager[None]:
        lane: Any = _EchoLane(kind)
        return serve.serving(app, sockets, lambda: False, lane=lambda make: lane)

    return serving


LANES: Final[dict[str, tuple[Lane, ASGIApp]]] = {
    "sayso": (_serving, echo),
    "fast": (_fast(EchoSocket), echo),
    "control": (_serving, mute),
    "fast-control": (_fast(MuteSocket), mute),
}
"""What is tested, by name: how a server serves, and what. A further protocol of the server's is a further line."""


async def main(name: str) -> None:
    lane, app = LANES[name]
    limits.WEBSOCKET_MESSAGE = MESSAGE  # type: ignore[misc]  # of this process alone
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    async with lane(app, [listener]):
        print(listener.getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=lambda: new_loop(tls=False)) as runner:
        runner.run(main(sys.argv[1]))
