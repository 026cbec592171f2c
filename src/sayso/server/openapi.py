"""The OpenAPI 3.1 document of the HTTP addresses, its schemas made from the very types that are read and written."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.keys import KeyMade, KeyShown, KeyWanted, Rotation
from sayso.model import STATUSES, InputCompleted, InputRequired, Question, Request, Submission
from sayso.server.session import SessionShown
from sayso.server.tickets import TicketMade
from sayso.wire import Cancellation, LeaseWanted, Login, TicketWanted, encode

_REF: Final = "#/components/schemas/{name}"
_ID: Final = {"type": "string", "pattern": r"^[A-Za-z0-9._~:-]{1,128}$"}


class RequestList(Struct):
    """A page of requests. `next` goes into `after`; a follower from `cursor` misses nothing that this list lacks."""

    requests: list[Request]
    next: str | None
    cursor: str


class PollReset(Struct):
    """Why the cursor of a poll meant nothing; `events` then hold what is open."""

    reason: str


class EventPage(Struct, omit_defaults=True):
    """What a poll gets. `more`: poll again at once with `cursor`."""

    events: list[InputRequired | InputCompleted]
    cursor: str | None
    more: bool
    reset: PollReset | None = None


class Health(Struct):
    """The server is there; or, from /ready, takes questions."""

    status: str
    timestamp: str


class KeyList(Struct):
    """Keys in the order in which they were made."""

    keys: list[KeyShown]


class Fault(Struct):
    """Where the input is wrong (a JSON Pointer) and how."""

    pointer: str
    detail: str


class Problem(Struct):
    """A problem object (RFC 9457). `errors` comes with `invalid`, `request` (as settled) with `already-settled`,
    `not_ready` (`starting`, `store` or `draining`) from /ready."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    request: Request | msgspec.UnsetType = msgspec.UNSET
    not_ready: list[str] | msgspec.UnsetType = msgspec.UNSET


def routes() -> list[BaseRoute]:
    async def openapi(request: HTTPRequest) -> Response:
        body = encode(document() | {"servers": [{"url": request.scope.get("root_path") or "/"}]})
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", openapi)]


@cache
def document() -> dict[str, Any]:
    """The document without `servers`, which depend on where the app is mounted."""
    bodies = [Question, Submission, Cancellation, LeaseWanted, Login, KeyWanted, Rotation, TicketWanted]
    types = [RequestList, EventPage, Health, Problem, Request, SessionShown, KeyList, KeyMade, TicketMade, *bodies]
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sayso",
            "version": version("sayso"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Questions of AI agents to people. WebSocket: /ws/human-input/{execution_id}.",
        },
        "security": [{"key": []}, {"session": []}],
        "paths": _paths(),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "sayso_…"},
                "key": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    execution = _parameter("execution_id", "path", _ID)
    request = _parameter("request_id", "path", {"type": "string"})
    run = _parameter("execution_id", "query", _ID, "The run it is removed with.") | {"required": True}
    name = _parameter("name", "path", _ID)
    holder = _parameter("holder", "query", _ID, "Whose it is.") | {"required": True}
    cursor = _parameter("last_event_id", "query", {"type": "string"}, "Events after this one.")
    cursor_header = _parameter("Last-Event-ID", "header", {"type": "string"}, "As last_event_id; wins over it.")
    wait = _parameter(
        "wait", "query", {"type": "number", "minimum": 0}, f"Seconds to hold the call; at most {limits.WAIT:.0f} count."
    )
    prefer = _parameter("Prefer", "header", {"type": "string"}, "`wait=SECONDS` (RFC 7240), as wait.")
    status = {"type": "array", "items": {"type": "string", "enum": list(STATUSES)}}
    listing = [
        _parameter("status", "query", status) | {"explode": False, "style": "form"},
        _parameter("execution_id", "query", _ID),
        _parameter(
            "after", "query", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "`next` of the page before."
        ),
        _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": limits.PAGE}),
        _parameter("order", "query", {"type": "string", "enum": ["asked", "newest"]}, "As asked, or the newest first."),
        _parameter(
            "q", "query", {"type": "string"}, "Only those with this text in title, prompt, execution or agent's name."
        ),
    ]
    stream = {
        "200": {"description": "Events as they come.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    }
    page = _answer("200", "Events after the cursor.", "EventPage")
    settled = _answer("200", "The request as it was settled.", "Request")
    token: dict[str, Any] = {"security": [{"key": []}, {"token": []}, {"ticket": []}, {"session": []}]}
    return {
        "/health": {
            "get": {"operationId": "health", "security": [], "responses": _answer("200", "It is there.", "Health")}
        },
        "/ready": {
            "get": {
                "operationId": "ready",
                "security": [],
                "responses": _answer("200", "It takes questions.", "Health")
                | _answer("503", "It takes none: `not_ready` says why.", "Problem", "application/problem+json"),
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "openapi",
                "security": [],
                "responses": {
                    "200": {
                        "description": "This document.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
        "/session": _session(),
        **_keys(),
        "/tickets": {
            "post": _operation(
                "makeTicket", [], _answer("201", "It opens one stream.", "TicketMade"), "TicketWanted", "413"
            )
        },
        "/requests": {
            "post": _operation(
                "ask",
                [],
                _answer("201", "Asked.", "Request") | _answer("200", "Asked before.", "Request"),
                "Question",
                "409",
                "413",
            ),
            "get": _operation("list", listing, _answer("200", "In the order asked for.", "RequestList"), None),
        },
        "/requests/{request_id}": {
            "get": _operation(
                "look", [request, wait, prefer], _answer("200", "The request as it is.", "Request"), None, "404"
            )
        },
        "/requests/{request_id}/answer": {
            "post": _operation("answer", [request], settled, "Submission", "404", "409", "413")
        },
        "/requests/{request_id}/cancel": {
            "post": _operation("cancel", [request], settled, "Cancellation", "404", "409", "413")
        },
        "/requests/{request_id}/resume": {
            "get": _operation("kept", [request], _KEPT, None, "404"),
            "put": _operation("keep", [request, run], {"204": {"description": "Kept, now or before."}}, None, "413")
            | {"requestBody": {"required": True, "content": _BYTES}},
        },
        "/leases/{name}": {
            "put": _operation("lease", [name], {"204": {"description": "It is yours."}}, "LeaseWanted", "409", "413"),
            "delete": _operation("release", [name, holder], {"204": {"description": "It is no longer yours."}}, None),
        },
        "/audit": {"get": _operation("audit", _AUDITED, _ENTRIES, None)},
        "/events/human-input": {"get": _operation("streamAll", [cursor, cursor_header], stream, None) | token},
        "/events/human-input/{execution_id}": {
            "get": _operation("stream", [execution, cursor, cursor_header], stream, None) | token
        },
        "/poll/human-input": {"get": _operation("pollAll", [cursor, wait, prefer], page, None)},
        "/poll/human-input/{execution_id}": {"get": _operation("poll", [execution, cursor, wait, prefer], page, None)},
    }


def _keys() -> dict[str, Any]:
    id = _parameter("id", "path", {"type": "string"}, "The public id, which stands in the secret, too.")
    made = _answer("201", "The key with its secret, which is told this once.", "KeyMade")
    key = _answer("200", "The key, which opens nothing any more.", "KeyShown")
    return {
        "/keys": {
            "get": _operation("keys", [], _answer("200", "Those that live, or ended not long ago.", "KeyList"), None),
            "post": _operation("createKey", [], made, "KeyWanted", "409", "413"),
        },
        "/keys/{id}/rotate": {"post": _operation("rotateKey", [id], made, "Rotation", "404", "413")},
        "/keys/{id}/revoke": {"post": _operation("revokeKey", [id], key, None, "404")},
    }


def _session() -> dict[str, Any]:
    open_to_all: dict[str, Any] = {"security": []}
    shown = _answer("200", "Who is at the inbox; a cookie stands for the key from here on.", "SessionShown")
    return {
        "get": _operation("session", [], _answer("200", "Who is at the inbox, if anyone.", "SessionShown"), None)
        | open_to_all,
        "post": _operation("beginSession", [], shown, "Login", "413") | open_to_all,
        "delete": _operation("endSession", [], {"204": {"description": "The cookie is gone."}}, None)
        | {"security": [{"session": []}]},
    }


def _operation(
    id: str, parameters: list[dict[str, Any]], responses: dict[str, Any], body: str | None, *problems: str
) -> dict[str, Any]:
    refusals: dict[str, Any] = {}
    for status in ("401", "403", "422", "503", *problems):
        refusals |= _answer(status, _REFUSALS[status], "Problem", "application/problem+json")
    found: dict[str, Any] = {"operationId": id, "parameters": parameters, "responses": responses | refusals}
    if body is not None:
        found["requestBody"] = {
            "required": body not in {"Cancellation", "Login", "Rotation"},
            "content": {"application/json": {"schema": {"$ref": _REF.format(name=body)}}},
        }
    return found


_BYTES: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_KEPT: Final = {"200": {"description": "What the agent kept.", "content": _BYTES}}
_REFUSALS: Final = {
    "401": "No valid key.",
    "403": "Not from this origin, or not by this key.",
    "404": "There is no such thing, or it is not for this key to see.",
    "409": "Settled already; an id that another question has, or a name that another key has; another's lease.",
    "413": "Too large.",
    "422": "Not of the form or the meaning it must have.",
    "503": "Not at the moment; try again.",
}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


def _answer(status: str, description: str, schema: str, media: str = "application/json") -> dict[str, Any]:
    return {status: {"description": description, "content": {media: {"schema": {"$ref": _REF.format(name=schema)}}}}}


_AUDITED: Final = [
    _parameter("execution_id", "query", _ID),
    _parameter("after", "query", {"type": "string"}, "EXECUTION,NUMBER of the last entry of the page before."),
    _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": limits.PAGE}),
]
_ENTRIES: Final = {
    "200": {
        "description": "Entries as JSON lines; none: there are no further ones.",
        "content": {"application/jsonl": {"schema": {"type": "string"}}},
    }
}
