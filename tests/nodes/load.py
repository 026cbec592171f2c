"""Agents and people who go on, and followers who listen, whatever is done to the nodes meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sayso import AsyncClient
from sayso.client import Reset
from tests.builders import question
from tests.conftest import KEY
from tests.crash.clients import Clients
from tests.crash.ledger import Ledger
from tests.reconnect.trial import Fact, dense

END: Final = "the-end"
_PATIENCE: Final = 60.0
"""Seconds in which what was begun comes to its end, once nothing is done to the nodes any more."""


@dataclass
class Load:
    """What was acknowledged, what each follower was told, and, once it is over, what the log holds."""

    ledger: Ledger = field(default_factory=Ledger)
    acknowledged: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    told: list[list[Fact]] = field(default_factory=list)
    log: list[Fact] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    async def come_on(self, acknowledgements: int) -> None:
        """Returns when there were so many more."""
        async with asyncio.timeout(_PATIENCE):
            for _ in range(acknowledgements):
                await self.acknowledged.acquire()

    async def some_moment(self, chance: random.Random, most: int = 40) -> None:
        """Returns some time after some acknowledgements: between two commits, or within one."""
        await self.come_on(chance.randrange(1, most))
        await asyncio.sleep(chance.uniform(0, 0.1))

    @property
    def gaps(self) -> list[Fact]:
        return [fact for told in self.told for fact in set(self.log) - set(told)]

    @property
    def repeats(self) -> list[Fact]:
        return [fact for told in self.told for fact, times in Counter(told).items() if times > 1]

    def check(self, *, asks: int) -> None:
        assert len(self.ledger.asked) >= asks
        assert (self.lost, self.twice) == ([], [])
        assert dense(self.log)
        assert (self.gaps, self.repeats) == ([], [])
        assert all(told == self.log for told in self.told)

    def __str__(self) -> str:
        return (
            f"{len(self.ledger.asked)} asks, {len(self.ledger.won)} answers, {len(self.lost)} lost, {len(self.twice)} "
            f"twice; {len(self.told)} followers of {len(self.log)} events, {len(self.gaps)} gaps, "
            f"{len(self.repeats)} repeats"
        )


@asynccontextmanager
async def load(url: str, *, followed: Sequence[str], writers: int = 6) -> AsyncIterator[Load]:
    """Writers go by `url`; a follower of ours is at each of `followed`. On leaving, everyone comes to an end."""
    load, enough = Load(), asyncio.Event()
    clients = Clients(url, load.ledger, load.acknowledged)
    async with clients.api, AsyncClient(url, KEY) as api:
        origin = (await api.page()).cursor
        async with asyncio.TaskGroup() as tasks:
            load.told = [[] for _ in followed]
            following = [tasks.create_task(_follow(*each, origin)) for each in zip(followed, load.told, strict=True)]
            writing = [tasks.create_task(clients.insist(enough)) for _ in range(writers)]
            yield load
            enough.set()
            async with asyncio.timeout(_PATIENCE):
                await asyncio.gather(*writing)
                await api.ask(question(execution_id=END))
                await asyncio.gather(*following)
        load.lost = load.ledger.lost(await clients.requests())
        events = await _events(clients, origin)
        load.twice = load.ledger.twice(events)
        load.log = [(event["execution_id"], event["seq"]) for event in events]


async def _follow(url: str, told: list[Fact], origin: str) -> None:
    async with AsyncClient(url, KEY) as client, aclosing(client.follow(after=origin)) as events:
        async for event in events:
            assert not isinstance(event, Reset), event
            told.append((event.execution_id, event.seq))
            if event.execution_id == END:
                return


async def _events(clients: Clients, cursor: str) -> list[dict[str, Any]]:
    """Of all executions, after that cursor."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"more": True}
    while page["more"]:
        page = (await clients.api.get("/poll/human-input", params={"last_event_id": cursor})).json()
        assert "reset" not in page
        found += page["events"]
        cursor = page["cursor"]
    return found
