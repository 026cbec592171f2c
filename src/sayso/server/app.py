"""The ASGI application: every route behind one door. Runs on any ASGI server, under any prefix, without a lifespan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sayso.errors import Forbidden, NotFound, SaysoError
from sayso.meters import Meters
from sayso.server import (
    answer_links,
    answer_page,
    asyncapi,
    audit,
    health,
    inbox,
    keys,
    leases,
    longpoll,
    metrics,
    notifiers,
    openapi,
    platform,
    push,
    requests,
    resumes,
    session,
    sse,
    tickets,
    websocket,
)
from sayso.server.access import Access
from sayso.server.calls import Calls, Counted
from sayso.server.door import Door, Guarded
from sayso.server.followers import Followers
from sayso.server.lock import Lock
from sayso.server.origins import Origins
from sayso.server.problems import on_crash, on_disconnect, on_http_exception, on_sayso_error, problem_response, refuse
from sayso.server.protection import Protected
from sayso.server.refusals import Counting, Refusals
from sayso.server.session import Sessions
from sayso.server.shape import Shaped


@dataclass(frozen=True)
class Application:
    """`asgi` has every route; the rest is its own, for whoever serves some of them without ASGI."""

    asgi: ASGIApp
    access: Access
    lock: Lock
    door: Door
    calls: Calls
    followers: Followers
    refusals: Refusals


def build(
    access: Access, *, api_key: str | None = None, allow_origins: Iterable[str] = (), public_url: str | None = None
) -> Application:
    """The application over `access`. Pages of `allow_origins` (`https://host[:port]`) may call it; others may not.
    `public_url`: where people reach it, for links."""
    origins = [origin.rstrip("/") for origin in allow_origins]
    lock = Lock(access, api_key)
    sessions = Sessions(access, lock)
    issued = tickets.Tickets(access, lock)
    door = Door(lock=lock, sessions=sessions, tickets=issued, origins=Origins(origins))
    calls, followers, refusals = Calls(), Followers(), Refusals()
    middleware = [
        Middleware(Guarded, door=door),
        Middleware(Counted, calls=calls),
    ]
    if origins:
        cors = Middleware(
            _CORS,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "Prefer", "Traceparent"],
            expose_headers=["Location", "Retry-After"],
        )
        middleware.insert(0, cors)
    asgi = _Application(
        refusals,
        routes=[
            *health.routes(access),
            *openapi.routes(),
            *asyncapi.routes(),
            *inbox.routes(),
            *session.routes(sessions),
            *requests.routes(access),
            *answer_links.routes(access, public_url),
            *answer_page.routes(access),
            *platform.routes(access),
            *resumes.routes(access),
            *leases.routes(access),
            *keys.routes(access),
            *tickets.routes(access, issued),
            *audit.routes(access),
            *metrics.routes(access, Meters(followers.read, refusals.read)),
            *notifiers.routes(access),
            *push.routes(access),
            *sse.routes(access, followers),
            *longpoll.routes(access, followers),
            *websocket.routes(access, lock, calls, followers, refusals),
        ],
        middleware=middleware,
        exception_handlers={
            SaysoError: on_sayso_error,
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
            Exception: on_crash,
        },
    )
    asgi.router.redirect_slashes = False  # an empty execution id must not become the stream of all
    asgi.router.default = _unknown
    return Application(asgi, access, lock, door, calls, followers, refusals)


class _CORS(CORSMiddleware):
    """Starlette's, which says in plain text what a page may not do."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        refusal = problem_response(Forbidden("pages of this origin may not do that here"))
        refusal.headers["Vary"] = "Origin"
        return refusal


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """In place of Starlette's, which refuses a WebSocket without a word."""
    await refuse(NotFound(), scope, receive, send)


class _Application(Starlette):
    def __init__(self, refusals: Refusals, **how: Any) -> None:
        self._refusals = refusals
        super().__init__(**how)

    def build_middleware_stack(self) -> ASGIApp:
        """Outside of Starlette's own handler of crashes, whose answers are answers, too."""
        return Counting(Protected(Shaped(super().build_middleware_stack())), self._refusals)
