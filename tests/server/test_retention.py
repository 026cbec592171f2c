"""Retention from outside: what is gone, and what whoever comes late is told of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.clock import Clock
from sayso.errors import Misconfigured
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, Follower, take

Serve = Callable[..., HumanInputServer]
_RIGHT = {"Authorization": f"Bearer {KEY}"}


def _client(server: HumanInputServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers=_RIGHT, timeout=60)


def _pass(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Time goes by, on every clock of this process."""
    now, steady = Clock.now, Clock.steady
    monkeypatch.setattr(Clock, "now", lambda clock: now(clock) + timedelta(days=days))
    monkeypatch.setattr(Clock, "steady", lambda clock: steady(clock) + timedelta(days=days))


def _ask_and_answer(client: httpx.Client, **members: Any) -> dict[str, Any]:
    asked = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members).json()
    settled: dict[str, Any] = client.post(
        f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"}
    ).json()
    return settled


def _await_removal(client: httpx.Client, request_id: str) -> httpx.Response:
    for _ in range(2_000):
        response = client.get(f"/requests/{request_id}")
        if response.status_code != 200:
            return response
    raise AssertionError("it was not removed")


@pytest.mark.promise("RETAIN-1", "RETAIN-2", "RETAIN-3")
def test_after_a_month_a_settled_run_is_gone_and_its_ids_are_known(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = serve()
    with _client(first) as client:
        gone = _ask_and_answer(client, prompt="secret prompt")
        kept = client.post("/requests", json={"execution_id": "run-2", "prompt": "Ship it?"}).json()
    first.stop()
    _pass(monkeypatch, 31)

    with _client(serve(store=first._store)) as client:
        missing = _await_removal(client, gone["request_id"])
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:sayso:problem:not-found")
        assert "may have been removed" in missing.json()["detail"]
        assert [one["request_id"] for one in client.get("/requests").json()["requests"]] == [kept["request_id"]]
        assert client.get("/poll/human-input/run-1").json()["events"] == []

        for late in ("answer", "cancel"):
            told = client.post(f"/requests/{gone['request_id']}/{late}", json={})
            assert (told.status_code, told.json()["type"]) == (409, "urn:sayso:problem:already-settled")
            left = told.json()["request"]
            assert (left["status"], left["settled_by"], left["settled_at"]) == (
                "answered",
                "key:default",
                gone["settled_at"],
            )
            assert "contents were removed" in told.json()["detail"]
            assert "secret" not in told.text
        again = client.post(
            "/requests", json={"execution_id": "run-1", "request_id": gone["request_id"], "prompt": "secret prompt"}
        )
        assert (again.status_code, again.json()["type"]) == (409, "urn:sayso:problem:request-mismatch")


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("kind", FOLLOWERS, ids=lambda follower: follower.road)
@pytest.mark.parametrize("execution_id", [None, "run-1"])
async def test_a_follower_that_comes_back_after_its_cursor_was_removed_gets_a_reset(
    serve: Serve, kind: type[Follower], monkeypatch: pytest.MonkeyPatch, execution_id: str | None
) -> None:
    first = await asyncio.to_thread(serve)
    with _client(first) as client:
        gone = _ask_and_answer(client)
        kept = client.post("/requests", json={"execution_id": "run-2", "prompt": "Ship it?"}).json()
    await asyncio.to_thread(first.stop)
    _pass(monkeypatch, 31)
    second = await asyncio.to_thread(serve, store=first._store)
    with _client(second) as client:
        await asyncio.to_thread(_await_removal, client, gone["request_id"])
    async with aclosing(kind(second.url).events(execution_id, gone["settled_event_id"])) as stream:
        (reset,) = await take(stream, 1)
    assert (reset["type"], reset["reason"]) == ("reset", "unknown-cursor")
    assert reset["open"] == ([kept["request_id"]] if execution_id is None else [])


@pytest.mark.promise("RETAIN-1")
@pytest.mark.parametrize(
    ("argument", "environment"), [(60, None), (None, "60"), (60, "1")], ids=["argument", "environment", "both"]
)
def test_the_retention_is_a_setting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, argument: float | None, environment: str | None
) -> None:
    first = serve()
    with _client(first) as client:
        old = _ask_and_answer(client)
    first.stop()
    _pass(monkeypatch, 31)
    second = serve(store=first._store, retention=math.inf)
    with _client(second) as client:
        younger = _ask_and_answer(client, execution_id="run-2")
    second.stop()
    _pass(monkeypatch, 31)
    if environment is not None:
        monkeypatch.setenv("SAYSO_RETENTION", environment)

    with _client(serve(store=first._store, retention=argument)) as client:
        _await_removal(client, old["request_id"])
        assert client.get(f"/requests/{younger['request_id']}").json() == younger


def test_a_retention_that_is_none_keeps_the_server_from_being_made() -> None:
    with pytest.raises(Misconfigured, match="retention is 0"):
        HumanInputServer(port=0, retention=0)
