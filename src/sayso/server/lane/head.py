"""Recognises calls of the fast lane: whole heads in plain HTTP/1.1, of which nothing can be read in two ways."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from starlette.types import Scope

Road = Literal["ws", "events", "poll"]

_LINE: Final = re.compile(
    rb"GET (?P<path>/(?P<road>ws|events|poll)/human-input"
    rb"(?:/(?P<execution>[\x21\x22\x24\x26-\x2e\x30-\x3e\x40-\x7e]+))?)"
    rb"(?:\?(?P<query>[\x21\x22\x24-\x7e]*))? HTTP/1\.1\r\n"
)
"""A target of printable ASCII without escapes."""
_HEADERS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")
"""Names of token characters, no folded lines, no control characters (RFC 9110, 5.5)."""
_KEY: Final = re.compile(rb"(?i)(?:\A|\n)sec-websocket-key:[ \t]*([a-z0-9+/]{22}==)[ \t]*\r")
"""Sixteen bytes in base64 (RFC 6455, 4.1): the one header that is another in each handshake of a client."""
_ELSEWHERE: Final = frozenset({b"content-length", b"transfer-encoding", b"expect", b"te", b"trailer"})
"""Whoever sends one of these has a body, or wants more than is done here."""


class Head:
    """A call as it came: `headers` are the bytes of all of them, the same for two calls of one client."""

    __slots__ = ("execution_id", "headers", "path", "query", "road")

    def __init__(self, line: re.Match[bytes], headers: bytes) -> None:
        self.road: Road = line["road"].decode()  # type: ignore[assignment]
        self.path = line["path"]
        self.execution_id: str | None = None if line["execution"] is None else line["execution"].decode()
        self.query: bytes = line["query"] or b""
        self.headers = headers

    @property
    def key(self) -> re.Match[bytes] | None:
        """Where in `headers` a handshake's key is, as group 1."""
        return _KEY.search(self.headers)

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
    """The call, where `data` is all of one of this lane's and nothing else."""
    line = _LINE.match(data)
    if line is None or _HEADERS.fullmatch(data, line.end()) is None:
        return None
    return Head(line, data[line.end() :])
