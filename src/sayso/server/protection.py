"""The headers that every answer carries, so that no browser makes of it what it is not."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sayso.server.names import hostname, is_loopback

PROTECTION: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_SAID: Final = (*PROTECTION, (b"cache-control", b"no-store"))
_STAY_WITH_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


class Protected:
    """ASGI middleware outside of all others: what the application says itself stays.

    Under TLS, browsers are told to stay with it; not at a loopback name, where other programs have other ports.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        stays = staying_with_tls(scope)

        async def protected(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in _UNLESS_SAID:
                    headers.setdefault(name.decode(), value.decode())
                for name, value in stays:
                    headers.setdefault(name.decode(), value.decode())
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, protected)


def staying_with_tls(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """The header that tells a browser so, for a call under TLS by a name that is not this machine's alone."""
    is_under_tls = scope.get("scheme") in {"https", "wss"}
    return (_STAY_WITH_TLS,) if is_under_tls and not is_loopback(hostname(_host(scope))) else ()


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
