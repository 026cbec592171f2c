"""What the server's tests share: an asynchronous client of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from sayso import HumanInputServer
from tests.conftest import KEY


@pytest.fixture
async def api(server: HumanInputServer) -> AsyncIterator[httpx.AsyncClient]:
    """Holds the right key."""
    limits = httpx.Limits(max_connections=200)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as api:
        yield api


@pytest.fixture(scope="session")
def door() -> Iterator[HumanInputServer]:
    """A server with the key, shared by the tests that only look who is let in and what is refused."""
    with HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False) as server:
        yield server


@pytest.fixture(scope="session")
def named() -> Iterator[HumanInputServer]:
    """Like `door`, with a page that it names."""
    origins = ["https://app.example.com/"]
    with HumanInputServer(
        port=0, api_key=KEY, store=":memory:", allow_origins=origins, quiet=True, adapters=False
    ) as server:
        yield server
