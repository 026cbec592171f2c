"""Deadlines: kept by the steady clock, each way that `on_timeout` can choose, and never against an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from sayso import deadlines as keeping
from sayso import limits
from sayso.clock import Clock
from sayso.deadlines import Deadlines
from sayso.errors import StoreFailed
from sayso.gateway import Gateway
from sayso.model import Option, Request, Submission
from sayso.store.memory import MemoryStore
from tests.builders import NOW, question, request
from tests.core.clock import SetClock
from tests.core.slow_store import quiet

FAR = NOW + timedelta(days=3_000)
HOUR = 3_600


async def ask(gateway: Gateway, **members: Any) -> Request:
    stored, _ = await gateway.ask(question(**members), by="key:a", durable=True)
    return stored


async def look_again(gateway: Gateway) -> None:
    """Has the keeper look at the clock now: a new deadline may be the next one due."""
    await ask(gateway, execution_id="elsewhere", deadline=FAR)
    await quiet()


async def settled(gateway: Gateway, pending: Request) -> Request:
    async with asyncio.timeout(5):
        return await gateway.settled(pending.request_id, wait=None)


@pytest.mark.promise("SETTLE-3", "EVENT-3")
@pytest.mark.parametrize(
    ("members", "status", "decision"),
    [
        ({"kind": "review"}, "expired", "reject"),
        ({"kind": "review", "on_timeout": "approve"}, "expired", "approve"),
        ({"kind": "review", "on_timeout": "cancel"}, "cancelled", None),
        ({"default": "the usual"}, "expired", "respond"),
        ({"options": (Option(id="a"),), "default": {"option_ids": ["a"]}}, "expired", "respond"),
        ({}, "cancelled", None),
    ],
)
async def test_what_nobody_answers_ends_as_on_timeout_says(
    members: dict[str, Any], status: str, decision: str | None
) -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        pending = await ask(gateway, timeout=10, **members)

        clock.advance(11)
        await look_again(gateway)

        done = await settled(gateway, pending)
        assert (done.status, done.answer and done.answer.decision) == (status, decision)
        assert (done.settled_by, done.settled_channel, done.reason) == ("system:deadline", "system", "deadline")
        assert (done.human_feedback, done.settled_at) == ("", NOW + timedelta(seconds=11))
        assert len((await gateway.read((await gateway.start("run-1", None)).place)).events) == 2


async def test_nothing_ends_before_its_deadline() -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        soon, late, never = await ask(gateway, timeout=10), await ask(gateway, timeout=20), await ask(gateway)

        clock.advance(15)
        await look_again(gateway)

        assert not (await gateway.get(soon.request_id)).is_open
        assert (await gateway.get(late.request_id)).is_open
        assert (await gateway.get(never.request_id)).is_open


@pytest.mark.promise("SETTLE-3")
async def test_a_request_ends_at_its_deadline_not_after_it() -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        pending = await ask(gateway, timeout=10)

        clock.advance(10)
        await look_again(gateway)

        assert not (await gateway.get(pending.request_id)).is_open


async def test_a_deadline_that_has_passed_ends_the_request_at_once() -> None:
    async with (gateway := Gateway(MemoryStore(), SetClock())).running():
        pending = await ask(gateway, deadline=NOW - timedelta(days=1))

        assert (await settled(gateway, pending)).status == "cancelled"


async def test_more_than_one_page_of_requests_is_due_at_once() -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        pending = [await ask(gateway, timeout=10) for _ in range(1_001)]

        clock.advance(11)
        await look_again(gateway)
        await quiet(turns=5_000)

        assert [one for one in pending if (await gateway.get(one.request_id)).is_open] == []


@pytest.mark.promise("SETTLE-3", "ANSWER-2")
async def test_an_answer_that_came_first_stays() -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        pending = await ask(gateway, timeout=10)
        done = await gateway.answer(pending.request_id, Submission(text="yes"), by="key:a", channel="http")

        clock.advance(11)
        await look_again(gateway)

        assert await gateway.expire(pending) == done
        assert await gateway.get(pending.request_id) == done
        assert len((await gateway.read((await gateway.start("run-1", None)).place)).events) == 2


@pytest.mark.parametrize("days", [-1, 1])
async def test_setting_the_wall_clock_moves_no_deadline(days: int) -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        pending = await ask(gateway, timeout=HOUR)

        clock.set_wall(days)
        await look_again(gateway)
        assert (await gateway.get(pending.request_id)).is_open
        clock.advance(HOUR + 1)
        await look_again(gateway)

        assert not (await gateway.get(pending.request_id)).is_open


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_timeout_is_as_long_as_ever_after_the_wall_clock_was_set(days: int) -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        clock.set_wall(days)
        pending = await ask(gateway, timeout=HOUR)
        await quiet()

        assert (await gateway.get(pending.request_id)).is_open
        clock.advance(HOUR + 1)
        await look_again(gateway)

        assert not (await gateway.get(pending.request_id)).is_open


@pytest.mark.promise("SETTLE-3")
async def test_a_restart_forgets_no_deadline() -> None:
    store, clock = MemoryStore(), SetClock()
    async with (first := Gateway(store, clock)).running():
        due, later = await ask(first, timeout=10), await ask(first, timeout=HOUR)
    clock.advance(20)

    async with (second := Gateway(store, clock)).running():
        assert (await settled(second, due)).status == "cancelled"
        assert (await second.get(later.request_id)).is_open


@pytest.mark.promise("SETTLE-3")
async def test_the_one_that_is_due_first_is_found_behind_many_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH", 10_000)
    monkeypatch.setattr(keeping, "_AGAIN", 0.01)
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        for _ in range(5):
            await ask(gateway, timeout=50, context="x" * 3_000)
        first = await ask(gateway, timeout=10)
        await look_again(gateway)
        clock.advance(11)
        assert (await settled(gateway, first)).status == "cancelled"


async def test_a_store_that_fails_for_a_while_delays_a_deadline_and_loses_none() -> None:
    clock, overdue, expired = SetClock(), [request(deadline=NOW - timedelta(days=1))], asyncio.Event()
    failures = [StoreFailed(), StoreFailed()]

    async def due(before: datetime) -> tuple[Sequence[Request], bool]:
        if failures:
            raise failures.pop()
        return [one for one in overdue if one.deadline is not None and one.deadline < before], False

    async def expire(one: Request) -> None:
        overdue.remove(one)
        expired.set()

    deadlines = Deadlines(clock, due, expire)
    keeper = asyncio.ensure_future(deadlines.keep())
    async with asyncio.timeout(5):
        while not expired.is_set():
            deadlines.added()
            await asyncio.sleep(0)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)

    assert (overdue, failures) == ([], [])


def test_the_steady_clock_grows_and_fresh_ids_are_in_order() -> None:
    clock = Clock()

    moments, ids = [clock.steady() for _ in range(100)], [clock.new_id() for _ in range(100)]

    assert moments == sorted(moments)
    assert len(set(ids)) == 100
    assert clock.now().tzinfo is not None
