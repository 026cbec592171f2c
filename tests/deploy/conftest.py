"""What the tests of a deployment share: two nodes on one database, and a proxy before them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import httpx
import pytest

from tests.conftest import KEY
from tests.daemons import free_port
from tests.deploy.proxies import PROXIES, Proxy, proxy
from tests.runtime.programs import SAYSO, Program, program

DRAIN = "6"
"""Seconds; more than either proxy keeps a connection that nobody uses."""


class Node(NamedTuple):
    program: Program
    port: int

    def kill(self) -> None:
        self.program.send(signal.SIGKILL)


class Site(NamedTuple):
    """`api` goes through the proxy, with the right key, and tries nothing again."""

    nodes: list[Node]
    proxy: Proxy
    api: httpx.AsyncClient


@pytest.fixture(params=PROXIES)
async def site(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Site]:
    """Behind each proxy in turn."""
    settings = {"SAYSO_API_KEY": KEY, "SAYSO_STORE": database, "SAYSO_DRAIN": DRAIN}
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(2):
            port = free_port()
            serve = program(SAYSO, "serve", "--host", "127.0.0.1", "--port", str(port), **settings)
            nodes.append(Node(await stack.enter_async_context(serve), port))
        for node in nodes:
            await node.program.line("sayso listens on")
        before = stack.enter_context(proxy(request.param, [node.port for node in nodes]))
        headers = {"Authorization": f"Bearer {KEY}"}
        api = httpx.AsyncClient(base_url=before.url, headers=headers, timeout=30)
        yield Site(nodes, before, await stack.enter_async_context(api))
