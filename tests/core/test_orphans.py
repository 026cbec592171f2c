"""What a process that has ended left pending: given up when the store is opened, however much it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from sayso.errors import StoreFailed
from sayso.gateway import Gateway
from sayso.model import InputCompleted, Request, Submission
from sayso.store import Filter, Page, Settled
from sayso.store.memory import MemoryStore
from tests.builders import NOW, asked, question, request
from tests.core.clock import SetClock
from tests.core.slow_store import quiet

PENDING = Filter(status=frozenset({"pending"}))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sayso.orphans._FIRST", 2)
    monkeypatch.setattr("sayso.orphans._STEP", 2)
    monkeypatch.setattr("sayso.orphans._AGAIN", 0)


class SlowToSettle(MemoryStore):
    """Settles two at once, as many times as a test lets it; its lists fail as often as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = asyncio.Semaphore(2)
        self.failures = 0

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        await self.turns.acquire()
        return await super().settle(request, fact)

    async def list(self, filter: Filter, **how: Any) -> Page:
        if self.failures and filter.durable is False:
            self.failures -= 1
            raise StoreFailed
        return await super().list(filter, **how)


async def left(store: MemoryStore, count: int, *, durable: bool = False, **members: Any) -> list[Request]:
    """What a former process asked."""
    requests = [request(durable=durable, **members) for _ in range(count)]
    for one in requests:
        await store.put(one, asked(one))
    return requests


async def pending(gateway: Gateway) -> list[str]:
    return [one.request_id for one in (await gateway.list(PENDING)).requests]


def ids(requests: Iterable[Request]) -> list[str]:
    return [one.request_id for one in requests]


@pytest.mark.promise("SETTLE-4")
async def test_nobody_sees_the_first_orphans() -> None:
    kept = await left(store := MemoryStore(), 1, durable=True)
    orphans = await left(store, 2)

    async with (gateway := Gateway(store)).running():
        assert await pending(gateway) == ids(kept)
        ended = [await gateway.get(one.request_id) for one in orphans]
        assert {(one.status, one.reason, one.settled_by) for one in ended} == {
            ("cancelled", "asker-gone", "system:asker")
        }


@pytest.mark.promise("SETTLE-4")
async def test_a_store_with_many_orphans_is_ready_before_they_are_given_up() -> None:
    store = SlowToSettle()
    orphans = await left(store, 3) + await left(store, 2)
    kept = await left(store, 2, durable=True)

    async with asyncio.timeout(5), (gateway := Gateway(store)).running():
        await quiet()
        assert await pending(gateway) == ids([*orphans[2:], *kept])
        new, _ = await gateway.ask(question(), by="process", durable=False)
        for _ in range(20):
            store.turns.release()
        await quiet()
        assert await pending(gateway) == [*ids(kept), new.request_id]


@pytest.mark.promise("SETTLE-4")
async def test_an_orphan_is_given_up_even_where_its_deadline_has_passed() -> None:
    clock, store = SetClock(), SlowToSettle()
    due = NOW - timedelta(seconds=1)
    orphans = await left(store, 5, kind="review", deadline=due)
    own = await left(store, 1, durable=True, kind="review", deadline=due)

    async with asyncio.timeout(5), (gateway := Gateway(store, clock)).running():
        for _ in range(20):
            store.turns.release()
        await quiet()
        ended = [(await gateway.get(one.request_id)).reason for one in [*orphans, *own]]
        assert ended == ["asker-gone"] * 5 + ["deadline"]


@pytest.mark.promise("SETTLE-3", "SETTLE-4")
async def test_deadlines_of_this_process_are_kept_once_the_orphans_are_gone() -> None:
    clock, store = SetClock(), SlowToSettle()
    await left(store, 5)

    async with asyncio.timeout(5), (gateway := Gateway(store, clock)).running():
        new, _ = await gateway.ask(question(kind="review", timeout=1), by="process", durable=False)
        clock.advance(2)
        await quiet()
        for _ in range(20):
            store.turns.release()
        await quiet()
        assert (await gateway.get(new.request_id)).status == "expired"


@pytest.mark.promise("SETTLE-4")
async def test_a_failure_of_the_store_only_delays_it() -> None:
    store = SlowToSettle()
    await left(store, 6)

    async with asyncio.timeout(5), (gateway := Gateway(store)).running():
        store.failures = 3
        for _ in range(20):
            store.turns.release()
        await quiet()
        assert (await pending(gateway), store.failures) == ([], 0)


@pytest.mark.promise("SETTLE-4")
async def test_an_orphan_that_somebody_answers_first_stays_answered() -> None:
    store = SlowToSettle()
    orphans = await left(store, 4)

    async with asyncio.timeout(5), (gateway := Gateway(store)).running():
        last = orphans[-1].request_id
        answering = asyncio.create_task(gateway.answer(last, Submission(text="yes"), by="key:a", channel="http"))
        await quiet()
        for _ in range(20):
            store.turns.release()
        await quiet()
        assert [(await gateway.get(one.request_id)).status for one in orphans] == ["cancelled"] * 3 + [
            (await answering).status
        ]
        assert await pending(gateway) == []


@pytest.mark.promise("SETTLE-4")
async def test_a_start_that_is_cut_short_leaves_the_rest_to_the_next_one() -> None:
    store = SlowToSettle()
    orphans = await left(store, 5)
    async with (gateway := Gateway(store)).running():
        await quiet()
        assert await pending(gateway) == ids(orphans[2:])
    store.turns = asyncio.Semaphore(99)

    async with asyncio.timeout(5), (gateway := Gateway(store)).running():
        await quiet()
        assert await pending(gateway) == []
    log = await store.read(None, after=0, limit=99)
    assert [event.seq for event in log] == list(range(1, 11))
