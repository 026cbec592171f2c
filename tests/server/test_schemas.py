"""The schemas of the documents say what the server takes: at each bound, what fits is taken, and the rest refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from sayso import limits
from sayso.answer_link import ANSWER, RESPOND
from sayso.server import asyncapi, openapi, schemas
from tests.builders import new_id

Ask = Callable[..., dict[str, Any]]
Document = dict[str, Any]

_LEASE = {"holder": "one", "seconds": 1}
_KEY = {"scopes": ["ask"]}
_TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("ask", {"prompt": "é" * (limits.PROMPT // 2)}),
    ("ask", {"execution_id": "x" * 128, "request_id": None, "previous": "A-Za-z0-9._~:-"}),
    ("ask", {"title": "t" * limits.TITLE_CHARACTERS, "round": limits.ROUND, "timeout": limits.TIMEOUT}),
    ("ask", {"options": [{"id": str(one)} for one in range(limits.OPTIONS)], "allow": ["respond"]}),
    ("ask", {"assignees": ["a" * limits.LABEL] * limits.ASSIGNEES}),
    ("ask", {"crew_id": "353cd4ec-cdae-505c-a917-0232e0d6ea21", "deadline": "2100-01-31T12:00:00+01:00"}),
    ("answer", {"human_feedback": "f" * limits.TEXT, "comment": "c" * limits.COMMENT}),
    ("cancel", {"reason": "r" * limits.COMMENT}),
    ("lease", _LEASE | {"seconds": limits.LEASE}),
    ("makeTicket", {"execution_id": "run-1"}),
    ("makeTicket", {"all": True, "execution_id": None}),
    ("createKey", _KEY | {"executions": ["*-~:*"] * limits.PATTERNS, "expires_at": None}),
    ("rotateKey", {"overlap": limits.KEY_OVERLAP_MOST}),
]
_REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("ask", {"prompt": ""}),
    ("ask", {"prompt": " \n"}),
    ("ask", {"prompt": "p" * (limits.PROMPT + 1)}),
    ("ask", {"execution_id": ""}),
    ("ask", {"execution_id": "x" * 129}),
    ("ask", {"execution_id": ".."}),
    ("ask", {"previous": "a b"}),
    ("ask", {"request_id": "."}),
    ("ask", {"title": "t" * (limits.TITLE_CHARACTERS + 1)}),
    ("ask", {"round": 0}),
    ("ask", {"timeout": 0}),
    ("ask", {"timeout": limits.TIMEOUT + 1}),
    ("ask", {"options": [{"id": str(one)} for one in range(limits.OPTIONS + 1)]}),
    ("ask", {"options": [{"id": " "}]}),
    ("ask", {"allow": []}),
    ("ask", {"assignees": ["a"] * (limits.ASSIGNEES + 1)}),
    ("ask", {"crew_id": "crew"}),
    ("ask", {"deadline": "tomorrow"}),
    ("ask", {"action": {"name": "send", "digest": "0"}}),
    ("ask", {"source": {"name": "s" * (limits.LABEL + 1)}}),
    ("ask", {"reason_flags": {"f" * (limits.LABEL + 1): True}}),
    ("answer", {"human_feedback": "f" * (limits.TEXT + 1)}),
    ("answer", {"option_ids": []}),
    ("answer", {"answer_id": "a b", "human_feedback": "yes"}),
    ("answer", {"action_digest": "0", "human_feedback": "yes"}),
    ("cancel", {"reason": "r" * (limits.COMMENT + 1)}),
    ("lease", _LEASE | {"holder": ""}),
    ("lease", _LEASE | {"seconds": 0}),
    ("lease", _LEASE | {"seconds": limits.LEASE + 1}),
    ("makeTicket", {}),
    ("makeTicket", {"execution_id": "a b"}),
    ("makeTicket", {"execution_id": "run-1", "all": True}),
    ("createKey", _KEY | {"name": "default"}),
    ("createKey", _KEY | {"scopes": []}),
    ("createKey", _KEY | {"executions": []}),
    ("createKey", _KEY | {"executions": ["a b"]}),
    ("createKey", _KEY | {"expires_at": "soon"}),
    ("rotateKey", {"overlap": -1}),
]


@pytest.fixture(scope="module")
def document() -> Document:
    return openapi.document()


def _operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _send(document: Document, caller: httpx.Client, id: str, name: str, body: dict[str, Any]) -> tuple[bool, int]:
    """Whether the body fits the document, and what the server says to it; `id` is of a request, or a key."""
    path, method, operation = next(one for one in _operations(document) if one[2]["operationId"] == name)
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator(
        schema | {"components": document["components"]}, validate_formats=True
    )
    response = caller.request(method, re.sub(r"{\w+}", id, path), json=body)
    return validator.is_valid(body), response.status_code


def _whole(name: str, body: dict[str, Any], caller: httpx.Client, ask_door: Ask) -> tuple[str, dict[str, Any]]:
    if name == "ask":
        return "", {"execution_id": new_id(), "prompt": "Ship it?"} | body
    if name == "createKey":
        return "", {"name": new_id()} | body
    if name == "rotateKey":
        return caller.post("/keys", json=_KEY | {"name": new_id()}).json()["key"]["id"], body
    return ask_door()["request_id"] if name in {"answer", "cancel"} else new_id(), body


@pytest.mark.promise("SPEC-1")
@pytest.mark.parametrize(("name", "body"), _TAKEN)
def test_what_fits_the_schema_is_taken(
    document: Document, caller: httpx.Client, ask_door: Ask, name: str, body: dict[str, Any]
) -> None:
    id, body = _whole(name, body, caller, ask_door)
    fits, status = _send(document, caller, id, name, body)
    assert fits
    assert status in {200, 201, 204}


@pytest.mark.promise("SPEC-1")
@pytest.mark.parametrize(("name", "body"), _REFUSED)
def test_what_does_not_fit_the_schema_is_refused(
    document: Document, caller: httpx.Client, ask_door: Ask, name: str, body: dict[str, Any]
) -> None:
    id, body = _whole(name, body, caller, ask_door)
    assert _send(document, caller, id, name, body) == (False, 422)


def test_every_bound_is_of_a_member_that_is_there(document: Document) -> None:
    made = document["components"]["schemas"] | asyncapi.document()["components"]["schemas"]
    assert set(schemas._BOUNDS) | set(schemas._WHOLE) | set(schemas._ALWAYS_WHOLE) <= set(made)
    members = {member for schema in made.values() for member in schema.get("properties", {})}
    assert set(schemas._EVERYWHERE) <= members | {"holder"}


def test_what_is_written_has_every_member_that_the_schema_names(
    document: Document, caller: httpx.Client, ask_door: Ask
) -> None:
    asked = ask_door()
    settled = caller.post(f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"}).json()
    required, completed = caller.get(f"/poll/human-input/{asked['execution_id']}").json()["events"]
    shapes = document["components"]["schemas"]
    for name, written in (
        ("Request", asked),
        ("Request", settled),
        ("Answer", settled["answer"]),
        ("InputRequired", required),
        ("InputCompleted", completed),
    ):
        assert set(written) == set(shapes[name]["properties"]) == set(shapes[name]["required"])


def test_nothing_may_be_kept_as_well_as_something(caller: httpx.Client) -> None:
    id = new_id()
    assert caller.put(f"/requests/{id}/resume?execution_id=run-1").status_code == 204
    assert caller.get(f"/requests/{id}/resume").content == b""


def test_whoever_has_a_key_may_let_go_of_a_session(caller: httpx.Client) -> None:
    assert caller.delete("/session").status_code == 204


def test_the_cookie_of_the_document_can_be_sent(document: Document) -> None:
    name = document["components"]["securitySchemes"]["session"]["name"]
    assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)  # RFC 6265, 4.1.1: a token


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, {"headers": [("Origin", "https://a.example"), ("Origin", "https://b.example")]}),
        (403, {"headers": {"Host": "evil.example"}}),
        (413, {"params": {"q": "q" * limits.URL}}),
    ],
)
def test_what_any_call_may_get_is_told_of_every_operation(
    document: Document, caller: httpx.Client, status: int, sent: dict[str, Any]
) -> None:
    for path, method, operation in _operations(document):
        if status == 403 and path in (ANSWER, RESPOND):
            continue  # a link is taken from wherever it was opened
        response = caller.request(method, re.sub(r"{\w+}", "unknown", path), **sent)
        assert response.status_code == status
        assert str(status) in operation["responses"]


@pytest.mark.parametrize("status", ["408", "429", "503"])
def test_where_waiting_helps_the_document_names_the_header_that_says_so(document: Document, status: str) -> None:
    assert "Retry-After" in document["components"]["responses"][status]["headers"]
    for _, _, operation in _operations(document):
        assert operation["responses"][status] == {"$ref": f"#/components/responses/{status}"}


def test_every_link_leads_to_an_operation_and_names_its_parameters(document: Document) -> None:
    operations = {operation["operationId"]: operation for _, _, operation in _operations(document)}
    links = [
        link
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 25
    for link in links:
        there = {parameter["name"] for parameter in operations[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= there


def test_the_links_of_a_question_lead_on(document: Document, caller: httpx.Client, ask_door: Ask) -> None:
    asked = ask_door()
    links = document["paths"]["/requests"]["post"]["responses"]["201"]["links"]
    paths = {operation["operationId"]: path for path, _, operation in _operations(document)}
    for name in ("look", "poll", "keep"):
        parameters = {
            parameter: asked[value.rpartition("/")[2]] for parameter, value in links[name]["parameters"].items()
        }
        path = paths[name].format_map(parameters)
        response = caller.request("PUT" if name == "keep" else "GET", path, params=parameters)
        assert response.status_code in {200, 204}
