"""Retention: what was settled long ago goes, in small steps, and whoever comes late is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from sayso.errors import AlreadySettled, NotFound, RequestMismatch, StoreFailed
from sayso.gateway import Batch, Gateway, Place
from sayso.model import Request, Submission
from sayso.retention import Retention
from sayso.store import Filter
from sayso.store.memory import MemoryStore
from tests.builders import NOW, question
from tests.core.clock import SetClock
from tests.core.slow_store import HeldStore, quiet

DAY = 86_400.0
MONTH = timedelta(days=30)
WHO = {"by": "key:a", "channel": "http"}


@asynccontextmanager
async def after(days: float, store: MemoryStore, clock: SetClock, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway on the store, so much later, that has removed what it will."""
    clock.advance(days * DAY)
    async with (gateway := Gateway(store, clock, **{"retention": MONTH} | settings)).running():
        await quiet()
        yield gateway


async def ask(gateway: Gateway, **members: Any) -> Request:
    return (await gateway.ask(question(**members), by="key:a", durable=True))[0]


async def answer(gateway: Gateway, request_id: str, **members: Any) -> Request:
    return await gateway.answer(request_id, Submission(**{"text": "yes"} | members), **WHO)


async def executions(gateway: Gateway) -> list[str]:
    return [request.execution_id for request in (await gateway.list(Filter())).requests]


@pytest.mark.promise("RETAIN-1")
async def test_an_execution_goes_a_month_after_the_last_settlement_in_it_and_not_before() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        await answer(gateway, (await ask(gateway, execution_id="early")).request_id)
        await answer(gateway, (await ask(gateway, execution_id="late")).request_id)
    async with after(10, store, clock) as gateway:
        await answer(gateway, (await ask(gateway, execution_id="late")).request_id)
    async with after(20, store, clock) as gateway:
        assert await executions(gateway) == ["early", "late", "late"]
    async with after(0.001, store, clock) as gateway:
        assert await executions(gateway) == ["late", "late"]
    async with after(10, store, clock) as gateway:
        assert await executions(gateway) == []


@pytest.mark.promise("RETAIN-1")
async def test_a_pending_request_keeps_its_execution_however_old_that_is() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        done, pending = await ask(gateway), await ask(gateway)
        await answer(gateway, done.request_id)
    async with after(4_000, store, clock) as gateway:
        assert await executions(gateway) == ["run-1", "run-1"]
        assert [event.seq for event in (await gateway.read(Place("run-1", 0))).events] == [1, 2, 3]
        await answer(gateway, pending.request_id)
    async with after(29, store, clock) as gateway:
        assert await executions(gateway) == ["run-1", "run-1"]
    async with after(2, store, clock) as gateway:
        assert await executions(gateway) == []


async def test_without_a_retention_everything_is_kept() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        await answer(gateway, (await ask(gateway)).request_id)
    async with after(4_000, store, clock, retention=None) as gateway:
        assert await executions(gateway) == ["run-1"]


# steps


async def test_it_removes_little_at_once_and_lets_others_write_in_between() -> None:
    asked: list[tuple[datetime, int]] = []

    async def prune(before: datetime, limit: int) -> int:
        asked.append((before, limit))
        return limit if len(asked) < 3 else limit - 1

    retention = Retention(SetClock(), MONTH, prune)

    waits = [await retention.step() for _ in range(3)]

    assert asked == [(NOW - MONTH, 50)] * 3
    assert waits == [0.05, 0.05, 600]


async def test_a_store_that_fails_is_tried_again_later() -> None:
    async def prune(before: datetime, limit: int) -> int:
        raise StoreFailed

    assert await Retention(SetClock(), MONTH, prune).step() == 600


@pytest.mark.parametrize("days", [-4_000, 4_000])
async def test_setting_the_machines_clock_makes_nothing_old(days: int) -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        await answer(gateway, (await ask(gateway)).request_id)
        clock.advance(29 * DAY)
        clock.set_wall(days)
        asked: list[datetime] = []

        async def prune(before: datetime, limit: int) -> int:
            asked.append(before)
            return await store.prune(before, limit=limit)

        await Retention(clock, MONTH, prune).step()

        assert asked == [min(NOW, NOW + timedelta(days=days)) - timedelta(days=1)]
        assert await executions(gateway) == ["run-1"]


async def test_a_step_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sayso.retention._LOOK", 0)
    calls = asyncio.Semaphore(0)

    async def prune(before: datetime, limit: int) -> int:
        calls.release()
        raise StoreFailed

    keeping = asyncio.create_task(Retention(SetClock(), MONTH, prune).keep())
    async with asyncio.timeout(5):
        for _ in range(3):
            await calls.acquire()
    keeping.cancel()


# whoever comes late


@pytest.mark.promise("RETAIN-2")
async def test_a_late_answer_is_told_who_settled_what_was_removed() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        gone = await answer(gateway, (await ask(gateway)).request_id, answer_id="first")
    async with after(31, store, clock) as gateway:
        for late in (
            answer(gateway, gone.request_id),
            answer(gateway, gone.request_id, answer_id="first"),
            gateway.cancel(gone.request_id, "no", **WHO),
        ):
            with pytest.raises(AlreadySettled, match=r"long ago \(answered, by key:a\)") as told:
                await late
            left = told.value.request
            assert (left.request_id, left.execution_id, left.status) == (gone.request_id, "run-1", "answered")
            assert (left.settled_by, left.settled_at) == ("key:a", gone.settled_at)
            assert (left.prompt, left.answer) == ("", None)
        with pytest.raises(NotFound, match="may have been removed"):
            await gateway.get(gone.request_id)
        with pytest.raises(NotFound):
            await answer(gateway, "never-asked")
        with pytest.raises(NotFound):
            await answer(gateway, "no id at all")


@pytest.mark.promise("RETAIN-3")
async def test_what_was_removed_is_not_asked_again() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        gone = await answer(gateway, (await ask(gateway, request_id="mine")).request_id)
    async with after(31, store, clock) as gateway:
        with pytest.raises(RequestMismatch, match="settled and then removed; use a new id"):
            await ask(gateway, request_id=gone.request_id)
        assert await executions(gateway) == []


async def reasons(gateway: Gateway, *starts: tuple[str | None, str]) -> list[str | None]:
    batches = [await gateway.start(stream, cursor) for stream, cursor in starts]
    return [batch.reset and batch.reset.reason for batch in batches]


@pytest.mark.promise("STREAM-3")
async def test_a_cursor_of_a_removed_event_gets_a_reset() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        gone = await answer(gateway, (await ask(gateway)).request_id)
        cursors = [gone.asked_event_id, gone.settled_event_id or ""]
        assert await reasons(gateway, *((None, one) for one in cursors)) == [None, None]
    async with after(31, store, clock) as gateway:
        assert await reasons(gateway, *((None, one) for one in cursors)) == ["unknown-cursor"] * 2
        assert await reasons(gateway, *(("run-1", one) for one in cursors)) == ["unknown-cursor"] * 2


@pytest.mark.promise("STREAM-2", "STREAM-3")
async def test_a_cursor_before_what_was_removed_of_other_executions_gets_a_reset_where_it_would_miss_that() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        pending = await ask(gateway, execution_id="kept")
        await answer(gateway, (await ask(gateway, execution_id="gone")).request_id)
        last = await ask(gateway, execution_id="kept")
    async with after(31, store, clock) as gateway:
        early, late = pending.asked_event_id, last.asked_event_id
        assert await reasons(gateway, (None, early), (None, late)) == ["unknown-cursor", None]
        assert await reasons(gateway, ("kept", early), ("kept", late)) == [None, None]
        batch = await gateway.start(None, early)
        assert batch.reset is not None
        assert [one.request_id for one in batch.reset.requests] == [pending.request_id, last.request_id]
        assert batch.cursor == late


@pytest.mark.promise("STREAM-3", "STREAM-5")
async def test_a_cursor_from_before_the_first_event_is_good_until_something_was_removed() -> None:
    store, clock = MemoryStore(), SetClock()
    async with after(0, store, clock) as gateway:
        former = (await gateway.start(None, None)).cursor or ""
        await answer(gateway, (await ask(gateway)).request_id)
        assert await reasons(gateway, (None, former)) == [None]
    async with after(31, store, clock) as gateway:
        batch = await gateway.start(None, former)
        assert batch.reset is not None
        assert await reasons(gateway, (None, batch.reset.event_id)) == [None]
        new = await ask(gateway, execution_id="run-2")
        events = (await gateway.read((await gateway.start(None, batch.reset.event_id)).place)).events
        assert [event.event_id for event in events] == [new.asked_event_id]


@pytest.mark.promise("STREAM-3")
async def test_a_follower_that_is_overtaken_by_a_removal_gets_a_reset() -> None:
    store, clock = HeldStore(), SetClock()
    async with (gateway := Gateway(store, clock)).running():
        first = await ask(gateway, execution_id="kept")
        await answer(gateway, (await ask(gateway, execution_id="gone")).request_id)
        last = await ask(gateway, execution_id="kept")
        batch = await gateway.start(None, first.asked_event_id)
        assert batch.reset is None

        await store.prune(NOW + timedelta(days=1), limit=9)
        batch = await gateway.read(batch.place)

        assert batch.reset is not None
        assert (batch.reset.reason, batch.events) == ("unknown-cursor", ())
        assert batch.cursor == last.asked_event_id
        await assert_goes_on(gateway, batch)


async def assert_goes_on(gateway: Gateway, batch: Batch) -> None:
    new = await ask(gateway, execution_id="run-2")
    events = (await gateway.read(batch.place)).events
    assert [event.event_id for event in events] == [new.asked_event_id]
