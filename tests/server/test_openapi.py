"""The OpenAPI document: valid, complete, and true of what the server really sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route, WebSocketRoute

from sayso import HumanInputServer
from sayso.answer_link import RESPOND
from sayso.mounted import Mounted
from sayso.server import app, openapi
from sayso.wire import encode
from tests.builders import new_id
from tests.conftest import KEY
from tests.notify.push_service import Phone
from tests.notify.receiver import SECRET, configuration
from tests.server.linked import token

Ask = Callable[..., dict[str, Any]]
Document = dict[str, Any]


@pytest.fixture
def document(client: httpx.Client) -> Document:
    document: Document = client.get("/openapi.json").json()
    return document


_PAGES = {"/", "/inbox/{name}"}
"""For people; what they are made of is no part of the protocol."""


def _resolved(document: Document, described: dict[str, Any]) -> dict[str, Any]:
    """What is described, itself or in the document's components."""
    shared: dict[str, Any] = document["components"]["responses"]
    return shared[described["$ref"].rpartition("/")[2]] if "$ref" in described else described


def _routes() -> Iterator[Any]:
    def never() -> Any:
        raise AssertionError

    built: Any = app.build(Mounted(never)).asgi
    yield from built.routes


def test_the_document_is_served_as_json(client: httpx.Client) -> None:
    response = client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == json.loads(encode(openapi.document() | {"servers": [{"url": "/"}]}))


def test_the_document_is_valid(document: Document) -> None:
    OpenAPIV31SpecValidator(document).validate()
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


def test_the_document_and_the_application_have_the_same_addresses_and_methods(document: Document) -> None:
    there = {
        (route.path, method)
        for route in _routes()
        if isinstance(route, Route) and route.path not in _PAGES
        for method in route.methods or ()
        if method != "HEAD"
    }
    told = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert told == there


def test_the_websockets_which_openapi_has_no_form_for_are_in_the_description(document: Document) -> None:
    paths = [route.path for route in _routes() if isinstance(route, WebSocketRoute)]
    assert sorted(paths) == ["/ws/human-input", "/ws/human-input/{execution_id}"]
    assert paths[-1] in document["info"]["description"]


def test_the_parameters_of_every_path_are_named(document: Document) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


@pytest.mark.promise("DOOR-1")
def test_every_operation_says_how_it_is_authenticated(document: Document) -> None:
    assert document["security"] == [{"key": []}, {"session": []}]
    for path, item in document["paths"].items():
        for operation in item.values():
            schemes = [scheme for one in operation.get("security", document["security"]) for scheme in one]
            expected = ["key", "token", "ticket", "session"] if path.startswith("/events") else ["key", "session"]
            is_open = path in {"/health", "/ready", "/openapi.json", "/asyncapi.json", "/answer"} or operation[
                "operationId"
            ] in {
                "session",
                "beginSession",
                "respond",
            }
            assert schemes == ([] if is_open else expected)


_ANYTHING: list[dict[str, Any]] = [
    {},
    {"kind": "review", "context": "a draft", "deadline": "2100-01-31T12:00:00Z", "on_timeout": "cancel"},
    {"action": {"name": "send", "args": {"to": ["a"]}, "args_schema": {"type": "object"}}, "priority": "urgent"},
    {"options": [{"id": "a", "label": "A", "style": "danger"}], "default": "a", "assignees": ["ops"]},
    {"response_schema": {"type": "object"}, "default": {"values": {}}, "metadata": {"a": [1, None, 1.5]}},
]


@pytest.fixture
def server(serve: Callable[..., HumanInputServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HumanInputServer:
    """With a notifier whose target is not there."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return serve(notify=configuration(tmp_path / "notify.toml", "http://127.0.0.1:9/"))


def test_what_the_server_sends_has_the_schema_of_the_document(
    document: Document, client: httpx.Client, ask: Ask, server: HumanInputServer
) -> None:
    seen: set[tuple[str, int]] = set()

    def send(operation: str, path: str, **sent: Any) -> httpx.Response:
        (method, described) = next(
            (method, described)
            for item in document["paths"].values()
            for method, described in item.items()
            if described["operationId"] == operation
        )
        response = client.request(method, path, **sent)
        promised = _resolved(document, described["responses"][str(response.status_code)]).get("content", {})
        media = response.headers.get("content-type", "").partition(";")[0]
        assert media in promised or not (media or promised)
        if media.endswith("json"):
            schema = promised[media]["schema"] | {"components": document["components"]}
            jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(response.json())
        body = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if body and response.status_code < 300 and "json" in sent:
            sendable = jsonschema_rs.Draft202012Validator(body | {"components": document["components"]})
            sendable.validate(sent["json"])
        seen.add((operation, response.status_code))
        return response

    for members in _ANYTHING:
        question = {"execution_id": "run-1", "request_id": new_id(), "prompt": "Ship it?"} | members
        for _ in range(2):
            send("ask", "/requests", json=question)
    send("ask", "/requests", json=question | {"prompt": "Something else?"})
    send("ask", "/requests", json={})
    send("ask", "/requests", content=b"x" * 300_000)
    id, other = ask()["request_id"], ask()["request_id"]
    for _ in range(2):
        send("answer", f"/requests/{id}/answer", json={"human_feedback": "yes"})
        send("cancel", f"/requests/{other}/cancel", json={"reason": "not needed"})
    for operation in ("answer", "cancel"):
        send(operation, f"/requests/unknown/{operation}", json={"comment": ""} if operation == "answer" else {})
        send(operation, f"/requests/{id}/{operation}", content=b"[")
        send(operation, f"/requests/{id}/{operation}", content=b"x" * 300_000)
    for body in ({"holder": "one", "seconds": 5}, {"holder": "two", "seconds": 5}, {"holder": "two", "seconds": 0}):
        send("lease", "/leases/work", json=body)
    send("lease", "/leases/work", content=b"x" * 300_000)
    send("release", "/leases/work?holder=one")
    send("release", "/leases/work")
    for data in (b"draft", b"x" * 5_000_000):
        send("keep", f"/requests/{id}/resume?execution_id=run-1", content=data)
    send("keep", f"/requests/{id}/resume", content=b"draft")
    send("kept", f"/requests/{id}/resume")
    send("kept", "/requests/unknown/resume")
    send("look", f"/requests/{id}")
    send("look", "/requests/unknown")
    send("look", "/requests/unknown?wait=x")
    send("list", "/requests")
    send("list", "/requests?limit=2")
    send("list", "/requests?limit=x")
    send("poll", "/poll/human-input/run-1")
    send("poll", "/poll/human-input/run-1?last_event_id=unknown")
    send("pollAll", "/poll/human-input")
    send("pollAll", "/poll/human-input?wait=x")
    task = ask()
    for given in ({"is_approve": True}, {"is_approve": True}, {"is_approve": 1}, {"is_approve": True, "task_id": "x"}):
        resumption = {"execution_id": "run-1", "task_id": task["task_id"], "human_feedback": "yes"}
        send("resume", "/resume", json=resumption | given)
    asked = ask()["request_id"]
    callback = f"{RESPOND.format(request_id=asked)}?token={token(server, asked)}"
    for feedback in ("yes", "yes", 1):
        send("respond", callback, json={"feedback": feedback, "source": "an app"})
    send("respond", callback[:-1], json={"feedback": "yes"})
    send("health", "/health")
    send("ready", "/ready")
    send("openapi", "/openapi.json")
    send("asyncapi", "/asyncapi.json")
    send("metrics", "/metrics")
    send("metrics", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    send("audit", "/audit")
    send("audit", "/audit?after=run-1,1&limit=1")
    send("audit", "/audit?limit=x")
    send("list", "/requests?order=newest&q=ship")
    send("list", "/requests?order=random")
    id = send("createKey", "/keys", json={"name": "agent", "scopes": ["ask"]}).json()["key"]["id"]
    send("createKey", "/keys", json={"name": "agent", "scopes": ["read"], "executions": ["run-*"]})
    send("createKey", "/keys", json={"name": "agent", "scopes": ["everything"]})
    send("createKey", "/keys", content=b"x" * 300_000)
    send("rotateKey", f"/keys/{id}/rotate", json={"overlap": 60, "expires_at": None})
    send("rotateKey", f"/keys/{id}/rotate")
    send("rotateKey", "/keys/unknown/rotate")
    send("revokeKey", f"/keys/{id}/revoke")
    send("revokeKey", "/keys/unknown/revoke")
    send("keys", "/keys")
    waits = ask()["request_id"]
    link = send("makeLink", f"/requests/{waits}/links", json={"owner": "anna@example.com", "expires_in": 60.5}).json()
    over = send("makeLink", f"/requests/{waits}/links", json={"owner": "anna", "expires_in": 0.000001}).json()
    send("makeLink", f"/requests/{waits}/links", json={"owner": "a b"})
    send("makeLink", "/requests/unknown/links", json={"owner": "anna"})
    for operation in ("showQuestion", "answerByLink"):
        send(operation, "/answer")
        send(operation, over["url"])
    send("showQuestion", link["url"])
    for form in ({}, {"decision": "respond", "words": "yes"}, {"decision": "respond", "words": "no"}):
        send("answerByLink", link["url"], data=form)
    send("makeLink", f"/requests/{waits}/links", json={"owner": "anna"})
    send("testNotifier", "/notifiers/hook-0/test")
    send("testNotifier", "/notifiers/none/test")
    send("notifiers", "/notifiers")
    send("replayNotifier", "/notifiers/hook-0/replay", json={"after": None})
    send("replayNotifier", "/notifiers/hook-0/replay")
    send("replayNotifier", "/notifiers/none/replay")
    send("replayNotifier", "/notifiers/hook-0/replay", json={"after": "a b"})
    phone = Phone("https://push.example", "ada").wanted
    send("push", "/push")
    device = send("subscribe", "/push", json=phone).json()["id"]
    send("subscribe", "/push", json=phone)
    send("subscribe", "/push", json=phone | {"endpoint": "http://push.example"})
    send("subscribe", "/push", json=phone | {"keys": {}})
    send("unsubscribe", f"/push/{device}")
    send("unsubscribe", f"/push/{device}")
    for wanted in ({"execution_id": "run-1"}, {"all": True}, {}, {"execution_id": "a b"}):
        send("makeTicket", "/tickets", json=wanted)
    send("makeTicket", "/tickets", content=b"x" * 300_000)
    page = {"Origin": str(client.base_url).rstrip("/"), "Authorization": ""}
    send("beginSession", "/session", json={"key": "wrong"}, headers=page)
    send("beginSession", "/session", json={"keys": 1}, headers=page)
    session = send("beginSession", "/session", json={"key": KEY}, headers=page).json()
    send("session", "/session", headers=page)
    send("endSession", "/session", headers=page)
    send("endSession", "/session", headers=page | {"X-Sayso-CSRF": session["csrf"]})
    client.headers["Authorization"] = "Bearer wrong"
    for operation, path in (("list", "/requests"), ("stream", "/events/human-input/run-1"), ("ask", "/requests")):
        send(operation, path)
    client.headers["Origin"] = "https://evil.example"
    send("list", "/requests")

    assert {operation for operation, _ in seen} == {
        operation["operationId"] for item in document["paths"].values() for operation in item.values()
    } - {"streamAll"}
    assert {status for _, status in seen} == {200, 201, 204, 400, 401, 403, 404, 409, 410, 413, 422}


def test_the_schema_check_sees_a_response_that_is_none(document: Document, ask: Ask) -> None:
    request = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/Request", "components": document["components"]}
    )
    stored = ask()
    request.validate(stored)
    for wrong in ({"status": "open"}, {"request_id": None}, {"options": {}}):
        with pytest.raises(jsonschema_rs.ValidationError):
            request.validate(stored | wrong)


def test_the_documents_name_where_they_are_mounted(serve: Callable[..., HumanInputServer]) -> None:
    from starlette.testclient import TestClient

    from sayso import create_app

    server = HumanInputServer(port=0, quiet=True, adapters=False)
    mounted = TestClient(create_app(server), root_path="/a/b")
    assert mounted.get("/openapi.json").json()["servers"] == [{"url": "/a/b"}]
    streams = mounted.get("/asyncapi.json").json()["servers"]
    assert {name: (one["protocol"], one["pathname"]) for name, one in streams.items()} == {
        "socket": ("ws", "/a/b"),
        "http": ("http", "/a/b"),
    }
    server.stop()
