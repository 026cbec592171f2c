"""SIGKILL of a server whose clients ask and answer: what was acknowledged is there, and ended once.

SAYSO_ROUNDS says how often it is killed.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.crash.clients import Clients
from tests.crash.doubles import WINDOW
from tests.crash.driving import Driver, driver, kill
from tests.crash.ledger import Ledger

ROUNDS = int(os.environ.get("SAYSO_ROUNDS", "20"))
WRITERS = 12


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
