"""What stands before several nodes: each new connection goes to the next node that takes one. Knows bytes alone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Balancer:
    """`url`: where clients go."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._ports = [urlsplit(url).port or 0 for url in urls]
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            first = next(self._turn)
            for number in range(len(self._ports)):
                port = self._ports[(first + number) % len(self._ports)]
                with suppress(OSError):
                    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pipe(reader, far_writer))
                    both.create_task(_pipe(far_reader, writer))
            finally:
                far_writer.close()
        except* OSError:
            pass  # one side is gone, and so is the other
        finally:
            self._tasks.discard(task)
            writer.close()

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
    server = await asyncio.start_server(made._carry, "127.0.0.1", 0)
    made.url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.end()
