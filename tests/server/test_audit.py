"""`GET /audit`: JSON lines, page by page, of what was really done; and answers that name the action they are about."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import rfc8785

from sayso import AsyncClient, Client, HumanInputServer
from sayso.chain import Chains
from tests.builders import question
from tests.conftest import KEY

Ask = Callable[..., dict[str, Any]]

ACTION = {"name": "pay", "args": {"amount": 7}}
PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in response.text.splitlines()]


def sha(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


@pytest.mark.promise("AUDIT-1", "AUDIT-2")
def test_it_says_who_did_what_and_by_which_road(client: httpx.Client, ask: Ask) -> None:
    ask(request_id="one")
    client.post("/requests/one/answer", json={"human_feedback": "yes"}).raise_for_status()
    ask(request_id="two", timeout=0.05)
    client.get("/requests/two?wait=20").raise_for_status()

    found = lines(client.get("/audit"))

    assert [
        (entry["number"], entry["request_id"], entry["change"], entry["by"], entry["channel"]) for entry in found
    ] == [
        (1, "one", "asked", "key:default", "http"),
        (2, "one", "answered", "key:default", "http"),
        (3, "two", "asked", "key:default", "http"),
        (4, "two", "cancelled", "system:deadline", "system"),
    ]
    chains = Chains()
    assert [chains.add(entry) for entry in found] == [None] * 4
    assert chains.end() is not None


def test_pages_go_on_where_the_last_one_ended(client: httpx.Client, ask: Ask) -> None:
    for execution in ("b", "a", "b", "a:c"):
        ask(execution_id=execution)
    everything = lines(client.get("/audit"))
    assert [(entry["execution_id"], entry["number"]) for entry in everything] == [
        ("a", 1),
        ("a:c", 1),
        ("b", 1),
        ("b", 2),
    ]
    assert lines(client.get("/audit?limit=1&after=a,1")) == everything[1:2]
    assert lines(client.get("/audit?after=b,1")) == everything[3:]
    assert lines(client.get("/audit?after=b,2")) == []
    assert lines(client.get("/audit?execution_id=b&after=b,1")) == everything[3:]
    assert lines(client.get("/audit?execution_id=nobody")) == []


@pytest.mark.parametrize(
    "query",
    [
        "after=b",
        "after=b,x",
        "after=,1",
        "after=b,%C2%B2",
        "after=b,99999999999999999999",
        "after=b,-1",
        "limit=0",
        "limit=1001",
        "execution_id=a%20b",
    ],
)
def test_a_query_that_says_nothing_is_refused(client: httpx.Client, query: str) -> None:
    refused = client.get(f"/audit?{query}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


async def test_both_clients_read_all_pages(server: HumanInputServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sayso.server.audit.limits.PAGE", 2)
    with Client(server.url, KEY) as client:
        for number in range(5):
            client.ask(question(execution_id=f"run-{number % 2}"))
        found = [*client.audit()]
        assert [(entry["execution_id"], entry["number"]) for entry in found] == [
            *(("run-0", number) for number in (1, 2, 3)),
            *(("run-1", number) for number in (1, 2)),
        ]
        assert [*client.audit("run-1")] == found[3:]
    async with AsyncClient(server.url, KEY) as other:
        assert [entry async for entry in other.audit()] == found


@pytest.mark.promise("AUDIT-4")
@pytest.mark.parametrize("decision", ["approve", "reject", "edit"])
def test_an_answer_about_another_action_is_refused(client: httpx.Client, ask: Ask, decision: str) -> None:
    asked = ask(action=ACTION)
    given = {"decision": decision} | ({"edited": {"amount": 5}} if decision == "edit" else {})
    address = f"/requests/{asked['request_id']}/answer"

    refused = client.post(address, json=given | {"action_digest": sha({"args": {"amount": 8}, "name": "pay"})})

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sayso:problem:action-mismatch")
    assert client.get(f"/requests/{asked['request_id']}").json()["status"] == "pending"
    assert [entry["change"] for entry in lines(client.get("/audit"))] == ["asked"]
    digest = sha({"args": {"amount": 7}, "name": "pay"})
    client.post(address, json=given | {"action_digest": digest}).raise_for_status()
    allowed = {"approve": digest, "reject": None, "edit": sha({"args": {"amount": 5}, "name": "pay"})}
    assert [entry["action"] for entry in lines(client.get("/audit"))] == [digest, allowed[decision]]


@pytest.mark.promise("AUDIT-4")
def test_an_answer_about_an_action_where_there_is_none_is_refused(client: httpx.Client, ask: Ask) -> None:
    refused = client.post(
        f"/requests/{ask()['request_id']}/answer", json={"human_feedback": "yes", "action_digest": "0" * 64}
    )
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/action_digest")


@pytest.mark.promise("ANSWER-4")
def test_edited_arguments_that_have_no_digest_are_refused(client: httpx.Client, ask: Ask) -> None:
    address = f"/requests/{ask(action=ACTION)['request_id']}/answer"
    refused = client.post(address, json={"decision": "edit", "edited": {"amount": 2**53}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/edited")


def test_a_default_about_another_action_is_refused_when_it_is_asked(client: httpx.Client) -> None:
    default = {"decision": "approve", "action_digest": "0" * 64}
    refused = client.post(
        "/requests", json={"execution_id": "a", "prompt": "Pay?", "action": ACTION, "default": default}
    )
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/default/action_digest")


@pytest.mark.promise("AUDIT-3")
def test_the_program_in_the_documents_verifies_what_the_server_exports(client: httpx.Client, ask: Ask) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.partition("## Audit")[2], re.DOTALL)
    assert len(program.split("\n\n")[1].splitlines()) <= 11
    for number in range(6):
        asked = ask(execution_id=f"run-{number % 2}", action=ACTION, prompt="Grüße, Ø \U0001f600 \u2028")
        client.post(f"/requests/{asked['request_id']}/answer", json={"decision": "approve"}).raise_for_status()
    exported = client.get("/audit").content
    harmed = [exported.replace(b'"answered"', b'"expired"', 1), b"".join(exported.splitlines(keepends=True)[1:])]

    ended = [
        subprocess.run([sys.executable, "-I", "-c", program], input=data, capture_output=True, timeout=30, check=False)
        for data in (exported, *harmed)
    ]

    assert [one.returncode for one in ended] == [0, 1, 1]
    assert ended[0].stdout == b"whole: 2 executions\n"
    assert [one.stdout for one in ended[1:]] == [b"broken at line 2\n", b"broken at line 1\n"]
