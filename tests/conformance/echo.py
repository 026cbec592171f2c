"""An echo over the server's own protocols, as Autobahn's cases want one; the product ships none.

`python -m tests.conformance.echo LANE` says its port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.server import serve

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


LANES: Final[dict[str, tuple[Lane, ASGIApp]]] = {
    "sayso": (_serving, echo),
    "control": (_serving, mute),
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
    asyncio.run(main(sys.argv[1]))
