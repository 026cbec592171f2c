"""What waits in the store: how often it is looked at, and what is said while the store does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sayso import waiting
from sayso.errors import StoreFailed
from sayso.waiting import Open, Waiting
from tests.builders import NOW
from tests.core.clock import SetClock


class Store:
    """Says what is open, or fails, or takes its time."""

    def __init__(self) -> None:
        self.looks = 0
        self.open = Open(0, None)
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def look(self) -> Open:
        self.looks += 1
        await self.answers.wait()
        if self.error:
            raise self.error
        return self.open


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def looked(clock: SetClock, store: Store) -> AsyncIterator[Waiting]:
    looked = Waiting(clock, store.look)
    keeping = asyncio.ensure_future(looked.keep())
    yield looked
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def read(looked: Waiting) -> list[float]:
    async with asyncio.timeout(5):
        return [metric.samples[0][1] for metric in await looked.read()]  # type: ignore[misc]  # gauges have numbers


async def test_the_store_is_asked_when_somebody_asks_and_then_not_for_five_seconds(
    looked: Waiting, store: Store, clock: SetClock
) -> None:
    assert store.looks == 0
    store.open = Open(2, NOW - timedelta(seconds=30))
    assert await asyncio.gather(*(read(looked) for _ in range(20))) == [[2.0, 30.0]] * 20
    clock.advance(4.9)
    assert await read(looked) == [2.0, 34.9]  # the age goes on
    assert store.looks == 1
    clock.advance(0.1)
    store.open = Open(0, None)
    assert await read(looked) == [0.0, 0.0]
    assert store.looks == 2


async def test_a_store_that_takes_its_time_is_not_waited_for_and_not_asked_twice(
    looked: Waiting, store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_PATIENCE", 0.01)
    store.answers.clear()
    assert [await read(looked), await read(looked)] == [[], []]
    clock.advance(60)
    assert await read(looked) == []
    assert store.looks == 1
    monkeypatch.setattr(waiting, "_PATIENCE", 5)
    store.answers.set()
    assert await read(looked) == [0.0, 0.0]
    store.answers.clear()
    clock.advance(5)
    monkeypatch.setattr(waiting, "_PATIENCE", 0.01)
    assert await read(looked) == []  # what was seen before is not told as what is


async def test_nothing_is_said_of_a_store_that_fails_and_it_is_asked_again(
    looked: Waiting, store: Store, clock: SetClock
) -> None:
    store.error = StoreFailed("away")
    assert await read(looked) == []
    store.error = None
    clock.advance(5)
    assert await read(looked) == [0.0, 0.0]
