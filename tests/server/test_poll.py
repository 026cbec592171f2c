"""What is particular to long polling: pages, and calls that are held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer, limits
from sayso.gateway import Gateway
from tests.builders import question

pytestmark = pytest.mark.usefixtures("lane")

Ask = Callable[..., dict[str, Any]]
_PATH = "/poll/human-input/run-1"


async def _ask_many(server: HumanInputServer, count: int) -> None:
    async def ask(gateway: Gateway) -> None:
        await asyncio.gather(*(gateway.ask(question(), by="key:default", durable=True) for _ in range(count)))

    assert server._running is not None
    await server._running.call(ask)


@pytest.mark.promise("STREAM-8")
@pytest.mark.parametrize("query", ["", "?wait=0", "?last_event_id="])
def test_without_a_wait_a_poll_answers_at_once(client: httpx.Client, query: str) -> None:
    response = client.get(_PATH + query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"events": [], "cursor": None, "more": False}


@pytest.mark.promise("STREAM-8")
def test_after_the_last_event_there_is_nothing_new(client: httpx.Client, ask: Ask) -> None:
    id = ask()["request_id"]
    client.post(f"/requests/{id}/answer", json={"human_feedback": "yes"})
    page = client.get(_PATH).json()
    assert [event["type"] for event in page["events"]] == ["human_input_required", "human_input_completed"]
    assert page["cursor"] == page["events"][-1]["event_id"]
    for query in ({}, {"wait": "0.05"}):
        again = client.get(_PATH, params={"last_event_id": page["cursor"]} | query)
        assert again.status_code == 200
        assert again.json() == {"events": [], "cursor": page["cursor"], "more": False}


@pytest.mark.promise("STREAM-2")
def test_the_cursor_may_come_in_the_header_too(client: httpx.Client, ask: Ask) -> None:
    first, second = ask(), ask()
    page = client.get(_PATH, headers={"Last-Event-ID": first["asked_event_id"]}).json()
    assert [event["event_id"] for event in page["events"]] == [second["asked_event_id"]]


@pytest.mark.promise("STREAM-8")
@pytest.mark.parametrize(
    ("query", "headers"),
    [("?wait=50", {}), ("", {"Prefer": "wait=50"}), ("?wait=inf", {})],
    ids=["query", "prefer", "for-ever"],
)
@pytest.mark.parametrize("path", [_PATH, "/poll/human-input"])
async def test_a_held_poll_is_woken_by_the_next_event(
    api: httpx.AsyncClient, path: str, query: str, headers: dict[str, str]
) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        held = tasks.create_task(api.get(path + query, headers=headers))
        await api.post("/requests", json={"execution_id": "run-2", "prompt": "Not this one"})
        asked = (await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})).json()
    events = held.result().json()["events"]
    assert asked["asked_event_id"] in [event["event_id"] for event in events] or path == "/poll/human-input"
    assert len(events) >= 1


@pytest.mark.promise("STREAM-8")
async def test_a_held_poll_of_an_execution_is_not_woken_by_another(
    server: HumanInputServer, api: httpx.AsyncClient
) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        held = tasks.create_task(api.get(f"{_PATH}?wait=0.3"))
        await api.post("/requests", json={"execution_id": "run-2", "prompt": "Not this one"})
    assert held.result().json() == {"events": [], "cursor": None, "more": False}


@pytest.mark.promise("STREAM-9")
async def test_a_server_that_stops_lets_held_calls_go(server: HumanInputServer, api: httpx.AsyncClient) -> None:
    asked = (await api.post("/requests", json={"execution_id": "run-2", "prompt": "Ship it?"})).json()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(api.get(f"{_PATH}?wait=50"))
        look = tasks.create_task(api.get(f"/requests/{asked['request_id']}?wait=50"))
        for _ in range(3):
            await api.get("/health")  # both are on their way in before this
        await asyncio.to_thread(server.stop)
    assert (poll.result().status_code, poll.result().json()["events"]) == (200, [])
    assert look.result().json() == asked


@pytest.mark.promise("STREAM-1")
async def test_a_long_history_comes_in_pages(
    server: HumanInputServer, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 4_000_000)
    count = 2 * limits.PAGE + 10
    await _ask_many(server, count)
    for path in (_PATH, "/poll/human-input"):
        seen: list[str] = []
        sizes, cursor, more = [], None, True
        while more:
            page = (await api.get(path, params={"last_event_id": cursor} if cursor else {})).json()
            sizes.append(len(page["events"]))
            seen += [event["event_id"] for event in page["events"]]
            cursor, more = page["cursor"], page["more"]
        assert sizes == [limits.PAGE, limits.PAGE, 10]
        assert len(set(seen)) == count


@pytest.mark.promise("STREAM-1")
@pytest.mark.parametrize("path", [_PATH, "/poll/human-input"])
async def test_a_history_of_long_events_comes_in_pages_of_so_many_bytes(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(limits, "BATCH", 10_000)
    question = {"execution_id": "run-1", "prompt": "Ship it?", "context": "x" * 3_000}
    asked = [(await api.post("/requests", json=question)).json()["asked_event_id"] for _ in range(10)]
    pages = [(await api.get(path)).json()]
    while pages[-1]["more"]:
        pages.append((await api.get(path, params={"last_event_id": pages[-1]["cursor"]})).json())
    assert [event["event_id"] for page in pages for event in page["events"]] == asked
    assert len(pages) > 2


async def test_there_is_no_more_when_the_page_was_just_filled(
    server: HumanInputServer, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH", 4_000_000)
    await _ask_many(server, limits.PAGE)
    page = (await api.get(_PATH)).json()
    assert (len(page["events"]), page["more"]) == (limits.PAGE, False)


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("path", [_PATH, "/poll/human-input"])
def test_a_reset_says_why_and_gives_what_is_open_as_events(client: httpx.Client, ask: Ask, path: str) -> None:
    done, waiting, last = ask(), ask(), ask()
    for request in (done, last):
        client.post(f"/requests/{request['request_id']}/answer", json={"human_feedback": "yes"})
    response = client.get(path, params={"last_event_id": "unknown", "wait": "50"})
    assert response.status_code == 200
    page = response.json()
    assert [event["event_id"] for event in page["events"]] == [waiting["asked_event_id"]]
    assert page["events"][0]["type"] == "human_input_required"
    assert page["reset"] == {"reason": "unknown-cursor"}
    assert page["cursor"] == client.get("/requests").json()["cursor"]
    assert page["more"] is False
    assert client.get(path, params={"last_event_id": page["cursor"]}).json()["events"] == []


@pytest.mark.promise("STREAM-3")
def test_a_foreign_cursor_says_so(client: httpx.Client, ask: Ask) -> None:
    foreign = ask(execution_id="run-2")["asked_event_id"]
    page = client.get(_PATH, params={"last_event_id": foreign}).json()
    origin = client.get("/requests", params={"execution_id": "run-1"}).json()["cursor"]
    assert page == {"events": [], "cursor": origin, "more": False, "reset": {"reason": "foreign-cursor"}}
    assert client.get("/poll/human-input", params={"last_event_id": foreign}).json()["events"] == []


@pytest.mark.promise("STREAM-1", "STREAM-4")
def test_whoever_polls_all_executions_gets_a_cursor_from_which_nothing_is_missed(
    client: httpx.Client, ask: Ask
) -> None:
    """What is asked and answered between the first two polls is open in neither."""
    client.post(f"/requests/{ask()['request_id']}/answer", json={"human_feedback": "yes"})
    page = client.get("/poll/human-input").json()
    assert page["events"] == []
    between = ask()["request_id"]
    client.post(f"/requests/{between}/answer", json={"human_feedback": "yes"})
    cursor = {"last_event_id": page["cursor"]} if page["cursor"] else {}
    later = client.get("/poll/human-input", params=cursor).json()["events"]
    assert [event["request_id"] for event in later] == [between, between]


@pytest.mark.promise("STREAM-4")
def test_all_executions_begin_with_the_open_ones_and_go_on_after_the_head(client: httpx.Client, ask: Ask) -> None:
    done, waiting = ask(), ask()
    client.post(f"/requests/{done['request_id']}/answer", json={"human_feedback": "yes"})
    page = client.get("/poll/human-input").json()
    assert [event["request_id"] for event in page["events"]] == [waiting["request_id"]]
    fresh = ask()
    later = client.get("/poll/human-input", params={"last_event_id": page["cursor"]}).json()["events"]
    assert [event["request_id"] for event in later] == [fresh["request_id"]]


def test_a_page_is_json_with_the_events_as_every_transport_tells_them(client: httpx.Client, ask: Ask) -> None:
    ask(prompt='"quoted", \\ and ]}')
    page = client.get(_PATH)
    assert json.loads(page.content)["events"][0]["prompt"] == '"quoted", \\ and ]}'
