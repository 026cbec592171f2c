"""Sessions of people at the inbox: a signed cookie that stands for the key it was begun with."""

from __future__ import annotations

import hmac
import time
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Final, Self
from urllib.parse import quote

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
from sayso.server.caller import ANYONE, Caller
from sayso.server.lock import Lock
from sayso.signing import mac, read, signed
from sayso.wire import decode_login, encode

CSRF_HEADER: Final = "X-Sayso-CSRF"
"""What a page must send with every change: no other page can read it, and no form can send it."""
_SECRET: Final = "session"  # noqa: S105 - the name of a secret, not the secret
_PURPOSE: Final = "session"
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
        return cls(name=name, key=key, until=until, csrf=mac(secret, "csrf", name, key))

    def signed(self, secret: bytes) -> str:
        """The session as text that only the holder of `secret` can make."""
        return signed(self, _PURPOSE, secret)

    @classmethod
    def read(cls, text: str, secret: bytes, now: float) -> Self | None:
        """The session that `signed` wrote; None for anything else, and for one that is over."""
        session = read(text, cls, _PURPOSE, secret)
        return session if session is not None and session.until > now else None


class SessionShown(Struct, frozen=True, kw_only=True):
    """Who is at the inbox: `by` as answers will carry it, null for nobody. `csrf`: what changes must send along."""

    by: str | None
    needs_key: bool
    csrf: str | None
    until: datetime | None


class Sessions:
    """Begins sessions and knows them again. The secret that signs them is the store's, so they outlive a restart."""

    def __init__(self, access: Access, lock: Lock) -> None:
        self._access = access
        self._lock = lock
        self._secret: bytes | None = None

    async def begin(self, key: str) -> Session:
        """Raises Unauthorised for a wrong key; where none is needed, everyone may."""
        caller = await self._lock.opened_with(key)
        if caller is None:
            if await self._lock.is_needed():
                raise Unauthorised("that is no key of this server")
            caller = ANYONE
        secret = await self._kept()
        return Session.begun(caller.name or ANYONE.by, self._lock.mark_of(caller, secret), secret, time.time())

    async def again(self, session: Session) -> Session:
        """`session`, with all its time before it."""
        return Session.begun(session.name, session.key, await self._kept(), time.time())

    async def of(self, headers: Headers) -> tuple[Session, Caller] | None:
        """Whose cookie this call carries, and who that is; None without one that counts."""
        cookies = headers.get("cookie", "")
        if "sayso_" not in cookies:
            return None
        secret = await self._kept()
        try:
            found = SimpleCookie(cookies).get(_cookie_name(secret))
        except CookieError:
            return None
        session = Session.read(found.value, secret, time.time()) if found else None
        caller = None if session is None else await self._lock.stood_for(session.key, secret)
        return None if session is None or caller is None else (session, caller.at_inbox())

    async def shown(self, session: Session | None) -> SessionShown:
        return SessionShown(
            by=None if session is None else f"session:{session.name}" if session.key else ANYONE.by,
            needs_key=await self._lock.is_needed(),
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
        found = await sessions.of(request.headers)
        session = found[0] if found else None
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
        return Response(encode(await sessions.shown(session)), headers=headers, media_type="application/json")

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
    return f"sayso_{mac(secret, 'cookie')[:12]}"


def _has_tls(connection: HTTPConnection) -> bool:
    """Also where a proxy ends TLS and does not say so: then the browser's Origin does."""
    return connection.url.is_secure or connection.headers.get("origin", "").startswith("https://")
