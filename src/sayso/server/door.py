"""Who comes in: checks where a call comes from and its key before any route runs, and says whose call it is."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sayso.answer_link import ANSWER, RESPOND
from sayso.errors import Forbidden, SaysoError, Unauthorised
from sayso.server.caller import ANYONE, NOBODY, Caller
from sayso.server.lock import Lock
from sayso.server.origins import Origins, is_from_elsewhere, own_origins
from sayso.server.problems import refuse
from sayso.server.session import Sessions, check_csrf, check_page
from sayso.server.tickets import Tickets

_PUBLIC: Final = frozenset({"", "/", "/health", "/ready", "/openapi.json", "/asyncapi.json"})
_PAGE_FILES: Final = "/inbox/"
_SESSION: Final = "/session"
_RESPOND: Final = RESPOND.partition("{")[0]
"""Where an answer link's token is taken, too."""
_TOKEN_ROADS: Final = ("/ws/", "/events/")
"""Where a browser cannot set a header, so that a ticket, or a key, in the query has to do."""


class Door:
    """Without a key everyone is `anonymous`; with one, its holder is `key:<name>`.

    Whoever began a session with a key is `session:<name>`, on the channel `inbox`.
    """

    def __init__(self, *, lock: Lock, sessions: Sessions, tickets: Tickets, origins: Origins) -> None:
        self._lock = lock
        self._sessions = sessions
        self._tickets = tickets
        self._origins = origins

    async def admit(self, scope: Scope) -> Caller | None:
        """Who calls; None for a WebSocket that will say so in its first message.

        Raises Forbidden, Unauthorised; Unavailable while the store cannot say.
        """
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and (path == ANSWER or path.startswith(_RESPOND)):
            return NOBODY  # a link shows all that it takes, wherever it is opened: no page can add a right to it
        self._origins.check(scope, headers)
        if is_from_elsewhere(scope, headers) and not await self._lock.is_needed():
            raise Forbidden("this server has no key, so it is for this machine alone; give it one: api_key=…")
        if _is_public(scope, path):
            return ANYONE
        return await self._shown(scope, headers, path)

    async def _shown(self, scope: Scope, headers: Headers, path: str) -> Caller | None:
        """Who calls, by a key, a ticket or a session."""
        text = scope["query_string"] if path.startswith(_TOKEN_ROADS) else b""
        query = parse_qs(text.decode("latin-1")) if text else {}
        if key := _key_in(headers) or _first(query, "token"):
            return await self._lock.admitted(key)
        if ticket := _first(query, "ticket"):
            caller = await self._tickets.redeemed(ticket)
            if caller is None:
                raise Unauthorised("that ticket was used, is over, or is none of this server's: POST /tickets")
            return caller
        if caller := await self._at_inbox(scope, headers, path):
            return caller
        if scope["type"] == "websocket" and _first(query, "auth") == "message":
            return None
        return await self._lock.admitted("")

    async def _at_inbox(self, scope: Scope, headers: Headers, path: str) -> Caller | None:
        """Who calls by session. Raises Forbidden where the session is right and the page or its word is not."""
        if path == _SESSION and scope.get("method") in {"GET", "HEAD", "POST"}:
            check_page(scope, headers, own_origins(scope, headers))
            return ANYONE.at_inbox()
        found = await self._sessions.of(headers)
        if found is None:
            return None
        session, caller = found
        try:
            check_page(scope, headers, own_origins(scope, headers))
            check_csrf(session, scope, headers)
        except Forbidden:
            if caller.name is None:
                return None  # no session is needed, and other pages of this machine may share the cookie
            raise
        return caller


class Guarded:
    """ASGI middleware: calls inside have been let in by a door."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._door.admit(scope)
        except SaysoError as error:
            await refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _key_in(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _first(query: dict[str, list[str]], name: str) -> str:
    return next(iter(query.get(name, [])), "")


def _is_public(scope: Scope, path: str) -> bool:
    return path in _PUBLIC or path.startswith(_PAGE_FILES) or (scope["type"] == "http" and scope["method"] == "OPTIONS")
