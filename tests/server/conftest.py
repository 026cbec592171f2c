"""What the server's tests share: an asynchronous client of the server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from sayso import HumanInputServer
from sayso.server.lane import connection
from sayso.server.lane.stream import Stream
from tests.builders import new_id
from tests.conftest import KEY


@pytest.fixture(params=["fast", "asgi"])
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the server's two lanes streams and polls take."""
    if request.param == "asgi":
        monkeypatch.setattr(connection, "recognised", lambda data: None)
    return str(request.param)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released each time the server has let go of a stream's connection, or of any other that is none of the lane's."""
    lost = threading.Semaphore(0)
    for protocol in (Stream, H11Protocol, WSProtocol):

        def told(one: Any, error: Exception | None, connection_lost: Any = protocol.connection_lost) -> None:
            connection_lost(one, error)
            lost.release()

        monkeypatch.setattr(protocol, "connection_lost", told)
    return lost


@pytest.fixture
async def api(server: HumanInputServer) -> AsyncIterator[httpx.AsyncClient]:
    """Holds the right key."""
    limits = httpx.Limits(max_connections=200)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as api:
        yield api


@pytest.fixture(scope="module")
def door() -> Iterator[HumanInputServer]:
    """A server with the key, shared by the tests that only look who is let in and what is refused."""
    with HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False) as server:
        yield server


@pytest.fixture(scope="module")
def caller(door: HumanInputServer) -> Iterator[httpx.Client]:
    """Holds the key of `door`."""
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as caller:
        yield caller


@pytest.fixture
def ask_door(caller: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Asks `door` in an execution of its own, and gives the stored request."""

    def post(**members: Any) -> dict[str, Any]:
        response = caller.post("/requests", json={"execution_id": new_id(), "prompt": "Ship it?"} | members)
        assert response.status_code == 201, response.text
        stored: dict[str, Any] = response.json()
        return stored

    return post


@pytest.fixture(scope="module")
def named() -> Iterator[HumanInputServer]:
    """Like `door`, with a page that it names."""
    origins = ["https://app.example.com/"]
    with HumanInputServer(
        port=0, api_key=KEY, store=":memory:", allow_origins=origins, quiet=True, adapters=False
    ) as server:
        yield server


@pytest.fixture(scope="module")
def keyless() -> Iterator[HumanInputServer]:
    """Like `door`, without a key."""
    with HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False) as server:
        yield server
