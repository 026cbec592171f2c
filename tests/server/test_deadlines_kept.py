"""Deadlines end to end: over restarts, set clocks and answers of the last moment, and as every follower sees them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.clock import Clock
from tests.builders import new_id, question
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, Follower, take

Serve = Callable[..., HumanInputServer]
HOUR = 3_600
SOON = 0.01
_RIGHT = {"Authorization": f"Bearer {KEY}"}


def _client(server: HumanInputServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=_RIGHT, timeout=60)


def _ask(client: httpx.Client, **members: Any) -> str:
    response = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members)
    assert response.status_code == 201, response.text
    return str(response.json()["request_id"])


def _look(client: httpx.Client, request_id: str, wait: float = 0) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/requests/{request_id}", params={"wait": wait}).json()
    return found


def _have_the_keeper_look(client: httpx.Client) -> None:
    """Returns when the keeper has looked at the clock again, and settled all that was due by then."""
    last = _ask(client, execution_id=new_id(), timeout=SOON)
    assert _look(client, last, wait=10)["status"] == "cancelled"


def _events(client: httpx.Client, execution_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(f"/poll/human-input/{execution_id}").json()["events"]
    return events


def _pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Time goes by, on every clock of this process."""
    now, steady = Clock.now, Clock.steady
    monkeypatch.setattr(Clock, "now", lambda clock: now(clock) + timedelta(seconds=seconds))
    monkeypatch.setattr(Clock, "steady", lambda clock: steady(clock) + timedelta(seconds=seconds))


@pytest.mark.promise("SETTLE-3")
def test_a_deadline_outlives_a_restart_and_is_kept_afterwards(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    first = serve()
    with _client(first) as client:
        pending = _ask(client, timeout=HOUR, default="the usual")
        deadline = _look(client, pending)["deadline"]
    first.stop()

    with _client(serve(store=first._store)) as client:
        _have_the_keeper_look(client)
        assert (_look(client, pending)["status"], _look(client, pending)["deadline"]) == ("pending", deadline)
        _pass(monkeypatch, HOUR + 1)
        _have_the_keeper_look(client)
        done = _look(client, pending)
        assert (done["status"], done["answer"]["text"], done["settled_by"]) == (
            "expired",
            "the usual",
            "system:deadline",
        )
        assert [one["type"] for one in _events(client, "run-1")] == ["human_input_required", "human_input_completed"]


@pytest.mark.promise("SETTLE-3")
def test_a_deadline_shorter_than_a_restart_or_not_much_longer_is_kept_by_the_next_server(serve: Serve) -> None:
    """On the machine's own clock: whether it passes before the start or after it, the request ends."""
    first = serve()
    with _client(first) as client:
        pending = [_ask(client, timeout=seconds, kind="review") for seconds in (0.05, 0.3, 0.6, 1.2)]
    first.stop()

    with _client(serve(store=first._store)) as client:
        ended = [_look(client, one, wait=10) for one in pending]
    assert [(one["status"], one["answer"]["decision"], one["reason"]) for one in ended] == [
        ("expired", "reject", "deadline")
    ] * 4
    for one in ended:
        assert datetime.fromisoformat(one["settled_at"]) >= datetime.fromisoformat(one["deadline"]) - timedelta(
            milliseconds=1
        )


@pytest.mark.promise("SETTLE-3")
def test_a_deadline_that_passed_while_the_server_was_down_is_kept_when_it_starts(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = serve()
    with _client(first) as client:
        due = [_ask(client, timeout=HOUR), _ask(client, timeout=HOUR, kind="approval", on_timeout="approve")]
        later, never = _ask(client, timeout=3 * HOUR), _ask(client)
    first.stop()
    _pass(monkeypatch, 2 * HOUR)

    with _client(serve(store=first._store)) as client:
        ended = [_look(client, one, wait=10) for one in due]
        assert [(one["status"], one["reason"]) for one in ended] == [("cancelled", "deadline"), ("expired", "deadline")]
        assert ended[1]["answer"]["decision"] == "approve"
        assert [_look(client, one)["status"] for one in (later, never)] == ["pending"] * 2
        late = client.post(f"/requests/{due[1]}/answer", json={"decision": "reject"})
        assert (late.status_code, late.json()["request"]["status"]) == (409, "expired")


@pytest.mark.promise("SETTLE-4")
def test_a_question_of_the_former_process_is_given_up_and_not_expired(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for what its deadline would choose."""
    first = serve()
    asked = first.submit(question(execution_id="run-2", timeout=HOUR, default="the usual"))
    request_id = asked.stored.result(10).request_id
    first.stop()
    _pass(monkeypatch, 2 * HOUR)

    with _client(serve(store=first._store)) as client:
        assert (_look(client, request_id)["status"], _look(client, request_id)["reason"]) == ("cancelled", "asker-gone")


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_setting_the_machines_clock_moves_no_deadline(serve: Serve, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    with _client(serve()) as client:
        before = _ask(client, timeout=HOUR)
        now = Clock.now
        monkeypatch.setattr(Clock, "now", lambda clock: now(clock) + timedelta(days=days))
        after = _ask(client, timeout=HOUR)
        _have_the_keeper_look(client)

        asked = [datetime.fromisoformat(_look(client, one)["created_at"]) for one in (before, after)]
        assert abs((asked[1] - asked[0]) - timedelta(days=days)) < timedelta(hours=1)  # the server did see it
        assert [_look(client, one)["status"] for one in (before, after)] == ["pending"] * 2
        monkeypatch.undo()
        _pass(monkeypatch, HOUR + 1)
        _have_the_keeper_look(client)
        assert [_look(client, one)["status"] for one in (before, after)] == ["cancelled"] * 2


@pytest.mark.promise("SETTLE-1", "SETTLE-3", "ANSWER-2")
@pytest.mark.parametrize("round", range(2))
async def test_an_answer_of_the_last_moment_counts_or_is_refused_and_never_both(
    server: HumanInputServer, api: httpx.AsyncClient, round: int
) -> None:
    execution_id = new_id()

    async def race(seconds: float, *, late: bool = False) -> tuple[str, httpx.Response]:
        body = {"execution_id": execution_id, "prompt": "Ship it?", "timeout": seconds, "default": "the usual"}
        request_id = (await api.post("/requests", json=body)).json()["request_id"]
        if late:
            await api.get(f"/requests/{request_id}", params={"wait": 10})
        return request_id, await api.post(f"/requests/{request_id}/answer", json={"human_feedback": "mine"})

    async with asyncio.timeout(60):
        close = [race(0.0005 * number) for number in range(1, 81)]
        races = await asyncio.gather(race(HOUR), race(SOON, late=True), *close)

    told: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while page := (await api.get(f"/poll/human-input/{execution_id}", params=cursor)).json():
        told += page["events"]
        cursor = {"last_event_id": page["cursor"]}
        if not page["more"]:
            break
    completed = {one["request_id"]: one for one in told if one["type"] == "human_input_completed"}
    counted = Counter(one["request_id"] for one in told if one["type"] == "human_input_completed")
    assert counted == {request_id: 1 for request_id, _ in races}
    assert {response.status_code for _, response in races} == {200, 409}
    for request_id, response in races:
        stored = (await api.get(f"/requests/{request_id}")).json()
        won = response.status_code == 200
        assert stored["status"] == ("answered" if won else "expired")
        assert stored["answer"]["text"] == ("mine" if won else "the usual")
        assert (response.json() if won else response.json()["request"]) == stored
        event = completed[request_id]
        assert (event["status"], event["event_id"]) == (stored["status"], stored["settled_event_id"])
        assert event["human_feedback"] == ("mine" if won else "")
        assert event["by"] == ("key:default" if won else "system:deadline")


@pytest.mark.promise("STREAM-1", "SETTLE-3", "EVENT-3")
@pytest.mark.parametrize("kind", FOLLOWERS, ids=lambda follower: follower.road)
@pytest.mark.parametrize(
    ("members", "status", "decision"),
    [
        ({"kind": "review"}, "expired", "reject"),
        ({"default": "the usual"}, "expired", "respond"),
        ({}, "cancelled", None),
    ],
)
async def test_a_follower_sees_a_request_run_out_of_time(
    *,
    server: HumanInputServer,
    api: httpx.AsyncClient,
    kind: type[Follower],
    members: dict[str, Any],
    status: str,
    decision: str | None,
) -> None:
    execution_id = new_id()
    async with aclosing(kind(server.url).events(execution_id)) as stream:
        body = {"execution_id": execution_id, "prompt": "Ship it?", "timeout": 0.2}
        request_id = (await api.post("/requests", json=body | members)).json()["request_id"]
        asked, ended = await take(stream, 2)
    assert (asked["type"], asked["request_id"]) == ("human_input_required", request_id)
    assert asked["deadline"] is not None
    assert (ended["type"], ended["request_id"]) == ("human_input_completed", request_id)
    assert (ended["status"], ended["decision"], ended["by"], ended["reason"]) == (
        status,
        decision,
        "system:deadline",
        "deadline",
    )
    assert (ended["human_feedback"], ended["channel"]) == ("", "system")


@pytest.mark.promise("STREAM-1")
@pytest.mark.parametrize("kind", FOLLOWERS, ids=lambda follower: follower.road)
async def test_a_follower_that_was_away_is_told_what_ran_out_of_time(
    serve: Serve, kind: type[Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = new_id()
    first = await asyncio.to_thread(serve)
    with _client(first) as client:
        _ask(client, execution_id=execution_id, timeout=HOUR)
        seen = _events(client, execution_id)
    await asyncio.to_thread(first.stop)
    _pass(monkeypatch, 2 * HOUR)
    second = await asyncio.to_thread(serve, store=first._store)
    async with aclosing(kind(second.url).events(execution_id, seen[0]["event_id"])) as stream:
        (ended,) = await take(stream, 1)
    assert (ended["type"], ended["status"], ended["seq"]) == ("human_input_completed", "cancelled", 2)
