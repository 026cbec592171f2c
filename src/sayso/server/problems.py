"""Errors on their way out: every SaysoError as a problem object, on HTTP and before a WebSocket is accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from sayso import tracing
from sayso.errors import MethodNotAllowed, NotFound, SaysoError, TooMany, Unauthorised, Unavailable
from sayso.server.protection import PROTECTION
from sayso.wire import PROBLEM_TYPE, encode, problem

logger = logging.getLogger(__name__)

_LAST: Final = (b"connection", b"close")


REFUSED: Final = "sayso.refused"
"""Where a call's scope says who counts refusals, by their code."""


class _Refusal(Response):
    """Says whom it was given to that it was."""

    def __init__(self, code: str, *content: Any, **how: Any) -> None:
        super().__init__(*content, **how)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _count(scope, self._code)
        await super().__call__(scope, receive, send)


def problem_response(error: SaysoError) -> Response:
    return refusal(error, encode(problem(error)), media_type=PROBLEM_TYPE)


def refusal(
    error: SaysoError, content: bytes, *, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to what was refused, however that is told."""
    said = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthorised):
        said["WWW-Authenticate"] = 'Bearer realm="sayso"'
    if isinstance(error, Unavailable | TooMany):
        said["Retry-After"] = "1"
    return _Refusal(error.code, content, error.status, said | dict(headers or {}), media_type=media_type)


def raw_problem(error: SaysoError, *headers: tuple[bytes, bytes]) -> bytes:
    """The whole answer, for a peer that no application has seen; its connection ends with it."""
    response = problem_response(error)
    head = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()]
    head += [name + b": " + value for name, value in (*response.raw_headers, *PROTECTION, *headers, _LAST)]
    return b"\r\n".join((*head, b"", bytes(response.body)))


async def refuse(error: SaysoError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a call with `error` before any route has seen it; a WebSocket is refused before it is accepted."""
    response = problem_response(error)
    if scope["type"] == "http":
        await response(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        _count(scope, error.code)
        await WebSocket(scope, receive, send).close()


def _count(scope: Scope, code: str) -> None:
    refused: Callable[[str], None] | None = scope.get(REFUSED)
    if refused is not None:
        refused(code)


async def on_sayso_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for the errors that routes raise."""
    assert isinstance(error, SaysoError)  # noqa: S101 - it is registered for these
    note(error, request)
    return problem_response(error)


def note(error: SaysoError, request: Request) -> None:
    """Logs what is no fault of the caller's."""
    if error.status >= 500:
        traced = tracing.ids_in(request.headers.get(tracing.TRACEPARENT))
        facts = {"code": error.code, **error.about, **(traced._asdict() if traced else {})}
        logger.error("request failed", exc_info=error, extra=facts)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (unknown path, wrong method), in our form."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    response = problem_response(MethodNotAllowed() if error.status_code == 405 else NotFound())
    response.headers.update(error.headers or {})
    return response


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client left before it had sent everything: nobody hears the answer, and nothing went wrong here."""
    return Response(status_code=499)


async def on_crash(request: Request, error: Exception) -> Response:
    """The last resort: Starlette logs the error itself; the caller learns nothing of the inside."""
    return problem_response(SaysoError())
