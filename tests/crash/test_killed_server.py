"""SIGKILL of a server whose clients ask and answer: what was acknowledged is there, and ended once.

SAYSO_ROUNDS says how often it is killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import KEY
from tests.crash.doubles import WINDOW
from tests.crash.driving import Driver, driver, kill
from tests.crash.ledger import Ledger

ROUNDS = int(os.environ.get("SAYSO_ROUNDS", "20"))
WRITERS = 12
_RIGHT = {"Authorization": f"Bearer {KEY}"}


class Clients:
    """Ask and answer, two answers to each question, until the server is gone; then say again what got no reply."""

    def __init__(self, url: str, ledger: Ledger, acknowledged: asyncio.Semaphore) -> None:
        self._ledger = ledger
        self._acknowledged = acknowledged
        limits = httpx.Limits(max_connections=4 * WRITERS)
        self.api = httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30, limits=limits)

    async def ask(self, request_id: str) -> None:
        self._ledger.unsure_asks.add(request_id)
        question = {"request_id": request_id, "execution_id": f"run-{request_id[:2]}", "prompt": "Ship it?"}
        response = await self.api.post("/requests", json=question)
        assert response.status_code in (200, 201), response.text
        self._ledger.unsure_asks.discard(request_id)
        self._ledger.asked.add(request_id)
        self._acknowledged.release()

    async def answer(self, request_id: str, answer_id: str) -> None:
        self._ledger.unsure_answers.add((request_id, answer_id))
        body = {"human_feedback": "yes", "answer_id": answer_id}
        response = await self.api.post(f"/requests/{request_id}/answer", json=body)
        if response.status_code == 404:
            return  # which the ledger counts: it was asked
        assert response.status_code in (200, 409), response.text
        settled = response.json() if response.status_code == 200 else response.json()["request"]
        if response.status_code == 200:
            assert settled["answer"]["answer_id"] == answer_id
        self._ledger.unsure_answers.discard((request_id, answer_id))
        self._ledger.won[request_id].add(settled["answer"]["answer_id"])
        self._acknowledged.release()

    async def write(self) -> None:
        with suppress(httpx.TransportError):
            while True:
                request_id = str(uuid.uuid4())
                await self.ask(request_id)
                await asyncio.gather(*(self.answer(request_id, str(uuid.uuid4())) for _ in range(2)))

    async def say_again(self) -> None:
        ledger = self._ledger
        await asyncio.gather(*(self.ask(one) for one in list(ledger.unsure_asks)))
        known = [(request_id, answer_id) for request_id, answer_id in ledger.unsure_answers]
        await asyncio.gather(*(self.answer(*one) for one in known))

    async def requests(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        page: dict[str, Any] = {"next": "0"}
        while page["next"]:
            page = (await self.api.get("/requests", params={"limit": 1000, "after": page["next"]})).json()
            found |= {one["request_id"]: one for one in page["requests"]}
        return found

    async def events(self) -> list[dict[str, Any]]:
        """Of all executions, each from its first event."""
        found: list[dict[str, Any]] = []
        for number in range(256):
            page: dict[str, Any] = {"cursor": None, "more": True}
            seqs: list[int] = []
            while page["more"]:
                cursor = {"last_event_id": page["cursor"]} if page["cursor"] else {}
                page = (await self.api.get(f"/poll/human-input/run-{number:02x}", params=cursor)).json()
                found += page["events"]
                seqs += [event["seq"] for event in page["events"]]
            assert seqs == list(range(1, len(seqs) + 1))
        return found


async def kill_at_some_moment(process: int, acknowledged: asyncio.Semaphore, chance: random.Random) -> None:
    """After so many acknowledgements, and then some: within each of the windows, and between them."""
    for _ in range(chance.randrange(1, 40)):
        await acknowledged.acquire()
    await asyncio.sleep(chance.uniform(0, 2.5 * WINDOW))
    await kill(process)


async def kill_round(on: Driver, writer: str, ledger: Ledger, chance: random.Random) -> None:
    process = await on.start(writer)
    if chance.random() < 0.1:
        await asyncio.sleep(chance.uniform(0, 0.2))
        await kill(process)  # while it starts, and mends what the last one left
        process = await on.start(writer)
    acknowledged = asyncio.Semaphore(0)
    clients = Clients(await on.url(process), ledger, acknowledged)
    async with clients.api:
        await clients.say_again()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(clients.write())
            tasks.create_task(kill_at_some_moment(process, acknowledged, chance))


async def look(on: Driver, writer: str, ledger: Ledger) -> tuple[list[str], list[str]]:
    """What is lost, and what ended twice, as the next server tells it."""
    process = await on.start(writer)
    clients = Clients(await on.url(process), ledger, asyncio.Semaphore(0))
    async with clients.api:
        lost = ledger.lost(await clients.requests())
        await clients.say_again()
        twice = ledger.twice(await clients.events())
    await kill(process)
    return lost, twice


@pytest.mark.promise("ASK-1", "ASK-2", "ANSWER-1", "ANSWER-2", "ANSWER-3", "EVENT-2")
async def test_a_server_that_is_killed_again_and_again_loses_nothing_and_settles_nothing_twice(tmp_path: Path) -> None:
    ledger, chance = Ledger(), random.Random(ROUNDS)  # noqa: S311 - moments, not secrets
    async with driver(tmp_path / "killed.db") as on:
        for _ in range(ROUNDS):
            async with asyncio.timeout(60):
                await kill_round(on, "slow", ledger, chance)
        lost, twice = await look(on, "slow", ledger)

    print(f"{ROUNDS} rounds: {len(ledger.asked)} asks, {len(ledger.won)} answers, {len(lost)} lost, {len(twice)} twice")
    assert len(ledger.asked) > 2 * ROUNDS
    assert len(ledger.won) > ROUNDS
    assert (lost, twice) == ([], [])


async def test_a_server_that_acknowledges_before_it_commits_is_found_out(tmp_path: Path) -> None:
    """The control: the same rounds, the same clients, another writer."""
    ledger, chance = Ledger(), random.Random(1)  # noqa: S311 - moments, not secrets
    lost: list[str] = []
    async with driver(tmp_path / "killed.db") as on:
        for number in range(1, 21):
            async with asyncio.timeout(60):
                await kill_round(on, "hasty", ledger, chance)
                lost, _ = await look(on, "hasty", ledger)
            if lost:
                print(f"round {number}: {len(lost)} of {len(ledger.asked)} asks and {len(ledger.won)} answers are lost")
                break
    assert lost
