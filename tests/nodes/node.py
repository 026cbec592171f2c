"""Servers in processes of their own, as many as a test wants on one database: nodes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from tests.conftest import KEY
from tests.daemons import free_port
from tests.runtime.programs import SAYSO

ROOT: Final = Path(__file__).parents[2]
RIGHT: Final = {"Authorization": f"Bearer {KEY}"}
_PATIENCE: Final = 60.0
"""Seconds in which a node starts, or ends."""


class Node:
    """`sayso serve`, or one of `doubles` in its place; on one port, however often it is started."""

    def __init__(self, store: str, log: Path, double: str = "") -> None:
        self._store = store
        self._log = log
        self.double = double
        self._process: asyncio.subprocess.Process | None = None
        self._port = free_port()
        self.url = f"http://localhost:{self._port}"

    @property
    def process(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said since it was started first."""
        return self._log.read_text(errors="replace")

    async def start(self) -> None:
        """Returns once it listens."""
        serve = (sys.executable, "-m", "tests.nodes.doubles", self.double) if self.double else (SAYSO,)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL"),  # it ends with the tests, however these do
                *(*serve, "serve", "--json", "--port", str(self._port), "--store", self._store),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,  # a pipe that nobody reads would stop it
                cwd=ROOT,
                env=os.environ | {"SAYSO_API_KEY": KEY},
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            said = await self._process.stdout.readline()
        assert said, f"the node did not start:\n{self.log}"
        assert json.loads(said)["url"] == self.url

    async def stop(self) -> None:
        """As whoever runs it stops it: it ends its streams, and writes what it was given."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE):
            await self._process.wait()

    async def kill(self) -> None:
        """Returns when it is gone."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        async with asyncio.timeout(_PATIENCE):
            await self._process.wait()

    def freeze(self) -> None:
        """Stands still until `thaw`, with every connection open."""
        os.kill(self.process, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        os.kill(self.process, signal.SIGCONT)

    def owns(self, port: int) -> bool:
        """Whether one of its connections goes out from that port."""
        return any(one.laddr.port == port for one in psutil.Process(self.process).net_connections("tcp"))


@asynccontextmanager
async def nodes(store: str, folder: Path, *doubles: str) -> AsyncIterator[list[Node]]:
    """As many as `doubles`, running: "" for the real one."""
    made = [Node(store, folder / f"node-{number}.log", double) for number, double in enumerate(doubles)]
    try:
        await asyncio.gather(*(node.start() for node in made))
        yield made
    finally:
        await asyncio.gather(*(node.kill() for node in made if node._process is not None))


@asynccontextmanager
async def callers(*urls: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """One for each URL, with the right key and many connections."""
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=100)
        made = [httpx.AsyncClient(base_url=url, headers=RIGHT, timeout=30, limits=limits) for url in urls]
        yield [await stack.enter_async_context(one) for one in made]


async def ask(api: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    """The stored request."""
    response = await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members)
    assert response.status_code == 201, response.text
    stored: dict[str, Any] = response.json()
    return stored
