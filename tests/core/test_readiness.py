"""Whether a node can take questions: what is looked at, how often, and what is said of it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sayso.errors import StoreFailed, Unready
from sayso.readiness import Readiness
from tests.core.clock import SetClock


class Store:
    """Writes, or fails, or never comes back."""

    def __init__(self) -> None:
        self.writes = 0
        self.error: Exception | None = None
        self.hangs = False

    async def write(self) -> None:
        self.writes += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def readiness(clock: SetClock, store: Store) -> Readiness:
    return Readiness(clock, store.write)


async def unready(readiness: Readiness) -> list[str]:
    with pytest.raises(Unready) as told:
        await readiness.check()
    assert told.value.status == 503
    named: list[str] = told.value.members["not_ready"]
    return named


async def test_a_node_is_ready_once_its_store_took_a_write(readiness: Readiness, store: Store) -> None:
    await readiness.check()
    assert store.writes == 1


async def test_a_finding_counts_for_a_second_however_many_ask(
    readiness: Readiness, store: Store, clock: SetClock
) -> None:
    await asyncio.gather(*(readiness.check() for _ in range(50)))
    clock.advance(0.9)
    await readiness.check()
    assert store.writes == 1
    clock.advance(0.1)
    store.error = StoreFailed("read-only")
    assert await unready(readiness) == ["store"]
    clock.advance(0.9)
    store.error = None
    assert await unready(readiness) == ["store"]
    assert store.writes == 2
    clock.advance(0.1)
    await readiness.check()


async def test_a_store_that_does_not_answer_is_not_ready(
    readiness: Readiness, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sayso.readiness._PATIENCE", 0.01)
    store.hangs = True
    async with asyncio.timeout(5):
        assert [await unready(readiness), await unready(readiness)] == [["store"], ["store"]]
    assert store.writes == 1


async def test_a_node_that_ends_soon_is_not_ready_and_does_not_look(readiness: Readiness, store: Store) -> None:
    await readiness.check()
    readiness.is_draining = True
    assert await unready(readiness) == ["draining"]
    assert store.writes == 1


async def test_what_is_wrong_is_logged_once_and_not_told_to_strangers(
    readiness: Readiness, store: Store, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.error = StoreFailed("postgresql://db.internal/sayso cannot be reached")
    for _ in range(3):
        with pytest.raises(Unready) as told:
            await readiness.check()
        assert "db.internal" not in str(told.value)
        clock.advance(1)
    store.error = None
    for _ in range(3):
        await readiness.check()
        clock.advance(1)
    assert [record.getMessage() for record in caplog.records] == [
        "not ready: postgresql://db.internal/sayso cannot be reached",
        "ready again",
    ]
