"""Who comes in: checks Host, Origin and key before any route runs, and says whose call it is."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import Forbidden, SaysoError, TooLarge, Unauthorised
from sayso.server.problems import refuse

_FORWARDED: Final = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""What a proxy on this machine adds to a call from elsewhere."""
ANONYMOUS: Final = "anonymous"
_DEFAULT_KEY: Final = "key:default"
_PUBLIC: Final = {"/health", "/openapi.json"}
_TOKEN_ROADS: Final = ("/ws/", "/events/")
"""Where a browser cannot set a header, so that a key in the query has to do."""


class Door:
    """ASGI middleware. Without a key everyone is `anonymous`; with one, its holder is `key:default`."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, allow_origins: Iterable[str]) -> None:
        self._app = app
        self._key = None if api_key is None else _hashed(api_key)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allow_origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["by"] = self._admit(scope)
        except SaysoError as error:
            await refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> str:
        """Who calls. Raises Forbidden, Unauthorised, TooLarge."""
        if len(scope["path"]) + len(scope["query_string"]) > limits.URL:
            raise TooLarge(f"an address is at most {limits.URL} bytes")
        headers = Headers(scope=scope)
        self._check_host(scope, headers)
        self._check_origin(headers)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._key is None and (_is_elsewhere(scope) or not _FORWARDED.isdisjoint(headers.keys())):
            raise Forbidden("this server has no key, so it is for this machine alone; give it one: api_key=…")
        if self._key is None or path in _PUBLIC or (scope["type"] == "http" and scope["method"] == "OPTIONS"):
            return ANONYMOUS
        if not hmac.compare_digest(_hashed(_key_in(scope, headers, path)), self._key):
            raise Unauthorised
        return _DEFAULT_KEY

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
        own = {f"{scheme}://{headers.get('host', '').lower()}" for scheme in ("http", "https")}
        if origin and origin not in self._origins | own:
            raise Forbidden("pages of this origin are not let in; name it to the server: allow_origins=['https://…']")


def _key_in(scope: Scope, headers: Headers, path: str) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return key.strip()
    if path.startswith(_TOKEN_ROADS):
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", [])), "")
    return ""


def _hashed(key: str) -> bytes:
    """One length for every key, so that comparing takes the same time."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


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
