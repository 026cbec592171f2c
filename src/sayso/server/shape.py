"""What a call must look like before anyone decides on it: of each header that decides something there is one."""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import Malformed, SaysoError, TooLarge
from sayso.server.problems import refuse

_ONCE: Final = frozenset(
    {b"host", b"origin", b"authorization", b"content-length", b"transfer-encoding", b"cookie", b"sec-fetch-site"}
)
"""Of two, a proxy may take the one and we the other."""


def checked(scope: Scope) -> Scope:
    """The call, its target as a path. Raises Malformed, TooLarge."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    seen = Counter(name for name, _ in headers if name in _ONCE)
    if twice := sorted(name.decode() for name, count in seen.items() if count > 1):
        raise Malformed(f"a call may have one header of each of these: {', '.join(twice)}")
    if seen[b"content-length"] and seen[b"transfer-encoding"]:
        raise Malformed("a call may say the length of its body in one way only")
    if sum(len(name) + len(value) for name, value in headers) > limits.HEADERS:
        raise TooLarge(f"headers are at most {limits.HEADERS} bytes")
    if not scope["query_string"].isascii():
        raise Malformed("an address is ASCII; write whatever is not as %XX")  # some hosts let it in
    scope = _with_path(scope)
    if len(scope["path"]) + len(scope["query_string"]) > limits.URL:
        raise TooLarge(f"an address is at most {limits.URL} bytes")
    return scope


def _with_path(scope: Scope) -> Scope:
    """A target may be a whole address, as for a proxy; then it is its host that counts (RFC 9112, 3.2.2)."""
    path = scope["path"]
    if not path.lower().startswith(("http://", "https://")):
        return scope
    target = (scope.get("raw_path") or path.encode()).decode("latin-1")
    try:
        address = urlsplit(target)
        host = address.netloc.encode("ascii")
    except ValueError as exc:
        raise Malformed("the address in the first line of the call is none") from exc
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    raw_path = address.path or "/"
    return {
        **scope,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("latin-1"),
        "headers": [(b"host", host), *headers],
    }


class Shaped:
    """ASGI middleware: calls inside have their shape, others are refused."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            try:
                scope = checked(scope)
            except SaysoError as error:
                await refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)
