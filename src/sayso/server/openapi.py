"""The OpenAPI 3.1 document of the HTTP addresses, its schemas made from the very types that are read and written."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.answer_link import RESPOND
from sayso.keys import KeyMade, KeyWanted, Rotation
from sayso.model import STATUSES, Question, Request, Submission
from sayso.notifier import Replay, Trial
from sayso.server import links
from sayso.server.platform import Accepted, Feedback, PlatformError, Resumed, Resumption
from sayso.server.schemas import (
    ID,
    KEY_ID,
    REF,
    EventPage,
    Health,
    KeyList,
    NotifierList,
    Problem,
    RequestList,
    ResetShown,
    Schema,
    components,
)
from sayso.server.session import SessionShown
from sayso.server.tickets import TicketMade
from sayso.subscription import PushShown, SubscriptionShown, SubscriptionWanted
from sayso.wire import PROBLEM_TYPE, Cancellation, LeaseWanted, LinkMade, LinkWanted, Login, TicketWanted, encode

_TYPES: Final = (
    *(RequestList, EventPage, ResetShown, Health, Problem, Request, SessionShown, KeyList, KeyMade, TicketMade),
    *(LinkMade, LinkWanted),
    *(NotifierList, Trial, PushShown, SubscriptionShown),
    *(Resumption, Resumed, Feedback, Accepted, PlatformError),
    *(Question, Submission, Cancellation, LeaseWanted, Login, KeyWanted, Rotation, TicketWanted, Replay),
    SubscriptionWanted,
)
_MAY_BE_EMPTY: Final = {"Cancellation", "Login", "Rotation", "Replay"}
_BYTES: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_AUTHENTICATE: Final = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_RETRY: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_PROBLEMS: Final[dict[str, tuple[str, Schema]]] = {
    "400": ("No HTTP call that can be understood in one way only.", {}),
    "401": ("No valid key.", _AUTHENTICATE),
    "403": ("Not from this origin, not at this host, or not by this key.", {}),
    "404": ("There is no such thing, or it is not for this key to see.", {}),
    "408": ("The rest of the call did not come in time.", _RETRY),
    "409": ("Settled already; an id that another question has, or a name that another key has; another's lease.", {}),
    "410": ("The link has ended.", {}),
    "413": ("The address, the headers or the body are too large.", {}),
    "422": ("Not of the form or the meaning it must have.", {}),
    "429": ("Too many at once.", _RETRY),
    "503": ("Not at the moment; try again.", _RETRY),
}
_ANY: Final = ("400", "403", "408", "413", "429", "503")
"""What any call may get."""


def routes() -> list[BaseRoute]:
    async def openapi(request: HTTPRequest) -> Response:
        body = encode(document() | {"servers": [{"url": request.scope.get("root_path") or "/"}]})
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", openapi)]


@cache
def document() -> dict[str, Any]:
    """The document without `servers`, which depend on where the app is mounted."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sayso",
            "version": version("sayso"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Questions of AI agents to people. WebSocket: /ws/human-input/{execution_id}. "
            "What streams carry, both ways: /asyncapi.json.",
        },
        "security": [{"key": []}, {"session": []}],
        "paths": _paths(),
        "components": {
            "schemas": components(_TYPES),
            "responses": {
                status: {
                    "description": description,
                    "content": {PROBLEM_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}},
                }
                | ({"headers": headers} if headers else {})
                for status, (description, headers) in _PROBLEMS.items()
            },
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "sayso_*",
                    "description": "`POST /session` sets it. Each store has its own name: `sayso_` and 12 characters.",
                },
                "key": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    execution = _parameter("execution_id", "path", ID)
    request = _parameter("request_id", "path", ID)
    run = _parameter("execution_id", "query", ID, "The run it is removed with.") | {"required": True}
    name = _parameter("name", "path", ID)
    holder = _parameter("holder", "query", ID, "Whose it is.") | {"required": True}
    cursor = _parameter("last_event_id", "query", {"type": "string"}, "Events after this one.")
    cursor_header = _parameter("Last-Event-ID", "header", {"type": "string"}, "As last_event_id; wins over it.")
    wait = _parameter(
        "wait", "query", {"type": "number", "minimum": 0}, f"Seconds to hold the call; at most {limits.WAIT:.0f} count."
    )
    trace = _parameter("traceparent", "header", {"type": "string"}, "W3C Trace Context; what is none is passed over.")
    prefer = _parameter("Prefer", "header", {"type": "string"}, "`wait=SECONDS` (RFC 7240), as wait.")
    listed = _answer("200", "In the order asked for.", "RequestList", then=links.OF_LIST)
    page = _answer("200", "Events after the cursor.", "EventPage")
    all_page = _answer("200", "Events after the cursor.", "EventPage", then=links.OF_POLL_ALL)
    looked = _answer("200", "The request as it is.", "Request", then=links.OF_REQUEST)
    settled = _answer("200", "The request as it was settled.", "Request", then=links.OF_SETTLED)
    asked = {
        status: described | {"headers": {"Location": {"description": "The request.", "schema": {"type": "string"}}}}
        for status, described in (
            _answer("201", "Asked.", "Request", then=links.OF_REQUEST)
            | _answer("200", "Asked before.", "Request", then=links.OF_REQUEST)
        ).items()
    }
    ticketed = _answer("201", "It opens one stream.", "TicketMade", then=links.OF_TICKET)
    linked = _answer("201", "It answers one request, once.", "LinkMade", then=links.OF_LINK)
    kept = {"200": {"description": "What the agent kept.", "content": _BYTES}}
    leased = {"204": {"description": "It is yours.", "links": links.OF_LEASE}}
    token: dict[str, Any] = {"security": [{"key": []}, {"token": []}, {"ticket": []}, {"session": []}]}
    return {
        "/health": {"get": _operation("health", [], _answer("200", "It is there.", "Health")) | _OPEN},
        "/ready": {"get": _operation("ready", [], _answer("200", "It takes questions.", "Health")) | _OPEN},
        "/openapi.json": {"get": _operation("openapi", [], _document("This document, OpenAPI 3.1.")) | _OPEN},
        "/asyncapi.json": {"get": _operation("asyncapi", [], _document("The streams, as AsyncAPI 3.0.")) | _OPEN},
        "/session": _session(),
        **_keys(),
        **_notifiers(),
        **_push(),
        "/tickets": {"post": _operation("makeTicket", [], ticketed, "401", "422", body="TicketWanted")},
        "/requests": {
            "post": _operation("ask", [trace], asked, "401", "409", "422", body="Question"),
            "get": _operation("list", _LISTING, listed, "401", "422"),
        },
        "/requests/{request_id}": {
            "get": _operation("look", [request, wait, prefer], looked, "401", "404", "422"),
        },
        "/requests/{request_id}/answer": {
            "post": _operation("answer", [request, trace], settled, "401", "404", "409", "422", body="Submission")
        },
        "/requests/{request_id}/cancel": {
            "post": _operation("cancel", [request], settled, "401", "404", "409", "422", body="Cancellation")
        },
        "/requests/{request_id}/links": {
            "post": _operation("makeLink", [request], linked, "401", "404", "409", "422", body="LinkWanted")
        },
        **_answer_page(),
        "/requests/{request_id}/resume": {
            "get": _operation("kept", [request], kept, "401", "404"),
            "put": _operation("keep", [request, run], {"204": _KEPT}, "401", "422")
            | {"requestBody": {"content": _BYTES, "description": "It may be empty."}},
        },
        "/leases/{name}": {
            "put": _operation("lease", [name], leased, "401", "409", "422", body="LeaseWanted"),
            "delete": _operation("release", [name, holder], {"204": _RELEASED}, "401", "422"),
        },
        **_platform(request),
        "/audit": {"get": _operation("audit", _AUDITED, _ENTRIES, "401", "422")},
        "/metrics": {"get": _operation("metrics", [], _METRICS, "401")},
        "/events/human-input": {"get": _operation("streamAll", [cursor, cursor_header], _STREAM, "401") | token},
        "/events/human-input/{execution_id}": {
            "get": _operation("stream", [execution, cursor, cursor_header], _STREAM, "401", "422") | token
        },
        "/poll/human-input": {"get": _operation("pollAll", [cursor, wait, prefer], all_page, "401", "422")},
        "/poll/human-input/{execution_id}": {
            "get": _operation("poll", [execution, cursor, wait, prefer], page, "401", "422")
        },
    }


def _answer_page() -> dict[str, Any]:
    """Refusals are pages, too, for whoever accepts `text/html`."""
    token = _parameter("token", "query", {"type": "string"}, "Of an answer link, which is all that it takes.")
    page = {"200": {"description": "A page for a person.", "content": {"text/html": {}}}}
    form = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}
    return {
        "/answer": {
            "get": _operation("showQuestion", [token], page, "404", "410") | _OPEN,
            "post": _operation("answerByLink", [token], page, "404", "409", "410", "422")
            | _OPEN
            | {"requestBody": form},
        }
    }


def _keys() -> dict[str, Any]:
    id = _parameter("id", "path", KEY_ID, "The public id, which stands in the secret, too.")
    made = _answer("201", "The key with its secret, which is told this once.", "KeyMade", then=links.OF_KEY)
    key = _answer("200", "The key, which opens nothing any more.", "KeyShown")
    listed = _answer("200", "Those that live, or ended not long ago.", "KeyList")
    return {
        "/keys": {
            "get": _operation("keys", [], listed, "401"),
            "post": _operation("createKey", [], made, "401", "409", "422", body="KeyWanted"),
        },
        "/keys/{id}/rotate": {"post": _operation("rotateKey", [id], made, "401", "404", "422", body="Rotation")},
        "/keys/{id}/revoke": {"post": _operation("revokeKey", [id], key, "401", "404")},
    }


def _notifiers() -> dict[str, Any]:
    name = _parameter("name", "path", {"type": "string"}, "As the configuration has it.")
    listed = _answer("200", "How each stands.", "NotifierList")
    tried = _answer("200", "What came of it.", "Trial")
    replayed = {"204": {"description": "It is at it."}}
    return {
        "/notifiers": {"get": _operation("notifiers", [], listed, "401")},
        "/notifiers/{name}/test": {"post": _operation("testNotifier", [name], tried, "401", "404")},
        "/notifiers/{name}/replay": {
            "post": _operation("replayNotifier", [name], replayed, "401", "404", "422", body="Replay")
        },
    }


def _platform(request: Schema) -> dict[str, Any]:
    """What crewAI's platform has, in its words."""
    resumed = _answer("200", "The answer counts.", "Resumed")
    accepted = _answer("200", "The answer counts.", "Accepted")
    token = _parameter("token", "query", {"type": "string"}, "As the webhook has it.") | {"required": True}
    content = {
        "application/json": {"schema": {"$ref": REF.format(name="PlatformError")}},
        PROBLEM_TYPE: {"schema": {"$ref": REF.format(name="Problem")}},
    }
    refused = {
        status: {"description": f"{_PROBLEMS[status][0]} As the platform says it.", "content": content}
        for status in ("400", "401", "403", "404", "409", "413")
    }
    resume = _operation("resume", [], resumed, body="Resumption")
    respond = _operation("respond", [request, token], accepted, body="Feedback") | _OPEN
    for operation in (resume, respond):
        operation["responses"] |= refused
    return {"/resume": {"post": resume}, RESPOND: {"post": respond}}


def _push() -> dict[str, Any]:
    id = _parameter("id", "path", ID, "As `POST /push` gave it.")
    shown = _answer("200", "What a device needs; null where this server sends no push messages.", "PushShown")
    told = _answer("201", "It is told from here on.", "SubscriptionShown", then=links.OF_DEVICE)
    told |= _answer("200", "It was told before.", "SubscriptionShown", then=links.OF_DEVICE)
    ended = {"204": {"description": "It is told no more."}}
    return {
        "/push": {
            "get": _operation("push", [], shown, "401"),
            "post": _operation("subscribe", [], told, "401", "404", "422", body="SubscriptionWanted"),
        },
        "/push/{id}": {"delete": _operation("unsubscribe", [id], ended, "401", "404")},
    }


def _session() -> dict[str, Any]:
    shown = _answer("200", "Who is at the inbox; a cookie stands for the key from here on.", "SessionShown")
    return {
        "get": _operation("session", [], _answer("200", "Who is at the inbox, if anyone.", "SessionShown")) | _OPEN,
        "post": _operation("beginSession", [], shown, "401", "422", body="Login") | _OPEN,
        "delete": _operation("endSession", [], {"204": {"description": "The cookie is gone."}}, "401"),
    }


def _operation(
    id: str, parameters: list[Schema], responses: Schema, *problems: str, body: str | None = None
) -> dict[str, Any]:
    refusals = {status: {"$ref": f"#/components/responses/{status}"} for status in sorted({*_ANY, *problems})}
    found: dict[str, Any] = {"operationId": id, "parameters": parameters, "responses": responses | refusals}
    if body is not None:
        found["requestBody"] = {
            "required": body not in _MAY_BE_EMPTY,
            "content": {"application/json": {"schema": {"$ref": REF.format(name=body)}}},
        }
    return found


def _parameter(name: str, place: str, schema: Schema, description: str = "") -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


def _answer(status: str, description: str, schema: str, *, then: Schema | None = None) -> Schema:
    content = {"application/json": {"schema": {"$ref": REF.format(name=schema)}}}
    return {status: {"description": description, "content": content} | ({"links": then} if then else {})}


def _document(description: str) -> Schema:
    return {"200": {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}}


_EVENT: Final = {
    "type": "object",
    "description": "Each event of the stream (WHATWG HTML, 9.2).",
    "properties": {
        "id": {"type": "string", "description": "The cursor after it."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "oneOf": [{"$ref": REF.format(name=name)} for name in ("InputRequired", "InputCompleted", "ResetShown")]
            },
        },
    },
    "required": ["id", "data"],
}
_STREAM: Final = {"200": {"description": "Events as they come.", "content": {"text/event-stream": {"schema": _EVENT}}}}
_OPEN: Final[dict[str, Any]] = {"security": []}
_KEPT: Final = {"description": "Kept, now or before.", "links": links.OF_KEPT}
_RELEASED: Final = {"description": "It is no longer yours."}
_LISTING: Final = [
    _parameter("status", "query", {"type": "array", "items": {"type": "string", "enum": list(STATUSES)}, "minItems": 1})
    | {"explode": False, "style": "form"},
    _parameter("execution_id", "query", ID),
    _parameter("after", "query", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "`next` of the page before."),
    _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": limits.PAGE}),
    _parameter("order", "query", {"type": "string", "enum": ["asked", "newest"]}, "As asked, or the newest first."),
    _parameter(
        "q", "query", {"type": "string"}, "Only those with this text in title, prompt, execution or agent's name."
    ),
]
_METRICS: Final = {
    "200": {
        "description": "What there is to watch, in the format of Prometheus, or of OpenMetrics where that is accepted.",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "application/openmetrics-text": {"schema": {"type": "string"}},
        },
    }
}
_AUDITED: Final = [
    _parameter("execution_id", "query", ID),
    _parameter(
        "after",
        "query",
        {"type": "string", "pattern": r"^[A-Za-z0-9._~:-]{1,128},[0-9]{1,16}$"},
        "EXECUTION,NUMBER of the last entry of the page before.",
    ),
    _parameter("limit", "query", {"type": "integer", "minimum": 1, "maximum": limits.PAGE}),
]
_ENTRIES: Final = {
    "200": {
        "description": "Entries as JSON lines; none: there are no further ones.",
        "content": {"application/jsonl": {"schema": {"type": "string"}}},
    }
}
