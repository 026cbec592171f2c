"""Recognises calls of the fast lane: whole heads in plain HTTP/1.1, of which nothing can be read in two ways."""

from __future__ import annotations

import binascii
import re
from typing import Any, Final, Literal

from starlette.types import Scope

Road = Literal["ws", "events", "poll"]
_ROADS: Final[dict[bytes, Road]] = {b"ws": "ws", b"events": "events", b"poll": "poll"}

_LINE: Final = re.compile(
    rb"GET (?P<path>/(?P<road>ws|events|poll)/human-input"
    rb"(?:/(?P<execution>[\x21\x22\x24\x26-\x2e\x30-\x3e\x40-\x7e]+))?)"
    rb"(?:\?(?P<query>[\x21\x22\x24-\x7e]*))? HTTP/1\.1(?=\r\n)"
)
"""A target of printable ASCII without escapes."""
_HEADERS: Final = re.compile(rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*\r\n\r\n")
"""Names of token characters, no folded lines, no control characters (RFC 9110, 5.5)."""
_KEYS: Final = (b"\r\nSec-WebSocket-Key: ", b"\r\nsec-websocket-key: ")
"""As clients write it: the one header that is another in each handshake of a client."""
_KEY: Final = 24
"""Characters: sixteen bytes in base64 (RFC 6455, 4.1)."""
_ELSEWHERE: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"te", b"trailer"})
"""Whoever sends one of these has a body, or wants more than is done here."""


class Head:
    """A call as it came: `headers` are the bytes of all of them, each after the end of a line, the same for two calls
    of one client."""

    __slots__ = ("execution_id", "headers", "path", "query", "road")

    def __init__(self, line: re.Match[bytes], headers: bytes) -> None:
        self.path, road, execution, query = line.groups()
        self.road: Road = _ROADS[road]
        self.execution_id: str | None = None if execution is None else execution.decode()
        self.query: bytes = query or b""
        self.headers = headers

    @property
    def is_plain(self) -> bool:
        """Whether these are all of the headers, and nothing else, and none can be read in two ways."""
        return _HEADERS.fullmatch(self.headers) is not None

    def key_in_base64(self) -> tuple[bytes, bytes] | None:
        """A handshake's key, and the headers without it; None where none is written as clients do."""
        for name in _KEYS:
            if (at := self.headers.find(name)) >= 0:
                start = at + len(name)
                key, rest = self.headers[start : start + _KEY], self.headers[start + _KEY :]
                return (key, self.headers[:start] + rest) if _is_key(key) else None
        return None

    def scope(self, transport_facts: dict[str, Any]) -> Scope | None:
        """As ASGI has it; None where the call wants something else than its address promises."""
        pairs: list[tuple[bytes, bytes]] = []
        for text in self.headers.split(b"\r\n"):
            name, colon, value = text.partition(b":")
            if colon:
                pairs.append((name.lower(), value.strip(b" \t")))
        names = {name for name, _ in pairs}
        is_upgrade = b"upgrade" in names
        if not _ELSEWHERE.isdisjoint(names) or b"host" not in names or is_upgrade != (self.road == "ws"):
            return None
        return {
            "type": "websocket" if is_upgrade else "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "GET",
            "path": self.path.decode(),
            "raw_path": self.path,
            "root_path": "",
            "query_string": self.query,
            "headers": pairs,
            "state": {},
            "path_params": {} if self.execution_id is None else {"execution_id": self.execution_id},
            **transport_facts,
        }


def recognised(data: bytes) -> Head | None:
    """The call, where `data` begins one of this lane's; whether it is all of one, and plain, is still to be seen."""
    line = _LINE.match(data)
    return None if line is None else Head(line, data[line.end() :])


def _is_key(text: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(text, strict_mode=True)) == 16
    except ValueError:
        return False
