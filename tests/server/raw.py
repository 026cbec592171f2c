"""Calls as bytes, for what no HTTP client would send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from tests.conftest import KEY
from tests.server.followers import Reply

AUTHORISED = ("Authorization", f"Bearer {KEY}")
UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)


async def call(
    url: str,
    target: str,
    *headers: tuple[str, str],
    method: str = "GET",
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """What the server says to this call, head and (where it has an end) body. A WebSocket where the target is one."""
    address = urlsplit(url)
    sent: Iterable[tuple[str, str]] = headers
    if not any(name.lower() == "host" for name, _ in headers):
        sent = (("Host", address.netloc), *sent)
    if "/ws/" in target:
        sent = (*sent, *UPGRADE)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent)]
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=tls)
    try:
        writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            pairs = [line.partition(": ")[::2] for line in head[1:-1]]
            said = Headers(raw=[(name.lower().encode(), value.encode()) for name, value in pairs])
            length = int(said.get("content-length", "0"))
            return Reply(int(head[0].split()[1]), said, await reader.readexactly(length))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def say(url: str, sent: bytes) -> Reply:
    """What the server says to these bytes, and then ends the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(sent)
    async with asyncio.timeout(20):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode("latin-1").splitlines()
    pairs = [line.partition(": ")[::2] for line in lines]
    return Reply(int(first.split()[1]), Headers(raw=[(name.lower().encode(), v.encode()) for name, v in pairs]), body)
