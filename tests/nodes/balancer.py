"""What stands before several nodes: each new connection goes to the next node that takes one. Knows bytes alone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit


class Balancer:
    """`url`: where clients go."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._ports = [urlsplit(url).port or 0 for url in urls]
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            first = next(self._turn)
            for number in range(len(self._ports)):
                with suppress(OSError):
                    port = self._ports[(first + number) % len(self._ports)]
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            with closing(far_writer), suppress(ExceptionGroup):  # one side is gone, and so is the other
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pipe(reader, far_writer))
                    both.create_task(_pipe(far_reader, writer))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Over(OSError):
    """One side has said all it had to say: a connection ends as a whole."""


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise _Over


@asynccontextmanager
async def balancer(*urls: str) -> AsyncIterator[Balancer]:
    made = Balancer(urls)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.end()
