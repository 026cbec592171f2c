"""HTTP with as little of a client as there can be, for crowds: a connection that stays, calls that are bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self
from urllib.parse import urlsplit

from tests.server.raw import AUTHORISED

Reply = tuple[int, Any]
"""A status, and the JSON of the body."""


class Line:
    """One connection to a server, with the right key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def to(cls, url: str) -> Self:
        address = urlsplit(url)
        return cls(*await asyncio.open_connection(address.hostname, address.port), address.netloc)

    def send(self, method: str, path: str, body: Any = None, *headers: tuple[str, str]) -> None:
        """Begins a call; its reply comes next."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = (("Host", self._host), AUTHORISED, ("Content-Length", str(len(data))), *headers)
        lines = (f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent), "", "")
        self._writer.write("\r\n".join(lines).encode() + data)

    async def head(self) -> tuple[int, int]:
        """The status of the reply, and the length of its body; 0 where none is said."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().splitlines()
        (length,) = [int(line[15:]) for line in lines if line.startswith("content-length:")] or [0]
        return int(lines[0].split()[1]), length

    async def reply(self) -> Reply:
        status, length = await self.head()
        return status, json.loads(await self.reader.readexactly(length))

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        self.send(method, path, body)
        return await self.reply()

    def close(self) -> None:
        self._writer.close()
