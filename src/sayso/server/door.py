"""Who comes in: checks Host, Origin and key before any route runs, and says whose call it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import Forbidden, SaysoError, TooLarge, Unauthorised
from sayso.server.problems import refuse
from sayso.server.session import ANONYMOUS, Lock, Sessions, check_csrf, check_page

_FORWARDED: Final = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""What a proxy on this machine adds to a call from elsewhere."""
_DEFAULT_KEY: Final = "key:default"
_PUBLIC: Final = frozenset({"", "/", "/health", "/ready", "/openapi.json"})
_PAGE_FILES: Final = "/inbox/"
_SESSION: Final = "/session"
_INBOX: Final = "inbox"
_TOKEN_ROADS: Final = ("/ws/", "/events/")
"""Where a browser cannot set a header, so that a key in the query has to do."""


class Door:
    """ASGI middleware. Without a key everyone is `anonymous`; with one, its holder is `key:default`.

    Whoever began a session with the key is `session:default`, on the channel `inbox`.
    """

    def __init__(self, app: ASGIApp, *, lock: Lock, sessions: Sessions, allow_origins: Iterable[str]) -> None:
        self._app = app
        self._lock = lock
        self._sessions = sessions
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allow_origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            by, channel = await self._admit(scope)
        except SaysoError as error:
            await refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {}).update(by=by, channel=channel)
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> tuple[str, str | None]:
        """Who calls, and by which channel where that is not the route's. Raises Forbidden, Unauthorised, TooLarge."""
        if len(scope["path"]) + len(scope["query_string"]) > limits.URL:
            raise TooLarge(f"an address is at most {limits.URL} bytes")
        headers = Headers(scope=scope)
        self._check_host(scope, headers)
        self._check_origin(headers)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._lock.hash is None and (_is_elsewhere(scope) or not _FORWARDED.isdisjoint(headers.keys())):
            raise Forbidden("this server has no key, so it is for this machine alone; give it one: api_key=…")
        if _is_public(scope, path):
            return ANONYMOUS, None
        key = _key_in(scope, headers, path)
        if key and self._lock.opens_with(key):
            return _DEFAULT_KEY, None
        if not key and (caller := await self._at_inbox(scope, headers, path)):
            return caller
        if self._lock.hash is not None:
            raise Unauthorised
        return ANONYMOUS, None

    async def _at_inbox(self, scope: Scope, headers: Headers, path: str) -> tuple[str, str] | None:
        """Who calls by session. Raises Forbidden where the session is right and the page or its word is not."""
        own = _own_origins(headers)
        if path == _SESSION and scope.get("method") in {"GET", "HEAD", "POST"}:
            check_page(scope, headers, own)
            return ANONYMOUS, _INBOX
        session = await self._sessions.of(headers)
        if session is None:
            return None
        try:
            check_page(scope, headers, own)
            check_csrf(session, scope, headers)
        except Forbidden:
            if self._lock.hash is None:
                return None  # no session is needed, and other pages of this machine may share the cookie
            raise
        return ANONYMOUS if self._lock.hash is None else f"session:{session.name}", _INBOX

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        """On a loopback address only a loopback name is meant; another name is a page that rebinds its DNS to us."""
        server = scope.get("server")
        if server is None or not _is_loopback(server[0]):
            return
        host = headers.get("host", "").lower()
        if not _is_loopback(_hostname(host)) and host not in self._hosts:
            raise Forbidden(
                "this server listens on this machine only and was called by another name; behind a proxy, "
                "name the public address: allow_origins=['https://…']"
            )

    def _check_origin(self, headers: Headers) -> None:
        """A page of another origin can send anything that a form can; its Origin header tells on it."""
        origin = headers.get("origin", "").rstrip("/").lower()
        if origin and origin not in self._origins | _own_origins(headers):
            raise Forbidden("pages of this origin are not let in; name it to the server: allow_origins=['https://…']")


def _key_in(scope: Scope, headers: Headers, path: str) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return key.strip()
    if path.startswith(_TOKEN_ROADS):
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", [])), "")
    return ""


def _is_public(scope: Scope, path: str) -> bool:
    return path in _PUBLIC or path.startswith(_PAGE_FILES) or (scope["type"] == "http" and scope["method"] == "OPTIONS")


def _own_origins(headers: Headers) -> frozenset[str]:
    return frozenset(f"{scheme}://{headers.get('host', '').lower()}" for scheme in ("http", "https"))


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_elsewhere(scope: Scope) -> bool:
    """Whether the call came in by an address that other machines reach."""
    try:
        return not ipaddress.ip_address((scope.get("server") or ("",))[0]).is_loopback
    except ValueError:
        return False  # a Unix socket, or a test client: no address at all


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
