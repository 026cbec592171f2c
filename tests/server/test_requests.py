"""Asking, looking, answering and cancelling over plain HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sayso import HumanInputServer
from tests.builders import new_id
from tests.conftest import KEY

Ask = Callable[..., dict[str, Any]]
_MOST = 256 * 1_024
_CANARY = "canary-7d1e"
_PROBLEMS = {
    401: "unauthorised",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    422: "invalid",
}


def _problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem object of a refusal, after a look at what all of them must have."""
    assert response.status_code == status, response.text[:300]
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"urn:sayso:problem:{code or _PROBLEMS[status]}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert _CANARY not in response.text
    return problem


def _pointers(response: httpx.Response) -> list[str]:
    return [error["pointer"] for error in _problem(response, 422)["errors"]]


@pytest.mark.promise("ASK-1")
def test_the_least_question_is_an_execution_and_a_prompt(client: httpx.Client) -> None:
    response = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
    assert response.status_code == 201
    stored = response.json()
    assert (stored["status"], stored["kind"], stored["allow"]) == ("pending", "question", ["respond"])
    assert (stored["asked_by"], stored["durable"]) == ("key:default", True)
    assert response.headers["location"] == f"/requests/{stored['request_id']}"
    assert client.get(response.headers["location"]).json() == stored
    assert client.get("/requests").json()["requests"] == [stored]


@pytest.mark.promise("ASK-1", "ANSWER-1")
def test_what_was_acknowledged_is_there_after_a_restart(serve: Callable[..., HumanInputServer], tmp_path: Any) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    server = serve(store=store)
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        open_one = client.post("/requests", json={"execution_id": "run-1", "prompt": "Still open?"}).json()
        settled = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"}).json()
        settled = client.post(f"/requests/{settled['request_id']}/answer", json={"human_feedback": "yes"}).json()
        told = client.get("/poll/human-input/run-1").json()
    server.stop()
    with httpx.Client(base_url=serve(store=store).url, headers=headers) as client:
        for request in (open_one, settled):
            assert client.get(f"/requests/{request['request_id']}").json() == request
        assert client.get("/poll/human-input/run-1").json() == told


@pytest.mark.promise("ASK-2")
def test_asking_again_with_the_same_id_stores_nothing_and_gives_what_is_stored(client: httpx.Client) -> None:
    question = {"request_id": "order-42", "execution_id": "run-1", "prompt": "Ship it?", "metadata": {"a": 1, "b": 2}}
    first = client.post("/requests", json=question)
    again = client.post("/requests", json=question | {"metadata": {"b": 2, "a": 1}, "title": "Another title"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert len(client.get("/poll/human-input/run-1").json()["events"]) == 1
    client.post("/requests/order-42/answer", json={"human_feedback": "yes"})
    settled = client.post("/requests", json=question)
    assert (settled.status_code, settled.json()["status"]) == (200, "answered")


@pytest.mark.promise("ASK-2")
async def test_the_same_question_from_many_at_once_is_stored_once(api: httpx.AsyncClient) -> None:
    question = {"request_id": "order-42", "execution_id": "run-1", "prompt": "Ship it?"}
    replies = await asyncio.gather(*(api.post("/requests", json=question) for _ in range(20)))
    assert sorted(reply.status_code for reply in replies) == [200] * 19 + [201]
    assert len({reply.text for reply in replies}) == 1


@pytest.mark.promise("ASK-3")
@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "Something else?"},
        {"execution_id": "run-2"},
        {"context": "a draft"},
        {"options": [{"id": "a"}]},
        {"kind": "review"},
        {"action": {"name": "send"}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_id_of_another_question_gets_409_and_shows_nothing_of_it(
    caller: httpx.Client, ask_door: Ask, other: dict[str, Any]
) -> None:
    stored = ask_door(request_id=new_id(), prompt=_CANARY, title=_CANARY, metadata={"secret": _CANARY})
    question = {name: stored[name] for name in ("request_id", "execution_id", "prompt")} | other
    problem = _problem(caller.post("/requests", json=question), 409, "request-mismatch")
    assert set(problem) == {"type", "title", "status", "detail"}
    assert caller.get(f"/requests/{stored['request_id']}").json() == stored


def test_a_list_holds_what_was_asked_for_and_goes_on_page_by_page(client: httpx.Client, ask: Ask) -> None:
    asked = [ask(execution_id=f"run-{number % 2}") for number in range(6)]
    client.post(f"/requests/{asked[0]['request_id']}/answer", json={"human_feedback": "yes"})
    client.post(f"/requests/{asked[1]['request_id']}/cancel")

    def ids(**query: Any) -> list[int]:
        page = client.get("/requests", params=query).json()
        return [[one["request_id"] for one in asked].index(one["request_id"]) for one in page["requests"]]

    assert ids() == [0, 1, 2, 3, 4, 5]
    assert ids(status="pending") == [2, 3, 4, 5]
    assert ids(status="answered,cancelled") == ids(status=["answered", "cancelled"]) == [0, 1]
    assert ids(status="expired") == []
    assert ids(execution_id="run-1", status="pending") == [3, 5]
    assert ids(execution_id="unknown") == []
    pages, after = [], None
    while True:
        page = client.get("/requests", params={"limit": 4} | ({"after": after} if after else {})).json()
        pages.append(len(page["requests"]))
        after = page["next"]
        if after is None:
            break
    assert pages == [4, 2]


def test_the_cursor_of_a_list_is_the_last_event_of_what_it_lists(client: httpx.Client, ask: Ask) -> None:
    origin = client.get("/requests").json()
    assert (origin["requests"], origin["next"]) == ([], None)
    one, two = ask(execution_id="run-1"), ask(execution_id="run-2")
    assert client.get("/requests?execution_id=run-1").json()["cursor"] == one["asked_event_id"]
    assert client.get("/requests").json()["cursor"] == two["asked_event_id"]
    assert client.get("/requests?execution_id=run-3").json()["cursor"] == origin["cursor"]


@pytest.mark.promise("ANSWER-1", "ANSWER-5")
def test_an_answer_settles_the_request_and_is_what_everybody_then_sees(client: httpx.Client, ask: Ask) -> None:
    id = ask()["request_id"]
    response = client.post(f"/requests/{id}/answer", json={"human_feedback": "yes"})
    assert response.status_code == 200
    settled = response.json()
    assert (settled["status"], settled["answer"]["decision"], settled["answer"]["text"]) == (
        "answered",
        "respond",
        "yes",
    )
    assert client.get(f"/requests/{id}").json() == settled
    assert client.get("/poll/human-input/run-1").json()["events"][-1]["human_feedback"] == "yes"


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize("form", [None, "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_a_body_is_json_whatever_its_content_type_says(caller: httpx.Client, ask_door: Ask, form: str | None) -> None:
    headers = {"Content-Type": form} if form else {}
    body = b'{"human_feedback": "yes & no = +1"}'
    response = caller.post(f"/requests/{ask_door()['request_id']}/answer", content=body, headers=headers)
    assert (response.status_code, response.json()["answer"]["text"]) == (200, "yes & no = +1")


@pytest.mark.promise("ANSWER-2")
async def test_of_fifty_answers_at_the_same_moment_one_wins_and_the_others_learn_which(api: httpx.AsyncClient) -> None:
    asked = (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).json()
    path = f"/requests/{asked['request_id']}/answer"
    replies = await asyncio.gather(*(api.post(path, json={"human_feedback": f"I say {n}"}) for n in range(50)))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 49
    (won,) = (reply.json() for reply in replies if reply.status_code == 200)
    for number, reply in enumerate(replies):
        if reply.status_code == 409:
            problem = _problem(reply, 409, "already-settled")
            assert problem["request"] == won
            assert problem["request"]["settled_by"] == "key:default"
            assert problem["request"]["answer"]["text"] != f"I say {number}"
    events = (await api.get("/poll/human-input/run-1")).json()["events"]
    assert [event["type"] for event in events] == ["human_input_required", "human_input_completed"]
    assert events[1]["human_feedback"] == won["answer"]["text"]


@pytest.mark.promise("ANSWER-3")
async def test_the_same_answer_id_again_is_the_same_answer(api: httpx.AsyncClient) -> None:
    asked = (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).json()
    path, answer = f"/requests/{asked['request_id']}/answer", {"answer_id": "mine-1", "human_feedback": "yes"}
    replies = await asyncio.gather(*(api.post(path, json=answer) for _ in range(10)))
    replies.append(await api.post(path, json=answer))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    _problem(await api.post(path, json=answer | {"answer_id": "mine-2"}), 409, "already-settled")


@pytest.mark.promise("ANSWER-2")
def test_an_answer_after_any_end_comes_too_late(client: httpx.Client, ask: Ask) -> None:
    answered, cancelled, expired = (ask()["request_id"], ask()["request_id"], ask(timeout=0.01)["request_id"])
    client.post(f"/requests/{answered}/answer", json={"human_feedback": "yes"})
    client.post(f"/requests/{cancelled}/cancel", json={"reason": "not needed"})
    assert client.get(f"/requests/{expired}?wait=10").json()["status"] == "cancelled"
    for id, by in ((answered, "key:default"), (cancelled, "key:default"), (expired, "system:deadline")):
        settled = client.get(f"/requests/{id}").json()
        for late in ("answer", "cancel"):
            body = {"human_feedback": "no"} if late == "answer" else {}
            problem = _problem(client.post(f"/requests/{id}/{late}", json=body), 409, "already-settled")
            assert problem["request"] == settled
            assert problem["request"]["settled_by"] == by


@pytest.mark.promise("SETTLE-2")
def test_cancelling_settles_a_request_with_a_reason(caller: httpx.Client, ask_door: Ask) -> None:
    plain, reasoned = ask_door()["request_id"], ask_door()["request_id"]
    settled = caller.post(f"/requests/{plain}/cancel").json()
    assert (settled["status"], settled["reason"], settled["answer"]) == ("cancelled", "cancelled", None)
    settled = caller.post(f"/requests/{reasoned}/cancel", json={"reason": "not needed"}).json()
    assert (settled["status"], settled["reason"], settled["settled_by"]) == ("cancelled", "not needed", "key:default")


@pytest.mark.promise("SETTLE-3")
@pytest.mark.parametrize(
    ("members", "status", "decision"),
    [
        ({"kind": "review"}, "expired", "reject"),
        ({"kind": "review", "on_timeout": "approve"}, "expired", "approve"),
        ({"default": "later"}, "expired", "respond"),
        ({"kind": "review", "on_timeout": "cancel"}, "cancelled", None),
    ],
    ids=["reject", "approve", "default", "cancel"],
)
def test_a_deadline_ends_a_request_as_it_says(
    caller: httpx.Client, ask_door: Ask, members: dict[str, Any], status: str, decision: str | None
) -> None:
    id = ask_door(timeout=0.01, **members)["request_id"]
    settled = caller.get(f"/requests/{id}?wait=10").json()
    assert (settled["status"], settled["settled_by"]) == (status, "system:deadline")
    assert (settled["answer"] or {}).get("decision") == decision


@pytest.mark.promise("SETTLE-1")
@pytest.mark.parametrize(
    ("query", "headers"),
    [("?wait=50", {}), ("", {"Prefer": "wait=50"}), ("", {"Prefer": "respond-async, wait=50"}), ("?wait=1e9", {})],
    ids=["query", "prefer", "prefer-among-others", "longer-than-the-most"],
)
async def test_a_look_is_held_until_the_request_is_settled(
    api: httpx.AsyncClient, query: str, headers: dict[str, str]
) -> None:
    asked = (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).json()
    other = (await api.post("/requests", json={"execution_id": "run-1", "prompt": "And this?"})).json()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(api.get(f"/requests/{asked['request_id']}{query}", headers=headers))
        await api.post(f"/requests/{other['request_id']}/answer", json={"human_feedback": "no"})
        assert not looking.done()
        await api.post(f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"})
    assert looking.result().json()["answer"]["text"] == "yes"


@pytest.mark.promise("SETTLE-1")
def test_a_look_gives_the_open_request_at_once_or_after_its_wait(caller: httpx.Client, ask_door: Ask) -> None:
    asked = ask_door()
    for query in ("", "?wait=0", "?wait=0.05"):
        assert caller.get(f"/requests/{asked['request_id']}{query}").json() == asked


@pytest.mark.promise("ANSWER-6")
@pytest.mark.parametrize(
    "member", ["by", "channel", "settled_by", "status", "settled_at", "request_id", "execution_id", "type"]
)
def test_an_answer_cannot_say_by_whom_or_how_it_came(caller: httpx.Client, ask_door: Ask, member: str) -> None:
    asked = ask_door()
    id = asked["request_id"]
    _problem(caller.post(f"/requests/{id}/answer", json={"human_feedback": "yes", member: _CANARY}), 422)
    assert caller.get(f"/requests/{id}").json()["status"] == "pending"
    settled = caller.post(f"/requests/{id}/answer", json={"human_feedback": "yes"}).json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("key:default", "http")
    completed = caller.get(f"/poll/human-input/{asked['execution_id']}").json()["events"][-1]
    assert (completed["by"], completed["channel"]) == ("key:default", "http")


@pytest.mark.promise("ANSWER-6")
def test_without_a_key_everyone_is_anonymous(serve: Callable[..., HumanInputServer]) -> None:
    with httpx.Client(base_url=serve(api_key=None).url) as client:
        asked = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"}).json()
        settled = client.post(f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"}).json()
    assert (asked["asked_by"], settled["settled_by"]) == ("anonymous", "anonymous")


@pytest.mark.promise("ANSWER-7")
@pytest.mark.parametrize("id", ["unknown", "x" * 129, "a%20b", "%00", "..%2e", "%ED%A0%80"])
def test_an_unknown_request_gets_404(caller: httpx.Client, id: str) -> None:
    _problem(caller.get(f"/requests/{id}"), 404)
    _problem(caller.get(f"/requests/{id}?wait=30"), 404)
    _problem(caller.post(f"/requests/{id}/answer", json={"human_feedback": _CANARY}), 404)
    _problem(caller.post(f"/requests/{id}/cancel"), 404)


def _deep(levels: int) -> str:
    return "[" * levels + "]" * levels


_QUESTION = '{"execution_id": "run-1", "prompt": "canary-7d1e", '
_BAD_QUESTIONS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", ""),
    "no JSON": ("canary-7d1e", ""),
    "half": ('{"execution_id": "canary-7d1e"', ""),
    "two": ('{"execution_id": "run-1", "prompt": "canary-7d1e"} {}', ""),
    "a list": ('["canary-7d1e"]', ""),
    "null": ("null", ""),
    "a number": ("7", ""),
    "a byte order mark": (b'\xef\xbb\xbf{"execution_id": "run-1", "prompt": "canary-7d1e"}', ""),
    "no UTF-8": (b'{"execution_id": "run-1", "prompt": "canary-7d1e\xff"}', ""),
    "UTF-16": ('{"execution_id": "run-1", "prompt": "canary-7d1e"}'.encode("utf-16"), ""),
    "brackets": ("[" * 100_000, ""),
    "nested 50000": (f'{_QUESTION}"metadata": {{"a": {_deep(50_000)}}}}}', ""),
    "nested 65": (f'{_QUESTION}"metadata": {{"a": {_deep(65)}}}}}', "/metadata"),
    "NaN": (f'{_QUESTION}"timeout": NaN}}', ""),
    "Infinity": (f'{_QUESTION}"timeout": Infinity}}', ""),
    "a number beyond all": (f'{_QUESTION}"timeout": 1e999}}', "/timeout"),
    "NaN in metadata": (f'{_QUESTION}"metadata": {{"a": NaN}}}}', ""),
    "surrogate": ('{"execution_id": "run-1", "prompt": "canary-7d1e \\ud800"}', ""),
    "raw surrogate": (b'{"execution_id": "run-1", "prompt": "canary-7d1e \xed\xa0\x80"}', ""),
    "surrogate in metadata": (f'{_QUESTION}"metadata": {{"\\udfff": 1}}}}', ""),
    "no prompt": ('{"execution_id": "canary-7d1e"}', "/prompt"),
    "no execution": ('{"prompt": "canary-7d1e"}', "/execution_id"),
    "blank prompt": ('{"execution_id": "run-1", "prompt": " \\n "}', "/prompt"),
    "prompt of another type": ('{"execution_id": "run-1", "prompt": ["canary-7d1e"]}', "/prompt"),
    "id of another type": ('{"execution_id": 7, "prompt": "canary-7d1e"}', "/execution_id"),
    "id outside the grammar": ('{"execution_id": "canary-7d1e/..", "prompt": "a"}', "/execution_id"),
    "id with NUL": ('{"execution_id": "canary-7d1e\\u0000", "prompt": "a"}', "/execution_id"),
    "id too long": (f'{{"execution_id": "{_CANARY * 20}", "prompt": "a"}}', "/execution_id"),
    "empty id": ('{"execution_id": "", "prompt": "canary-7d1e"}', "/execution_id"),
    "request_id outside the grammar": (f'{_QUESTION}"request_id": "canary-7d1e x"}}', "/request_id"),
    "previous outside the grammar": (f'{_QUESTION}"previous": "canary-7d1e x"}}', "/previous"),
    "crew_id no UUID": (f'{_QUESTION}"crew_id": "canary-7d1e"}}', "/crew_id"),
    "unknown member": (f'{_QUESTION}"canary-7d1e": 1}}', ""),
    "unknown member inside": (f'{_QUESTION}"options": [{{"id": "a", "canary-7d1e": 1}}]}}', "/options/0"),
    "unknown kind": (f'{_QUESTION}"kind": "canary-7d1e"}}', "/kind"),
    "unknown decision": (f'{_QUESTION}"allow": ["respond", "canary-7d1e"]}}', "/allow/1"),
    "decision of another kind": (f'{_QUESTION}"allow": ["approve"]}}', "/allow"),
    "allows nothing": (f'{_QUESTION}"allow": []}}', "/allow"),
    "choice without options": (f'{_QUESTION}"kind": "choice"}}', "/options"),
    "form without schema": (f'{_QUESTION}"kind": "form"}}', "/response_schema"),
    "options alike": (f'{_QUESTION}"options": [{{"id": "a"}}, {{"id": "a"}}]}}', "/options"),
    "no schema": (f'{_QUESTION}"response_schema": {{"type": "canary-7d1e"}}}}', "/response_schema/type"),
    "remote schema": (
        f'{_QUESTION}"response_schema": {{"$ref": "http://127.0.0.1/canary-7d1e"}}}}',
        "/response_schema",
    ),
    "metadata no object": (f'{_QUESTION}"metadata": ["canary-7d1e"]}}', "/metadata"),
    "flag no boolean": (f'{_QUESTION}"reason_flags": {{"ambiguity": "canary-7d1e"}}}}', "/reason_flags"),
    "past round": (f'{_QUESTION}"round": 0}}', "/round"),
    "negative timeout": (f'{_QUESTION}"timeout": -1}}', "/timeout"),
    "timeout and deadline": (f'{_QUESTION}"timeout": 1, "deadline": "2030-01-31T12:00:00Z"}}', "/timeout"),
    "deadline without a zone": (f'{_QUESTION}"deadline": "2030-01-31T12:00:00"}}', "/deadline"),
    "deadline no time": (f'{_QUESTION}"deadline": "canary-7d1e"}}', "/deadline"),
    "default that is no answer": (
        f'{_QUESTION}"options": [{{"id": "a"}}], "default": "canary-7d1e"}}',
        "/default/human_feedback",
    ),
    "wrong digest": (f'{_QUESTION}"action": {{"name": "send", "digest": "canary-7d1e"}}}}', "/action/digest"),
    "number without an exact form": (
        f'{_QUESTION}"action": {{"name": "send", "args": {{"n": 9007199254740993}}}}}}',
        "/action/args",
    ),
    "title too long": (f'{_QUESTION}"title": "{"x" * 201}"}}', "/title"),
    "prompt too long": (f'{{"execution_id": "run-1", "prompt": "{"é" * 40_000}"}}', "/prompt"),
    "metadata too large": (f'{_QUESTION}"metadata": {{"a": "{"x" * 70_000}"}}}}', "/metadata"),
}


@pytest.mark.promise("ASK-4", "ASK-5")
@pytest.mark.parametrize("name", _BAD_QUESTIONS)
def test_a_bad_question_is_refused_with_a_pointer_and_without_a_copy(door: HumanInputServer, name: str) -> None:
    body, pointer = _BAD_QUESTIONS[name]
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        assert _pointers(client.post("/requests", content=body)) == [pointer]
        assert client.get("/requests?execution_id=run-1").json()["requests"] == []


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize("levels", [66, 500, *range(950, 1_000, 10)])
@pytest.mark.parametrize("member", ["metadata", "default", "response_schema"])
def test_json_of_any_depth_beyond_the_limit_is_refused(door: HumanInputServer, member: str, levels: int) -> None:
    body = f'{_QUESTION}"{member}": {{"a": {_deep(levels)}}}}}'
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        _problem(client.post("/requests", content=body), 422)


@pytest.mark.promise("ASK-4")
def test_every_fault_of_a_question_is_named_at_once(door: HumanInputServer) -> None:
    question = {"execution_id": "a b", "prompt": " ", "round": 0, "crew_id": "x", "options": [{"id": ""}]}
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        pointers = _pointers(client.post("/requests", json=question))
    assert set(pointers) == {"/execution_id", "/prompt", "/round", "/crew_id", "/options/0/id"}


_BAD_ANSWERS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("{}", ""),
    "no JSON": ("canary-7d1e", ""),
    "a list": ("[]", ""),
    "brackets": ("[" * 100_000, ""),
    "no UTF-8": (b'{"human_feedback": "canary-7d1e\xff"}', ""),
    "surrogate": ('{"human_feedback": "canary-7d1e\\ud800"}', ""),
    "nested 50000": (f'{{"values": {_deep(50_000)}}}', ""),
    "unknown member": ('{"human_feedback": "yes", "canary-7d1e": 1}', ""),
    "text of another type": ('{"human_feedback": {"canary-7d1e": 1}}', "/human_feedback"),
    "text twice": ('{"human_feedback": "canary-7d1e", "text": "canary-7d1e"}', "/human_feedback"),
    "unknown decision": ('{"decision": "canary-7d1e"}', "/decision"),
    "decision of another kind": ('{"decision": "approve", "comment": "canary-7d1e"}', "/decision"),
    "answer_id outside the grammar": ('{"human_feedback": "yes", "answer_id": "canary-7d1e x"}', "/answer_id"),
    "option where none is": ('{"option_ids": ["canary-7d1e"]}', "/option_ids/0"),
    "values where none are": ('{"values": {"canary-7d1e": 1}}', "/values"),
    "text too long": (f'{{"human_feedback": "{"x" * 140_000}"}}', "/human_feedback"),
    "comment too long": (f'{{"human_feedback": "yes", "comment": "{"x" * 20_000}"}}', "/comment"),
}


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize("name", _BAD_ANSWERS)
def test_a_bad_answer_is_refused_and_the_request_stays_open(caller: httpx.Client, ask_door: Ask, name: str) -> None:
    body, pointer = _BAD_ANSWERS[name]
    asked = ask_door()
    assert _pointers(caller.post(f"/requests/{asked['request_id']}/answer", content=body)) == [pointer]
    assert caller.get(f"/requests/{asked['request_id']}").json() == asked
    assert len(caller.get(f"/poll/human-input/{asked['execution_id']}").json()["events"]) == 1


@pytest.mark.promise("ANSWER-4", "ANSWER-5")
@pytest.mark.parametrize(
    ("members", "answer", "pointer"),
    [
        ({"action": {"name": "send"}}, {"human_feedback": _CANARY}, "/human_feedback"),
        ({"options": [{"id": "a"}]}, {"human_feedback": _CANARY}, "/human_feedback"),
        ({"options": [{"id": "a"}]}, {"human_feedback": ""}, "/human_feedback"),
        ({"options": [{"id": "a"}]}, {"option_ids": ["a", "a"]}, "/option_ids"),
        ({"response_schema": {"type": "object"}}, {"human_feedback": _CANARY}, "/human_feedback"),
        (
            {"response_schema": {"type": "object", "properties": {"n/~": {"type": "integer"}}}},
            {"values": {"n/~": _CANARY}},
            "/values/n~1~0",
        ),
        (
            {"response_schema": {"type": "object", "required": ["n"]}},
            {"values": {"m": _CANARY}},
            "/values",
        ),
        (
            {"response_schema": {"type": "object", "additionalProperties": False}},
            {"values": {_CANARY: 1}},
            "/values",
        ),
        ({"kind": "review"}, {"decision": "edit", "edited": {"a": _CANARY}}, "/edited"),
        ({"kind": "review"}, {"decision": "approve", "text": _CANARY}, "/text"),
        ({"kind": "review", "allow": ["approve"]}, {"decision": "reject", "text": _CANARY}, "/decision"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_the_kind_or_the_schema_does_not_take_is_refused(
    caller: httpx.Client, ask_door: Ask, members: dict[str, Any], answer: dict[str, Any], pointer: str
) -> None:
    asked = ask_door(**members)
    assert _pointers(caller.post(f"/requests/{asked['request_id']}/answer", json=answer)) == [pointer]
    assert caller.get(f"/requests/{asked['request_id']}").json() == asked


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"reason": 7}', "/reason"),
        ('{"canary-7d1e": 7}', ""),
        ("[", ""),
        (f'{{"reason": "{"x" * 20_000}"}}', "/reason"),
    ],
    ids=["type", "unknown", "malformed", "too-long"],
)
def test_a_bad_cancellation_is_refused_and_the_request_stays_open(
    caller: httpx.Client, ask_door: Ask, body: str, pointer: str
) -> None:
    id = ask_door()["request_id"]
    assert _pointers(caller.post(f"/requests/{id}/cancel", content=body)) == [pointer]
    assert caller.get(f"/requests/{id}").json()["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/requests?status=canary-7d1e", "/status"),
        ("/requests?status=pending,canary-7d1e", "/status"),
        ("/requests?status=", "/status"),
        ("/requests?status=pending,", "/status"),
        ("/requests?limit=0", "/limit"),
        ("/requests?limit=1001", "/limit"),
        ("/requests?limit=canary-7d1e", "/limit"),
        ("/requests?limit=%C2%B2", "/limit"),
        ("/requests?after=-1", "/after"),
        ("/requests?after=1e3", "/after"),
        ("/requests?after=9999999999999999999", "/after"),
        ("/requests?after=99999999999999999999999999999999", "/after"),
        ("/requests?execution_id=canary-7d1e%20x", "/execution_id"),
        ("/poll/human-input/run-1?wait=-1", "/wait"),
        ("/poll/human-input/run-1?wait=nan", "/wait"),
        ("/poll/human-input/run-1?wait=canary-7d1e", "/wait"),
        ("/poll/human-input?wait=", "/wait"),
        ("/requests/unknown?wait=canary-7d1e", "/wait"),
    ],
)
def test_a_bad_parameter_is_refused_with_a_pointer(door: HumanInputServer, path: str, pointer: str) -> None:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        assert _pointers(client.get(path)) == [pointer]


_BODIES = ("/requests", "/requests/unknown/answer", "/requests/unknown/cancel")


@pytest.mark.promise("DOOR-5", "ASK-4")
@pytest.mark.parametrize("path", _BODIES)
def test_a_body_that_is_announced_too_large_gets_413(door: HumanInputServer, path: str) -> None:
    body = json.dumps({"execution_id": "run-1", "prompt": "x" * 3_000_000})
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        _problem(client.post(path, content=body), 413)


@pytest.mark.promise("DOOR-5", "ASK-4")
@pytest.mark.parametrize("path", _BODIES)
def test_a_body_that_turns_out_too_large_gets_413(door: HumanInputServer, path: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"execution_id": "run-1", "prompt": "'
        for _ in range(_MOST // 1_024):
            yield b"x" * 1_024

    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        _problem(client.post(path, content=parts()), 413)
        assert client.get("/requests?execution_id=run-1").json()["requests"] == []


@pytest.mark.promise("DOOR-5")
def test_a_body_of_exactly_the_limit_is_read(client: httpx.Client) -> None:
    question = b'{"execution_id": "run-1", "prompt": "Ship it?"}'
    assert client.post("/requests", content=question.ljust(_MOST)).status_code == 201
    _problem(client.post("/requests", content=question.ljust(_MOST + 1)), 413)


@pytest.mark.promise("DOOR-5")
def test_a_sender_that_never_ends_is_stopped_at_the_limit(door: HumanInputServer) -> None:
    """It is answered while it is still sending: the body is counted, not collected."""
    address = urlsplit(door.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as sender:
        head = (
            f"POST /requests HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nTransfer-Encoding: chunked"
        )
        sender.sendall(head.encode() + b"\r\n\r\n")
        chunk = b"400\r\n" + b" " * 1_024 + b"\r\n"
        for _ in range(_MOST // 1_024 + 1):
            sender.sendall(chunk)
        assert sender.recv(64).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/unknown", 404),
        ("POST", "/requests/a/b/c", 404),
        ("GET", "/requests/a%2Fb/c", 404),
        ("GET", "/ws/human-input/run-1", 404),
        ("DELETE", "/requests", 405),
        ("PUT", "/requests/a", 405),
        ("GET", "/requests/a/answer", 405),
        ("GET", "/requests/a/cancel", 405),
        ("POST", "/events/human-input/run-1", 405),
        ("POST", "/poll/human-input", 405),
        ("POST", "/health", 405),
        ("TRACE", "/openapi.json", 405),
    ],
)
def test_an_unknown_address_or_method_is_a_problem_too(
    door: HumanInputServer, method: str, path: str, status: int
) -> None:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        _problem(client.request(method, path), status)


def test_a_wrong_method_is_told_every_right_one(door: HumanInputServer) -> None:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        allow = {
            path: client.delete(path).headers["allow"] for path in ("/requests", "/requests/a", "/requests/a/answer")
        }
    methods = {path: {method.strip() for method in text.split(",")} for path, text in allow.items()}
    assert methods == {
        "/requests": {"GET", "HEAD", "POST"},
        "/requests/a": {"GET", "HEAD"},
        "/requests/a/answer": {"POST"},
    }


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/openapi.json", "/requests", "/poll/human-input", "/requests/unknown"]
)
def test_head_is_get_without_the_body(door: HumanInputServer, path: str) -> None:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-length", "content-type"):
        assert head.headers.get(name) == got.headers.get(name)


def test_a_head_of_a_stream_ends_and_leaves_the_connection_usable(door: HumanInputServer) -> None:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=3) as client:
        head = client.head("/events/human-input/run-1")
        assert head.status_code == 200
        assert head.headers["content-type"].startswith("text/event-stream")
        assert client.get("/health").json()["status"] == "healthy"


def test_nothing_with_questions_in_it_is_kept_by_caches(client: httpx.Client, ask: Ask) -> None:
    id = ask()["request_id"]
    for path in ("/requests", f"/requests/{id}", "/poll/human-input/run-1", "/requests/unknown", "/health", "/ready"):
        assert client.get(path).headers["cache-control"] == "no-store"


def test_ids_of_the_whole_grammar_work_in_every_address(client: httpx.Client) -> None:
    id = "A.z_0~9:-" + "x" * 119
    question = {"execution_id": id, "request_id": id, "prompt": "Ship it?"}
    response = client.post("/requests", json=question)
    assert response.status_code == 201
    assert client.get(response.headers["location"]).json()["request_id"] == id
    answer = {"answer_id": id, "human_feedback": "yes"}
    assert client.post(f"/requests/{id}/answer", json=answer).json()["answer"]["answer_id"] == id
    assert len(client.get(f"/poll/human-input/{id}").json()["events"]) == 2


def test_text_of_every_script_comes_back_as_it_was_sent(client: httpx.Client, ask: Ask) -> None:
    text = "Grüße, 你好, \U0001f642, \u2028 \x07 \x00 'quoted' \"twice\" </script>"
    asked = ask(prompt=text, metadata={text: text})
    assert (asked["prompt"], asked["metadata"]) == (text, {text: text})
    settled = client.post(f"/requests/{asked['request_id']}/answer", json={"human_feedback": text}).json()
    assert settled["answer"]["text"] == text
    assert client.get("/poll/human-input/run-1").json()["events"][1]["human_feedback"] == text
