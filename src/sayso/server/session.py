"""Sessions of people at the inbox: a signed cookie that stands for the key it was begun with."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Final, Self
from urllib.parse import quote

import msgspec
from msgspec import Struct
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from sayso import limits
from sayso.errors import Forbidden, Unauthorised
from sayso.server import intake
from sayso.server.access import Access
from sayso.wire import decode_login, encode

CSRF_HEADER: Final = "X-Sayso-CSRF"
"""What a page must send with every change: no other page can read it, and no form can send it."""
_SECRET: Final = "session"  # noqa: S105 - the name of a secret, not the secret
ANONYMOUS: Final = "anonymous"
"""Whoever calls a server that needs no key."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Session(Struct, frozen=True, kw_only=True):
    """Who is at the inbox. `key`: the mark of the key it was begun with, so that it ends when that key does."""

    name: str
    key: str
    until: int
    csrf: str

    @classmethod
    def begun(cls, name: str, key: str, secret: bytes, now: float) -> Self:
        until = int(now + limits.SESSION)
        return cls(name=name, key=key, until=until, csrf=_mac(secret, "csrf", name, key))

    def signed(self, secret: bytes) -> str:
        """The session as text that only the holder of `secret` can make."""
        data = urlsafe_b64encode(encode(self)).rstrip(b"=").decode()
        return f"{data}.{_mac(secret, 'session', data)}"

    @classmethod
    def read(cls, text: str, secret: bytes, now: float) -> Self | None:
        """The session that `signed` wrote; None for anything else, and for one that is over."""
        data, _, mac = text.partition(".")
        if not hmac.compare_digest(mac.encode(), _mac(secret, "session", data).encode()):
            return None
        session = msgspec.json.decode(urlsafe_b64decode(data + "=" * (-len(data) % 4)), type=cls)
        return session if session.until > now else None


class SessionShown(Struct, frozen=True, kw_only=True):
    """Who is at the inbox: `by` as answers will carry it, null for nobody. `csrf`: what changes must send along."""

    by: str | None
    needs_key: bool
    csrf: str | None
    until: datetime | None


@dataclass(frozen=True)
class Lock:
    """A key as it is kept: hashed, so that comparing takes the same time whatever is tried. None: no key is needed."""

    hash: bytes | None

    @classmethod
    def of(cls, key: str | None) -> Self:
        return cls(None if key is None else _hashed(key))

    def opens_with(self, key: str) -> bool:
        return self.hash is not None and hmac.compare_digest(_hashed(key), self.hash)

    def mark(self, secret: bytes) -> str:
        """Tells this key from others, and nothing of the key."""
        return "" if self.hash is None else _mac(secret, "key", self.hash.hex())


class Sessions:
    """Begins sessions and knows them again. The secret that signs them is the store's, so they outlive a restart."""

    def __init__(self, access: Access, lock: Lock) -> None:
        self._access = access
        self._lock = lock
        self._secret: bytes | None = None

    async def begin(self, key: str) -> Session:
        """Raises Unauthorised for a wrong key; without a lock, everyone may."""
        if self._lock.hash is not None and not self._lock.opens_with(key):
            raise Unauthorised("that is not the key of this server")
        secret = await self._kept()
        name = ANONYMOUS if self._lock.hash is None else "default"
        return Session.begun(name, self._lock.mark(secret), secret, time.time())

    async def again(self, session: Session) -> Session:
        """`session`, with all its time before it."""
        return Session.begun(session.name, session.key, await self._kept(), time.time())

    async def of(self, headers: Headers) -> Session | None:
        """Whose cookie this call carries; None without one that counts."""
        cookies = headers.get("cookie", "")
        if "sayso_" not in cookies:
            return None
        secret = await self._kept()
        try:
            found = SimpleCookie(cookies).get(_cookie_name(secret))
        except CookieError:
            return None
        session = Session.read(found.value, secret, time.time()) if found else None
        if session is None or not hmac.compare_digest(session.key, self._lock.mark(secret)):
            return None
        return session

    def shown(self, session: Session | None) -> SessionShown:
        by = None if session is None else ANONYMOUS if self._lock.hash is None else f"session:{session.name}"
        return SessionShown(
            by=by,
            needs_key=self._lock.hash is not None,
            csrf=session.csrf if session else None,
            until=datetime.fromtimestamp(session.until, UTC) if session else None,
        )

    async def cookie(self, session: Session | None, connection: HTTPConnection) -> str:
        """The header that keeps `session` in the browser; None lets go of it."""
        secret = await self._kept()
        value, age = ("", 0) if session is None else (session.signed(secret), session.until - int(time.time()))
        path = quote(connection.scope.get("root_path", "")) or "/"
        text = f"{_cookie_name(secret)}={value}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Strict"
        return f"{text}; Secure" if _has_tls(connection) else text

    async def _kept(self) -> bytes:
        if self._secret is None:
            self._secret = await self._access.call(lambda gateway: gateway.secret(_SECRET))
        return self._secret


def check_page(scope: Scope, headers: Headers, own: frozenset[str]) -> None:
    """A cookie goes along with whatever a browser sends, so it counts for calls of the server's own page alone.

    Browsers name the caller's site (Fetch Metadata) where the connection is trustworthy, else the origin must tell.
    Raises Forbidden.
    """
    if not _is_own_page(scope, headers, own):
        raise Forbidden("a session counts for the inbox's own pages alone; send a key")


def check_csrf(session: Session, scope: Scope, headers: Headers) -> None:
    """Raises Forbidden for a change without the word that only the page knows. A WebSocket has its Origin instead."""
    if scope["type"] == "http" and scope["method"] not in _SAFE:
        given = headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), session.csrf.encode()):
            raise Forbidden(f"a change by session needs the header {CSRF_HEADER}, as GET /session gives it")


def routes(sessions: Sessions) -> list[BaseRoute]:
    async def look(request: Request) -> Response:
        session = await sessions.of(request.headers)
        if session is not None and session.until - time.time() < limits.SESSION / 2:
            session = await sessions.again(session)  # whoever comes often is not asked again
        return await told(session, request)

    async def begin(request: Request) -> Response:
        return await told(await sessions.begin(decode_login(await intake.body(request)).key), request)

    async def end(request: Request) -> Response:
        return Response(status_code=204, headers=_HEADERS | {"Set-Cookie": await sessions.cookie(None, request)})

    async def told(session: Session | None, request: Request) -> Response:
        """A page that is not in learns no more than whether it needs a key."""
        headers = _HEADERS | ({"Set-Cookie": await sessions.cookie(session, request)} if session else {})
        return Response(encode(sessions.shown(session)), headers=headers, media_type="application/json")

    async def session(request: Request) -> Response:
        return await {"POST": begin, "DELETE": end}.get(request.method, look)(request)

    return [Route("/session", session, methods=["GET", "POST", "DELETE"])]


def _changes(scope: Scope) -> bool:
    """A WebSocket can answer."""
    return scope["type"] == "websocket" or scope["method"] not in _SAFE


def _is_own_page(scope: Scope, headers: Headers, own: frozenset[str]) -> bool:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "").rstrip("/").lower()
    if _changes(scope) and not origin:
        return False
    if site is not None:
        return site == "same-origin" or (site == "none" and not _changes(scope))
    return not origin or origin in own


_HEADERS: Final = {"Cache-Control": "no-store"}


def _cookie_name(secret: bytes) -> str:
    """Each store has its own, since a browser gives a cookie to every port of a host."""
    return f"sayso_{_mac(secret, 'cookie')[:12]}"


def _mac(secret: bytes, *parts: str) -> str:
    return hmac.new(secret, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


def _hashed(key: str) -> bytes:
    """One length for every key, so that comparing takes the same time."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _has_tls(connection: HTTPConnection) -> bool:
    """Also where a proxy ends TLS and does not say so: then the browser's Origin does."""
    return connection.url.is_secure or connection.headers.get("origin", "").startswith("https://")
