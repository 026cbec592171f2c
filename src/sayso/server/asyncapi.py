"""The AsyncAPI 3.0 document of the streams: every message both ways, its schema made from the type that is written."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.model import InputCompleted, InputRequired
from sayso.server import websocket
from sayso.server.schemas import ID, REF, AnswerAccepted, MessageRefused, ResetShown, Schema, components
from sayso.wire import AnswerMessage, AuthMessage, encode

CLOSE_CODES: Final = {
    1000: "A farewell in order.",
    1002: "What came is no WebSocket (RFC 6455).",
    1007: "A text that is not UTF-8.",
    websocket.TOO_LARGE: f"A message of more than {limits.WEBSOCKET_MESSAGE} bytes.",
    1011: "No pong came; reconnect with last_event_id.",
    websocket.RESTART: "The server stops, or failed; reconnect with last_event_id.",
    websocket.AGAIN_LATER: "The key in the first message has too many streams open; try again.",
    websocket.UNAUTHORISED: "The key has ended, or none that is valid came in the first message.",
    websocket.FORBIDDEN: "The key in the first message may not follow this.",
    websocket.TOO_SLOW: "The client took nothing, or its message did not come to an end; reconnect with last_event_id.",
}
"""Why the server closes a WebSocket. Protocols before ours add those below 4000."""

_EVENTS: Final = ("required", "completed", "reset")
_MESSAGES: Final[dict[str, tuple[type, str]]] = {
    "required": (InputRequired, "Something was asked."),
    "completed": (InputCompleted, "A request was settled: answered, expired or cancelled."),
    "reset": (ResetShown, "The cursor meant nothing here; go on from `event_id`."),
    "accepted": (AnswerAccepted, "Your answer counts."),
    "refused": (MessageRefused, "Your message was not taken, and why; the socket stays open."),
    "auth": (AuthMessage, "Who you are, as the first message, where the socket was opened with `?auth=message`."),
    "answer": (AnswerMessage, "An answer to a request."),
}
_CURSOR: Final = {"type": "string", "description": "Events after this one."}
_QUERY: Final[Schema] = {
    "type": "object",
    "properties": {
        "last_event_id": _CURSOR,
        "ticket": {"type": "string", "description": "Of `POST /tickets`."},
        "token": {"type": "string", "description": "The key itself, where nothing else can be done."},
    },
}
_AUTH: Final = {"auth": {"const": "message", "description": "The first message will say who you are."}}


def routes() -> list[BaseRoute]:
    async def asyncapi(request: HTTPRequest) -> Response:
        body = encode(document() | {"servers": _servers(request.scope.get("root_path") or "/")})
        return Response(body, media_type="application/json")

    return [Route("/asyncapi.json", asyncapi)]


@cache
def document() -> dict[str, Any]:
    """The document without `servers`, which depend on where the app is mounted."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sayso, streams",
            "version": version("sayso"),
            "license": {"name": "MIT"},
            "description": "What is asked of people and what becomes of it, as it happens; and their answers. "
            "Everything else is HTTP: /openapi.json.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": _socket("/ws/human-input/{execution_id}", "One execution, on a WebSocket.") | _PARAMETERS,
            "socketOfAll": _socket("/ws/human-input", "All executions that the key may see, on a WebSocket."),
            "stream": _stream("/events/human-input/{execution_id}", "One execution, as Server-Sent Events.")
            | _PARAMETERS,
            "streamOfAll": _stream("/events/human-input", "All executions that the key may see, likewise."),
        },
        "operations": {
            **_operations_of_socket("socket"),
            **_operations_of_socket("socketOfAll"),
            "streamTells": _tells("stream") | _GET,
            "streamOfAllTells": _tells("streamOfAll") | _GET,
        },
        "components": {
            "schemas": components(kind for kind, _ in _MESSAGES.values()),
            "messages": {name: _message(name, kind, summary) for name, (kind, summary) in _MESSAGES.items()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket"},
                "token": {"type": "httpApiKey", "in": "query", "name": "token"},
                "session": {"type": "httpApiKey", "in": "cookie", "name": "sayso_*"},
            },
        },
    }


_PARAMETERS: Final[dict[str, Any]] = {"parameters": {"execution_id": {"description": f"Matches {ID['pattern']}"}}}
_GET: Final[dict[str, Any]] = {"bindings": {"http": {"method": "GET", "query": _QUERY, "bindingVersion": "0.3.0"}}}


def _servers(path: str) -> dict[str, Any]:
    """Both are one: the host is what the client came to."""
    return {
        name: {
            "host": "{host}",
            "pathname": path,
            "protocol": protocol,
            "description": f"Over TLS: {protocol}s.",
            "variables": {"host": {"default": "localhost:8000", "description": "Where sayso listens."}},
            "security": [_ref("securitySchemes", scheme) for scheme in ("key", "ticket", "token", "session")],
        }
        for name, protocol in (("socket", "ws"), ("http", "http"))
    }


def _socket(address: str, summary: str) -> dict[str, Any]:
    query = {"type": "object", "properties": _QUERY["properties"] | _AUTH}
    return {
        "address": address,
        "summary": summary,
        "servers": [{"$ref": "#/servers/socket"}],
        "messages": {name: _ref("messages", name) for name in _MESSAGES},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        "x-close-codes": {str(code): reason for code, reason in sorted(CLOSE_CODES.items())},
    }


def _stream(address: str, summary: str) -> dict[str, Any]:
    return {
        "address": address,
        "summary": summary,
        "description": "Each message is the `data` of an event without a name; its `id` is the cursor. Comments are "
        f"heartbeats, at least every {limits.HEARTBEAT:.0f} s.",
        "servers": [{"$ref": "#/servers/http"}],
        "messages": {name: _ref("messages", name) for name in _EVENTS},
    }


def _tells(channel: str) -> dict[str, Any]:
    return {
        "action": "send",
        "description": "Every event after the cursor, in one order, without a gap or a repeat; then those to come.",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [_of(channel, name) for name in _EVENTS],
    }


def _operations_of_socket(channel: str) -> dict[str, Any]:
    address = {"$ref": f"#/channels/{channel}"}
    reply = {"channel": address, "messages": [_of(channel, name) for name in ("accepted", "refused")]}
    return {
        f"{channel}Tells": _tells(channel),
        f"{channel}Hears": {
            "action": "receive",
            "description": "A person's answer; each is told what became of it.",
            "channel": address,
            "messages": [_of(channel, "answer")],
            "reply": reply,
        },
        f"{channel}IsIntroduced": {
            "action": "receive",
            "description": f"With `?auth=message`, within {limits.AUTH:.0f} s; nothing is sent before it came.",
            "channel": address,
            "messages": [_of(channel, "auth")],
        },
    }


def _message(name: str, kind: type, summary: str) -> dict[str, Any]:
    described = {
        "name": name,
        "summary": summary,
        "contentType": "application/json",
        "payload": {"$ref": REF.format(name=kind.__name__)},
    }
    if name in {"answer", "accepted", "refused"}:
        described["correlationId"] = {"location": "$message.payload#/answer_id"}
    return described


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _of(channel: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{name}"}
