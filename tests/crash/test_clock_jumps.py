"""Somebody sets the machine's clock while questions wait: no deadline, no wait and no retention moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sayso.gateway import Gateway
from sayso.model import Submission
from sayso.store.sqlite import SQLiteStore
from tests.builders import NOW, question
from tests.core.clock import SetClock

DAY = 86_400
HOUR = 3_600
JUMPS = [[1], [-1], [400], [-400], [1, -1, 1, -1], [-30, 60, -30]]
WHO = {"by": "key:a", "channel": "http"}


class WallClock(SetClock):
    """What a server would have that trusted the clock on the wall."""

    def steady(self) -> datetime:
        return self.now()


async def moved(store: SQLiteStore, clock: SetClock, jumps: Iterable[int]) -> list[str]:
    """What happens when it should not, or does not when it should, while the clock jumps by so many days each time."""
    wrong: list[str] = []

    async def look(gateway: Gateway, hours: float, *, gone: set[str]) -> None:
        """Once the keeper of deadlines has looked at the clock again, which it does for each new deadline."""
        tick, _ = await gateway.ask(question(timeout=0.001), by="key:a", durable=True)
        clock.advance(0.002)
        await gateway.ask(question(timeout=3_000 * DAY), by="key:a", durable=True)
        async with asyncio.timeout(5):
            await gateway.settled(tick.request_id, wait=None)
        ended = {id for id in ("hour", "day") if not (await gateway.get(id)).is_open}
        if ended != gone:
            wrong.append(f"after {hours} hours {sorted(ended)} had ended")

    async with (gateway := Gateway(store, clock, retention=timedelta(days=30))).running():
        await gateway.ask(question(request_id="hour", execution_id="run-2", timeout=HOUR), by="key:a", durable=True)
        await gateway.ask(question(request_id="day", execution_id="run-3", timeout=DAY), by="key:a", durable=True)
        await gateway.ask(question(request_id="old", execution_id="old"), by="key:a", durable=True)
        await gateway.answer("old", Submission(text="yes"), **WHO)
        for days in jumps:
            clock.set_wall(days)
            await look(gateway, 0, gone=set())
        clock.advance(0.9 * HOUR)
        await look(gateway, 0.9, gone=set())
        clock.advance(0.2 * HOUR)
        await look(gateway, 1.1, gone={"hour"})
        clock.advance(DAY)
        await look(gateway, 25.1, gone={"hour", "day"})
        assert gateway._retention is not None
        await gateway._retention.step()
        if await store.get("old") is None:
            wrong.append("what is a day old was removed")
    return wrong


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(tmp_path / "log.db")


@pytest.mark.promise("SETTLE-3", "RETAIN-1")
@pytest.mark.parametrize("jumps", JUMPS, ids=str)
async def test_nothing_moves_when_the_clock_is_set(store: SQLiteStore, jumps: list[int]) -> None:
    assert await moved(store, SetClock(), jumps) == []


@pytest.mark.parametrize("jumps", [[1], [400]], ids=str)
async def test_a_server_that_trusts_the_clock_on_the_wall_is_found_out(store: SQLiteStore, jumps: list[int]) -> None:
    """The control: the same jumps, another clock."""
    assert await moved(store, WallClock(), jumps) != []


@pytest.mark.promise("SETTLE-1")
@pytest.mark.parametrize("days", [-400, 400])
async def test_a_wait_is_as_long_as_it_was_to_be(store: SQLiteStore, days: int) -> None:
    async with (gateway := Gateway(store, clock := SetClock())).running():
        await gateway.ask(question(request_id="mine"), by="key:a", durable=True)
        waiting = asyncio.create_task(gateway.settled("mine", wait=HOUR))
        for _ in range(3):
            await gateway.get("mine")

        clock.set_wall(days)
        await gateway.ask(question(request_id="other"), by="key:a", durable=True)
        await gateway.get("mine")
        assert not waiting.done()
        await gateway.answer("mine", Submission(text="yes"), **WHO)

        async with asyncio.timeout(5):
            assert (await waiting).status == "answered"
    assert clock.now() == NOW + timedelta(days=days)
