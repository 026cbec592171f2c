"""A crew of two in a process of its own, killed while its second task waits for a person, and run again."""

from __future__ import annotations

import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from tests.client.relay import free_port
from tests.conftest import KEY
from tests.runtime.programs import Program, program

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_ROOT = Path(__file__).parent.parent.parent


def _crew(*arguments: str) -> AbstractAsyncContextManager[Program]:
    return program(sys.executable, "-m", "tests.crewai.durable_crew", *arguments, PYTHONPATH=str(_ROOT))


async def _waiting(api: httpx.AsyncClient) -> dict[str, Any]:
    """The request that waits, once one does."""
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/poll/human-input", params=cursor | {"wait": "30"})).json()
        cursor = {"last_event_id": page["cursor"]}
        for event in page["events"]:
            if event["type"] == "human_input_required":
                return dict(event)


@pytest.mark.promise("KEEP-1", "SETTLE-4")
@pytest.mark.parametrize("road", ["sync", "async"])
async def test_a_killed_crew_with_a_server_of_its_own_goes_on_from_its_draft(tmp_path: Path, road: str) -> None:
    port, store, calls = free_port(), f"sqlite:///{tmp_path / 'crew.db'}", tmp_path / "calls"
    crew = ("", store, str(calls), road, str(port))
    async with httpx.AsyncClient(base_url=f"http://localhost:{port}", headers=_RIGHT, timeout=60) as api:
        async with _crew(*crew) as first:
            await first.line("listens")
            before = await _waiting(api)
            first.send(signal.SIGKILL)
            assert await first.end() == -signal.SIGKILL
        async with _crew(*crew) as second:
            await second.line("listens")
            after = await _waiting(api)
            assert (after["request_id"], after["context"]) == (before["request_id"], "text 2")
            await api.post(f"/requests/{after['request_id']}/answer", json={"human_feedback": "shorter"})
            await second_round(api, after)
            assert await second.end() == 0, second.output
    assert "result: text 3" in second.output
    assert calls.read_text().splitlines() == ["1", "1", "2 shorter"]


async def second_round(api: httpx.AsyncClient, first: dict[str, Any]) -> None:
    """Approves the draft that comes of feedback to `first`."""
    page = {"cursor": first["event_id"], "events": []}
    while not any(event["type"] == "human_input_required" for event in page["events"]):
        page = (await api.get("/poll/human-input", params={"last_event_id": page["cursor"], "wait": "30"})).json()
    asked = next(event for event in page["events"] if event["type"] == "human_input_required")
    assert asked["previous"] == first["request_id"]
    await api.post(f"/requests/{asked['request_id']}/answer", json={"decision": "approve"})


@pytest.mark.promise("KEEP-1", "SETTLE-1")
@pytest.mark.parametrize("road", ["sync", "async"])
async def test_an_answer_given_elsewhere_while_a_crew_was_dead_is_taken_when_it_runs_again(
    server: HumanInputServer, tmp_path: Path, road: str
) -> None:
    calls = tmp_path / "calls"
    crew = (server.url, "", str(calls), road)
    async with httpx.AsyncClient(base_url=server.url, headers=_RIGHT, timeout=60) as api:
        async with _crew(*crew) as first:
            asked = await _waiting(api)
            first.send(signal.SIGKILL)
            assert await first.end() == -signal.SIGKILL
        answer = {"decision": "edit", "edited": "as I want it"}
        assert (await api.post(f"/requests/{asked['request_id']}/answer", json=answer)).status_code == 200
        async with _crew(*crew) as second:
            assert await second.end() == 0, second.output
        assert len((await api.get("/requests")).json()["requests"]) == 1
    assert "result: as I want it" in second.output
    assert calls.read_text().splitlines() == ["1", "1"]  # each task's draft once
