"""Programs that a test starts, talks to and always ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LONGEST = 120.0
"""Seconds for a program that may import crewAI several times, on a machine that has much else to do."""
SAYSO = str(Path(sys.executable).with_name("sayso"))


class Program:
    """A process with its output, standard error included."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.output = ""

    async def line(self, containing: str, *, within: float | None = _LONGEST) -> str:
        """The next line of output that has this text in it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while line := (await self._process.stdout.readline()).decode():
                self.output += line
                if containing in line:
                    return line
        raise AssertionError(f"it ended without saying {containing!r}:\n{self.output}")

    def send(self, signal: int) -> None:
        self._process.send_signal(signal)

    async def end(self) -> int:
        """The exit code, once the program has ended by itself."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_LONGEST):
            self.output += (await self._process.stdout.read()).decode()
            return await self._process.wait()


@asynccontextmanager
async def program(*command: str, **environment: str) -> AsyncIterator[Program]:
    """Runs `command`; kills what is left of it on leaving."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `code` with warnings of unclosed things shown."""
    return (sys.executable, "-X", "dev", "-c", code, *arguments)
