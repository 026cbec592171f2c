"""How a test runs the driver: a program that starts servers on one store, each of which may be killed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from tests.runtime.programs import Program

ROOT: Final = Path(__file__).parents[2]


class Driver(Program):
    """Servers are of the writer (in `doubles`) that each is started with."""

    async def start(self, writer: str) -> int:
        """Forks a server that begins to start; says its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{writer}\n".encode())
        return int((await self.line("process ")).split()[-1])

    async def url(self, process: int) -> str:
        """Where that server listens, once it does."""
        return (await self.line(f"listens {process} ")).split()[-1]


async def kill(process: int) -> None:
    """Returns when it is gone, and has let go of its files: one that writes just then may take a moment."""
    gone = os.pidfd_open(process)
    try:
        os.kill(process, signal.SIGKILL)
        await asyncio.to_thread(select.select, [gone], [], [])
    finally:
        os.close(gone)


@asynccontextmanager
async def driver(store: Path, *wrapper: str) -> AsyncIterator[Driver]:
    """`wrapper`: a command that runs the one that follows it."""
    process = await asyncio.create_subprocess_exec(
        *(*wrapper, sys.executable, "-m", "tests.crash.driver", f"sqlite:///{store}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        yield Driver(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
