"""A relay between a client and a server that knows HTTP: it notes calls, and loses and replaces replies.

What befalls bytes, whatever they mean, is `tests.fault_proxy`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from tests.crewai.person import LONGEST


class Relay:
    """A proxy between the asker and the server, with faults. Lives in the test's loop.

    `replies`: what it says itself, one to a connection, before it lets anything through. `lose`: how many of the
    server's replies to lose, each with its connection. `forget`: a header that it does not pass on. `hold`: how the
    call begins that it keeps until `release` is set, and then delivers although nobody waits for the reply any more.
    """

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.lose = 0
        self.forget = self.hold = b""
        self.release, self.delivered = asyncio.Event(), asyncio.Event()
        self.calls: list[str] = []
        self.open = self.most = 0
        self.url = ""
        self.target = ("", 0)
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def until(self, holds: Callable[[Relay], bool]) -> None:
        async with asyncio.timeout(LONGEST), self._news:
            await self._news.wait_for(lambda: holds(self))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        await self._changed(1)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()
            await self._changed(-1)

    async def _changed(self, by: int = 0) -> None:
        async with self._news:
            self.open += by
            self.most = max(self.most, self.open)
            self._news.notify_all()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.replies:
            reply = self.replies.pop(0)
            await self._take(reader)
            writer.write(reply)
            await writer.drain()
            return
        up_reader, up = await asyncio.open_connection(*self.target)
        try:
            while True:
                message = await self._take(reader)
                if self.hold and message.startswith(self.hold):
                    await self._deliver_late(message, up_reader, up)
                    return
                up.write(message)
                answering = asyncio.ensure_future(self._answer(up_reader, writer))
                gone = asyncio.ensure_future(reader.read(1))  # the asker sends nothing while it waits for a reply
                try:
                    await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for waiting in (answering, gone):
                        waiting.cancel()
                    goes_on, _ = await asyncio.gather(answering, gone, return_exceptions=True)
                if goes_on is not True:
                    return
        finally:
            up.close()

    async def _deliver_late(self, message: bytes, reader: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        self.hold = b""
        await self.release.wait()
        up.write(message)
        await _message(reader)
        self.delivered.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Passes the server's reply on; whether the connection goes on after it."""
        reply = await _message(reader)
        if self.lose:
            self.lose -= 1
            return False
        writer.write(reply)
        await writer.drain()
        if b"transfer-encoding: chunked" in reply.lower():
            await _stream(reader, writer)
            return False
        return True

    async def _take(self, reader: asyncio.StreamReader) -> bytes:
        message = await _message(reader)
        self.calls.append(message.split(b" HTTP/")[0].decode())
        await self._changed()
        return message.replace(b"\r\n" + self.forget + b":", b"\r\nx-forgotten:") if self.forget else message

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with its body, where that has a length; of a stream, its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(lengths[0] if lengths else 0)


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on what comes until the stream ends."""
    data = b""
    while not data.endswith(b"0\r\n\r\n") and (data := await reader.read(65_536)):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[Relay]:
    """A relay to the server at `url`."""
    relay = Relay()
    target = httpx.URL(url)
    relay.target = (target.host, target.port or 80)
    listening = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        listening.close()
        await relay.end()


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """What a relay may say itself, as the bytes of a response."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
