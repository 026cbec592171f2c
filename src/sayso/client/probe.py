"""Looks at a server and at what stands before it, call by call: nothing is tried again, nothing is changed."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx
import msgspec

from sayso.client.transport import Address, at, body_of_sync
from sayso.errors import Misconfigured, Unavailable
from sayso.wire import UNREADABLE

_UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"sayso looks here").decode(),
}
"""What opens a WebSocket (RFC 6455, 4.1)."""


class _Health(msgspec.Struct):
    timestamp: datetime


class Probe:
    """Use it with `with`. All raise Unavailable where nothing answers."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._http = httpx.Client(**Address(url, api_key).options())

    def clock(self) -> float:
        """Seconds by which the server's clock is ahead of this one, as far as the call's own time lets it be known.

        Raises Misconfigured for what is no sayso server.
        """
        began = time.monotonic()
        try:
            with self._http.stream("GET", "/health") as response:
                body = body_of_sync(response)
        except httpx.RequestError as exc:
            raise Unavailable(f"the server cannot be reached: {exc}") from exc
        now, took = datetime.now(UTC), time.monotonic() - began
        try:
            ahead = (msgspec.json.decode(body, type=_Health).timestamp - now).total_seconds()
        except (*UNREADABLE, TypeError) as exc:
            raise at(self._http, Misconfigured("it answers, but not as a sayso server does")) from exc
        return 0.0 if -took <= ahead <= 0 else ahead + (took if ahead < 0 else 0)

    def streams(self, within: float) -> bool:
        """Whether the first bytes of a stream come within so many seconds."""
        timeout = httpx.Timeout(within)
        try:
            with self._http.stream("GET", "/events/human-input", timeout=timeout) as response:
                is_stream = response.headers.get("Content-Type", "").startswith("text/event-stream")
                return is_stream and next(response.iter_raw(), b"") != b""
        except httpx.RequestError:
            return False

    def websocket(self) -> int:
        """The HTTP status that opening a WebSocket gets: 101 where it opens, 0 where nothing comes."""
        try:
            with self._http.stream("GET", "/ws/human-input", headers=_UPGRADE) as response:
                return response.status_code
        except httpx.RequestError:
            return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
