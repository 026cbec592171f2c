"""The ASGI application: every route behind one door. Runs on any ASGI server, under any prefix, without a lifespan."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from sayso.errors import SaysoError
from sayso.server import (
    audit,
    health,
    inbox,
    keys,
    leases,
    longpoll,
    openapi,
    requests,
    resumes,
    session,
    sse,
    tickets,
    websocket,
)
from sayso.server.access import Access
from sayso.server.calls import Calls, Counted
from sayso.server.door import Door
from sayso.server.lock import Lock
from sayso.server.origins import Origins
from sayso.server.problems import on_crash, on_disconnect, on_http_exception, on_sayso_error
from sayso.server.protection import Protected
from sayso.server.session import Sessions
from sayso.server.shape import Shaped


def build(access: Access, *, api_key: str | None = None, allow_origins: Iterable[str] = ()) -> ASGIApp:
    """The application over `access`. Pages of `allow_origins` (`https://host[:port]`) may call it; others may not."""
    origins = [origin.rstrip("/") for origin in allow_origins]
    lock = Lock(access, api_key)
    sessions = Sessions(access, lock)
    issued = tickets.Tickets(access, lock)
    calls = Calls()
    middleware = [
        Middleware(Door, lock=lock, sessions=sessions, tickets=issued, origins=Origins(origins)),
        Middleware(Counted, calls=calls),
    ]
    if origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "Prefer"],
            expose_headers=["Location", "Retry-After"],
        )
        middleware.insert(0, cors)
    application = _Application(
        routes=[
            *health.routes(access),
            *openapi.routes(),
            *inbox.routes(),
            *session.routes(sessions),
            *requests.routes(access),
            *resumes.routes(access),
            *leases.routes(access),
            *keys.routes(access),
            *tickets.routes(access, issued),
            *audit.routes(access),
            *sse.routes(access),
            *longpoll.routes(access),
            *websocket.routes(access, lock, calls),
        ],
        middleware=middleware,
        exception_handlers={
            SaysoError: on_sayso_error,
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
            Exception: on_crash,
        },
    )
    application.router.redirect_slashes = False  # an empty execution id must not become the stream of all
    return application


class _Application(Starlette):
    def build_middleware_stack(self) -> ASGIApp:
        """Outside of Starlette's own handler of crashes, whose answers are answers, too."""
        return Protected(Shaped(super().build_middleware_stack()))
