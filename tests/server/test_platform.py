"""Answers in the shapes of crewAI's platform: what each means to each kind, and how it is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.answer_link import RESPOND
from tests.server.keyholder import make_key
from tests.server.linked import token

_CANARY = "canary-7d1e"


def _ask(client: httpx.Client, **members: Any) -> dict[str, Any]:
    asked = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members)
    assert asked.status_code == 201, asked.text
    return dict(asked.json())


def _resume(client: httpx.Client, **members: Any) -> httpx.Response:
    given = {"execution_id": "run-1", "task_id": "write", "human_feedback": "yes", "is_approve": True}
    return client.post("/resume", json=given | members)


_TASK: dict[str, Any] = {"context_data": {"task": "write"}}
_REVIEW = {"kind": "review", "context": "A draft"} | _TASK
_CALL = {"kind": "approval", "action": {"name": "pay", "args": {"sum": 7}}} | _TASK


@pytest.mark.promise("PLATFORM-4")
@pytest.mark.parametrize(
    ("question", "is_approve", "status", "answer"),
    [
        (_REVIEW, True, "resumed", {"decision": "approve", "comment": "fine"}),
        (_REVIEW, False, "retrying", {"decision": "respond", "text": "fine"}),
        (_TASK, False, "resumed", {"decision": "respond", "text": "fine"}),
        (_TASK | {"options": [{"id": "fine"}]}, True, "resumed", {"decision": "respond", "option_ids": ["fine"]}),
    ],
    ids=["review yes", "review no", "question", "choice"],
)
def test_a_resumption_means_what_it_means_there(
    question: dict[str, Any], is_approve: bool, status: str, answer: dict[str, Any], client: httpx.Client
) -> None:
    asked = _ask(client, **question)
    told = _resume(client, is_approve=is_approve, human_feedback="fine")
    assert (told.status_code, told.json()["status"]) == (200, status), told.text
    settled = client.get(f"/requests/{asked['request_id']}").json()
    assert settled["answer"].items() >= answer.items()


def test_the_question_that_waits_is_found_among_those_that_do_not(client: httpx.Client) -> None:
    _ask(client, **_TASK)
    assert _resume(client).status_code == 200
    waits = _ask(client, **_REVIEW)
    later = _ask(client, **_TASK)
    client.post(f"/requests/{later['request_id']}/answer", json={"human_feedback": "yes"})
    _ask(client, context_data={"task": "another"})
    assert _resume(client).status_code == 200
    assert client.get(f"/requests/{waits['request_id']}").json()["status"] == "answered"


@pytest.mark.promise("PLATFORM-4")
@pytest.mark.parametrize(
    ("members", "status", "error"),
    [
        ({"execution_id": "run-2"}, 404, "not_found"),
        ({"task_id": _CANARY}, 404, "not_found"),
        ({"is_approve": _CANARY}, 400, "validation_error"),
        ({"execution_id": f"{_CANARY}/.."}, 400, "validation_error"),
        ({"human_feedback": None}, 400, "validation_error"),
    ],
    ids=str,
)
def test_what_cannot_be_resumed_is_refused_in_its_words(
    members: dict[str, Any], status: int, error: str, client: httpx.Client
) -> None:
    _ask(client, **_TASK)
    told = _resume(client, **members)
    assert (told.status_code, told.json()["error"]) == (status, error)
    assert set(told.json()) == {"error", "message"}
    assert _CANARY not in told.text


@pytest.mark.promise("PLATFORM-4")
def test_a_yes_to_a_task_runs_no_call_that_waits_in_it(client: httpx.Client) -> None:
    call = _ask(client, **_CALL)
    assert _resume(client).status_code == 404
    _ask(client, **_REVIEW)
    assert _resume(client).status_code == 200
    assert client.get(f"/requests/{call['request_id']}").json()["status"] == "pending"


def test_of_several_that_fit_none_is_answered(client: httpx.Client) -> None:
    ids = [_ask(client, **_REVIEW)["request_id"] for _ in range(2)]
    told = _resume(client)
    assert (told.status_code, told.json()["error"]) == (409, "ambiguous")
    assert [client.get(f"/requests/{id}").json()["status"] for id in ids] == ["pending"] * 2


def test_a_form_takes_no_feedback_and_says_so(client: httpx.Client) -> None:
    _ask(client, response_schema={"type": "object"}, **_TASK)
    told = _resume(client)
    assert (told.status_code, told.json()["error"]) == (400, "validation_error")


@pytest.mark.promise("PLATFORM-3")
def test_only_its_own_token_answers_a_request_and_only_once(client: httpx.Client, server: HumanInputServer) -> None:
    mine, other = _ask(client)["request_id"], _ask(client)["request_id"]
    path = RESPOND.format(request_id=mine)
    its_own = token(server, mine)
    strangers = partial(httpx.post, f"{server.url}{path}")
    for wrong in ("", _CANARY, token(server, other), token(server, mine, hours=-1)):
        told = strangers(params={"token": wrong}, json={"feedback": "yes"})
        assert (told.status_code, told.json()) == (401, {"error": "unauthorised", "message": "Invalid response token"})
    assert strangers(params={"token": its_own}, json={}).status_code == 400
    assert client.get(f"/requests/{mine}").json()["status"] == "pending"
    told = strangers(params={"token": its_own}, json={"feedback": "yes"})
    assert (told.status_code, told.json()["request"]["responded_via"]) == (200, "link")
    again = strangers(params={"token": its_own}, json={"feedback": "no"})
    assert (again.status_code, again.json()["error"]) == (409, "already_responded")
    settled = client.get(f"/requests/{mine}").json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("link:cms", "link")
    assert client.get(f"/requests/{other}").json()["status"] == "pending"


def test_a_key_for_asking_resumes_nothing(client: httpx.Client, server: HumanInputServer) -> None:
    _ask(client, **_TASK)
    key = make_key(server.url, "ask", "read")["secret"]
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}) as agent:
        refused = [_resume(agent), _resume(agent, task_id="unknown"), _resume(agent, execution_id="unknown")]
    assert [(told.status_code, told.json()["error"]) for told in refused] == [(403, "forbidden")] * 3
