"""What comes in with a call: the body, counted while it is read, and the parameters of paths, queries and headers."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import Receive

from sayso import limits
from sayso.errors import Fault, Invalid, TooLarge
from sayso.model import ID_RULE, is_id

T = TypeVar("T")

_DIGITS: Final = 20
"""Of a length at the most; Python reads no number of thousands of them."""
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d+(?:\.\d+)?)")


async def body(request: Request, most: int = limits.BODY) -> bytes:
    """The body. Raises TooLarge as soon as it is more than `most` bytes, whatever the headers said."""
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and (len(announced) > _DIGITS or int(announced) > most):
        raise TooLarge(f"a body is at most {most} bytes here")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise TooLarge(f"a body is at most {most} bytes here")
        parts.append(part)
    return b"".join(parts)


def execution_id(connection: HTTPConnection) -> str | None:
    """The execution in the path; None on the addresses of all executions. Raises Invalid."""
    id: str | None = connection.path_params.get("execution_id")
    if id is not None and not is_id(id):
        raise Invalid(Fault("/execution_id", ID_RULE))
    return id


def last_event_id(connection: HTTPConnection) -> str | None:
    """The client's cursor. The header wins: a browser that reconnects sends it with the address it began with."""
    told = connection.headers.get("last-event-id")
    if told or not connection.scope["query_string"]:
        return told or None
    return connection.query_params.get("last_event_id") or None


def wait(request: HTTPConnection) -> float:
    """Seconds the client lets the call be held: `wait=`, else `Prefer: wait=` (RFC 7240); at most limits.WAIT."""
    asked = request.query_params.get("wait")
    if asked is None:
        preferred = _PREFER_WAIT.search(request.headers.get("prefer", ""))
        asked = preferred[1] if preferred else "0"
    try:
        seconds = float(asked)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise Invalid(Fault("/wait", f"must be a number of seconds from 0 to {limits.WAIT:.0f}"))
    return min(seconds, limits.WAIT)


async def held(request: Request, call: Coroutine[Any, Any, T]) -> T:
    """What `call` gives, which waits for something; given up when the client leaves. Raises ClientDisconnect then."""
    waiting, leaving = asyncio.ensure_future(call), asyncio.ensure_future(left(request.receive))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    finally:
        waiting.cancel()
        leaving.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def left(receive: Receive) -> None:
    """Returns when the client of an HTTP call has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def whole_number(query: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """A number in the query. Raises Invalid."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise Invalid(Fault(f"/{name}", f"must be a whole number from {least} to {most}"))
    return int(text)
