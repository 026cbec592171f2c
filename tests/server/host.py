"""Where a server is mounted."""

from __future__ import annotations

import socket
import threading

import httpx
import uvicorn
from starlette.types import ASGIApp


class Host:
    """Somebody else's application, served by somebody else's uvicorn on a loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})

    def __enter__(self) -> Host:
        self._thread.start()
        with httpx.Client(base_url=self.url) as client:
            assert client.get("/hello").json() == "hello"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
