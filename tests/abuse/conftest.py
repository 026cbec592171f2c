"""What the tests of abuse share: a server that is watched from inside, and one without the deadlines, as a control."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from sayso import HumanInputServer, create_app
from sayso.server import serve as serving
from sayso.server.connections import Connections
from tests.conftest import KEY


class Watched:
    """A server, and how many connections it has."""

    def __init__(self, url: str, count: Callable[[], int]) -> None:
        self.url = url
        self._count = count

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def connections(self) -> int:
        return self._count()

    async def until(self, connections: int) -> None:
        """Returns when it has so many."""
        async with asyncio.timeout(20):
            while self.connections != connections:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.01)


@pytest.fixture
def guarded(serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watched]:
    """Starts the server as it is."""

    def start(**settings: Any) -> Watched:
        made: list[Connections] = []

        def make(*arguments: Any) -> Connections:
            made.append(Connections(*arguments))
            return made[0]

        with monkeypatch.context() as patched:
            patched.setattr(serving, "Connections", make)
            server = serve(**settings)
        return Watched(server.url, lambda: len(made[0]))

    return start


@pytest.fixture
def bare() -> Iterator[Callable[..., Watched]]:
    """Starts the same application on uvicorn's own protocols: the control."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Watched:
            server = HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False)
            stack.callback(server.stop)
            config = uvicorn.Config(
                create_app(server), http=H11Protocol, ws=WSProtocol, log_config=None, timeout_keep_alive=60, **settings
            )
            running = uvicorn.Server(config)
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(lambda: setattr(running, "force_exit", True))
            stack.callback(lambda: setattr(running, "should_exit", True))
            scheme = "https" if "ssl_certfile" in settings else "http"
            return Watched(
                f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", lambda: len(running.server_state.connections)
            )

        yield start
