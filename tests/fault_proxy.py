"""A TCP proxy that does harm: it cuts, drips, delays, silences, half-closes, refuses. Knows bytes, and no protocol."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

PATIENCE: Final = 10.0
"""Seconds after which a test gives up on what should have come at once."""

Deed = Literal["close", "reset", "half-close", "hush"]
"""Closes a connection as an orderly program does, or resets it as a crash does; closes it one way only; or holds it
open and lets nothing more through that way."""


@dataclass(frozen=True)
class Way:
    """What happens to the bytes that go one way.

    after: so many come through, then the deed is done; None: all do. 0: the first byte sets the deed off, and is lost.
    since: they are counted once these bytes have come through: so a place in mid-message can be meant.
    piece, delay: they are passed on in pieces of at most so many bytes (1: dripping), each after so many seconds.
    """

    after: int | None = None
    then: Deed = "close"
    since: bytes = b""
    piece: int = 65_536
    delay: float = 0.0


@dataclass(frozen=True)
class Fault:
    """What one connection suffers: `down` on the way from the server to the client, `up` on the way to the server."""

    down: Way = Way()
    up: Way = Way()


class Connection:
    """One connection through the proxy. `down`, `up`: what came through; `is_struck`: a deed was done to it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.down = bytearray()
        self.up = bytearray()
        self.is_struck = False
        self.is_open = True
        self.ends_by: Deed = "reset"


class FaultProxy:
    """Stands for a server. Each connection suffers the next of `faults`; when they are used up, none. Lives on the
    test's loop; its clients may live anywhere.

    url: the server's address with the proxy's host and port in place of its own.
    """

    def __init__(self, url: str, faults: Iterable[Fault]) -> None:
        target = urlsplit(url)
        user, at, _ = target.netloc.rpartition("@")
        self._target = (target.hostname, target.port)
        self._reserved = _bound(0)  # keeps the port while nobody listens on it
        self._port: int = self._reserved.getsockname()[1]
        self.url = target._replace(netloc=f"{user}{at}127.0.0.1:{self._port}").geturl()
        self.faults = iter(faults)
        self.connections: list[Connection] = []
        self._listening: asyncio.Server
        self._serving: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()

    @property
    def open(self) -> int:
        """How many connections stand."""
        return sum(one.is_open for one in self.connections)

    @property
    def used(self) -> int:
        """How many connections a client has sent something on; a browser opens some that it does not need."""
        return sum(bool(one.up) or one.is_struck for one in self.connections)

    @property
    def struck(self) -> int:
        """To how many connections a deed was done."""
        return sum(one.is_struck for one in self.connections)

    async def until(self, holds: Callable[[FaultProxy], bool]) -> None:
        """Returns when what went through is as the test needs it."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: holds(self))

    async def cut(self) -> None:
        """Resets the connections that stand."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Refuses new connections while entered; those that stand go on."""
        self._listening.close()
        try:
            yield
        finally:
            await self.listen()

    async def listen(self) -> None:
        self._listening = await asyncio.start_server(self._serve, sock=_bound(self._port))

    async def end(self) -> None:
        self._listening.close()
        await self.cut()
        self._reserved.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        connection = Connection(next(self.faults, Fault()))
        self.connections.append(connection)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._join(connection, reader, writer)
        finally:
            _leave(writer, connection.ends_by)
            connection.is_open = False
            self._serving.discard(task)
            await self._changed()

    async def _join(self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries the bytes both ways until both have ended, or a deed ends the connection."""
        from_server, to_server = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as ways:
                fault = connection.fault
                ways.create_task(self._carry(from_server, writer, fault.down, connection, connection.down))
                ways.create_task(self._carry(reader, to_server, fault.up, connection, connection.up))
            connection.ends_by = "close"
        except* (_Cut, OSError):
            pass
        finally:
            _leave(to_server, connection.ends_by)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Way,
        connection: Connection,
        passed: bytearray,
    ) -> None:
        writer.transport.set_write_buffer_limits(0)  # draining waits until the kernel has everything
        while data := await reader.read(way.piece):
            await asyncio.sleep(way.delay)
            share = _share(way, passed, data)
            writer.write(data[:share])
            await writer.drain()
            passed += data[:share]
            if share is not None:
                connection.is_struck = True
                await self._do(way.then, connection, reader, writer)
                return
            await self._changed()
        writer.write_eof()

    async def _do(
        self, deed: Deed, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Does the deed, and swallows what comes after it, so that the other way's end is noticed."""
        if deed in ("close", "reset"):
            connection.ends_by = deed
            raise _Cut
        if deed == "half-close":
            writer.write_eof()
        await self._changed()
        while await reader.read(65_536):
            pass

    async def _changed(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def fault_proxy(url: str, faults: Iterable[Fault] = ()) -> AsyncIterator[FaultProxy]:
    """A proxy before the server at `url`, whatever it speaks: `http://host:port`, `postgresql://user@host:port/db`."""
    proxy = FaultProxy(url, faults)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.end()


class _Cut(Exception):
    """A deed ends both ways."""


def _share(way: Way, passed: bytearray, data: bytes) -> int | None:
    """How many bytes of `data` come through before the deed is done; None: all, and it is not done yet."""
    if way.after is None:
        return None
    begins = (passed + data).find(way.since)
    share = begins + len(way.since) + way.after - len(passed)
    return None if begins < 0 or share > len(data) else share


def _bound(port: int) -> socket.socket:
    """A socket on the port (0: a free one), which others of ours may have, too."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _leave(writer: asyncio.StreamWriter, ends_by: Deed) -> None:
    if ends_by == "reset":
        peer: socket.socket = writer.get_extra_info("socket")
        with suppress(OSError):  # it is gone already
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
