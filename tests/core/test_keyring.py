"""What a process knows of its store's keys: fresh enough, read seldom enough, and noticed when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from sayso import limits
from sayso.errors import NotFound, StoreFailed, Unauthorised
from sayso.keyring import Keyring
from sayso.keys import DICE, Key, KeyMade, KeyWanted, Rotation, new_secret
from sayso.store.memory import MemoryStore
from tests.builders import NOW
from tests.core.clock import SetClock
from tests.core.slow_store import quiet


class CountingStore(MemoryStore):
    """Counts how often its keys are read and their uses written; fails while `fails`."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.uses: list[Mapping[str, datetime]] = []
        self.fails = False
        self.was_read = asyncio.Event()

    async def keys(self) -> Sequence[Key]:
        self.reads += 1
        self.was_read.set()
        await asyncio.sleep(0)
        if self.fails:
            raise StoreFailed
        return await super().keys()

    async def used_keys(self, last: Mapping[str, datetime]) -> None:
        self.uses.append(last)
        await super().used_keys(last)


class SilentClock(SetClock):
    """Reads late enough for no pause between two readings of the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(1_000)


async def made(keyring: Keyring, **wanted: Any) -> KeyMade:
    return await keyring.create(KeyWanted(**{"name": "agent", "scopes": ("ask",)} | wanted))


@asynccontextmanager
async def kept(keyring: Keyring) -> AsyncIterator[None]:
    keeping = asyncio.create_task(keyring.keep())
    yield
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


@pytest.fixture
def clock() -> SetClock:
    return SilentClock()


async def test_a_key_of_the_store_opens_with_its_secret_alone(clock: SetClock) -> None:
    keyring = Keyring(CountingStore(), clock)
    one, other = await made(keyring), await made(keyring, name="other")
    for key in (one, other):
        found = await keyring.opened_with(key.secret)
        assert found is not None and found.id == key.key.id
    for wrong in ("", "test", one.secret[:-1], f"sayso_{one.key.id}_{other.secret[-32:]}"):
        assert await keyring.opened_with(wrong) is None


async def test_a_secret_is_told_once_and_is_not_in_the_store(clock: SetClock) -> None:
    store = CountingStore()
    secret = (await made(Keyring(store, clock))).secret
    assert secret not in repr(vars(store)) and secret[-32:] not in repr(await store.keys())


@pytest.mark.promise("KEY-5")
async def test_a_key_that_was_made_or_ended_elsewhere_is_known(clock: SetClock) -> None:
    store = CountingStore()
    here, there = Keyring(store, clock), Keyring(store, clock)
    assert await here.opened_with(new_secret(b"r" * DICE)[1]) is None
    key = await made(there)
    assert await here.opened_with(key.secret)  # at once: its holder has it already
    await there.revoke(key.key.id)
    assert await there.opened_with(key.secret) is None
    clock.advance(limits.KEYS_FRESH)
    assert await here.opened_with(key.secret) is None


async def test_the_keys_are_read_once_a_second_however_often_they_are_used(clock: SetClock) -> None:
    store = CountingStore()
    keyring = Keyring(store, clock)
    key = await made(keyring)
    before = store.reads
    clock.advance(limits.KEYS_FRESH)
    await asyncio.gather(*(keyring.opened_with(key.secret) for _ in range(100)))
    assert store.reads == before + 1


async def test_many_who_guess_at_once_cost_two_readings(clock: SetClock) -> None:
    store = CountingStore()
    keyring = Keyring(store, clock)
    guesses = [new_secret(bytes([number]) * DICE)[1] for number in range(100)]
    assert set(await asyncio.gather(*(keyring.opened_with(guess) for guess in guesses))) == {None}
    assert store.reads <= 2
    for text in ("", "sayso_", "test-key", "sayso_aaaaaaaa_short"):
        await keyring.opened_with(text)
    assert store.reads <= 2


@pytest.mark.promise("KEY-7")
async def test_the_last_use_is_written_at_most_once_a_minute(clock: SetClock) -> None:
    store = CountingStore()
    keyring = Keyring(store, clock)
    key = await made(keyring)
    async with kept(keyring):
        for seconds in (0, 30, limits.KEY_USED - 31, 1, 1):
            clock.advance(seconds)
            await keyring.opened_with(key.secret)
            await quiet()
    assert [list(uses) for uses in store.uses] == [[key.key.id]] * 2
    assert (await keyring.list())[0].last_used_at == NOW + timedelta(seconds=1_000 + limits.KEY_USED)


async def test_nothing_is_known_of_a_key_that_is_listed_no_more(clock: SetClock) -> None:
    keyring = Keyring(CountingStore(), clock)
    for name in ("first", "second", "third"):
        key = await made(keyring, name=name)
        assert await keyring.opened_with(key.secret)
        await keyring.revoke(key.key.id)
        clock.advance(limits.KEY_REMAINS + 1)
    key = await made(keyring)
    assert await keyring.opened_with(key.secret)
    assert [*keyring._known] == [*keyring._written] == [key.key.id]


@pytest.mark.promise("KEY-5")
@pytest.mark.parametrize("end", ["revoked", "rotated", "expired", "revoked elsewhere"])
async def test_what_is_held_with_a_key_ends_with_it_and_nothing_else_does(clock: SetClock, end: str) -> None:
    store = CountingStore()
    keyring, elsewhere = Keyring(store, clock), Keyring(store, clock)
    key = await made(keyring, expires_at=NOW + timedelta(hours=1) if end == "expired" else None)
    other = await made(keyring, name="other")
    ended: list[str] = []

    async def hold(id: str | None) -> None:
        try:
            async with keyring.held(id):
                await asyncio.Event().wait()
        except Unauthorised:
            ended.append(str(id))

    async with kept(keyring), asyncio.timeout(10):
        holding = [asyncio.create_task(hold(id)) for id in (key.key.id, key.key.id, other.key.id, None)]
        await quiet()
        assert ended == []
        if end == "revoked":
            await keyring.revoke(key.key.id)
        elif end == "rotated":
            await keyring.rotate(key.key.id, Rotation(overlap=0))
        elif end == "expired":
            clock.advance(3_600)
        else:
            await elsewhere.revoke(key.key.id)
            clock.advance(limits.KEYS_FRESH)
        await asyncio.gather(*holding[:2])
        assert ended == [key.key.id] * 2
        assert [task.done() for task in holding[2:]] == [False, False]
        for task in holding[2:]:
            task.cancel()
        await asyncio.wait(holding[2:])


async def test_nothing_is_held_with_a_key_that_has_ended_or_never_was(clock: SetClock) -> None:
    keyring = Keyring(CountingStore(), clock)
    key = await made(keyring)
    await keyring.revoke(key.key.id)
    for id in (key.key.id, "unknown"):
        with pytest.raises(Unauthorised):
            async with keyring.held(id):
                raise AssertionError("it is held")


async def test_a_timeout_within_what_is_held_stays_one(clock: SetClock) -> None:
    keyring = Keyring(CountingStore(), clock)
    key = await made(keyring)
    with pytest.raises(TimeoutError):
        async with keyring.held(key.key.id), asyncio.timeout(0):
            await asyncio.Event().wait()
    assert keyring._held == {}


async def test_a_store_that_fails_for_a_while_ends_no_key_and_hides_no_end(
    clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = CountingStore()
    keyring = Keyring(store, clock)
    key = await made(keyring, expires_at=NOW + timedelta(hours=1))

    async def hold() -> None:
        async with keyring.held(key.key.id):
            await asyncio.Event().wait()

    async with kept(keyring), asyncio.timeout(10):
        holding = asyncio.create_task(hold())
        await quiet()
        store.fails = True
        clock.advance(limits.KEYS_FRESH)
        store.was_read.clear()
        await store.was_read.wait()
        await quiet()
        assert not holding.done()
        assert "keys were not read" in caplog.text
        with pytest.raises(StoreFailed):
            await keyring.opened_with(key.secret)
        clock.advance(3_600)  # its time is known without the store
        with pytest.raises(Unauthorised):
            await holding


async def test_a_key_that_makes_keys_has_one_needed_for_ever(clock: SetClock) -> None:
    store = CountingStore()
    keyring = Keyring(store, clock)
    await made(keyring)
    assert (await keyring.are_needed(), await keyring.has_admin()) == (False, False)
    boss = await made(keyring, name="boss", scopes=("admin",), expires_at=NOW + timedelta(hours=1))
    assert (await keyring.are_needed(), await keyring.has_admin()) == (True, True)
    clock.advance(3_600)
    assert (await keyring.are_needed(), await keyring.has_admin()) == (True, False)
    await keyring.revoke(boss.key.id)
    clock.advance(limits.KEYS_FRESH)
    store.fails = True
    assert await keyring.are_needed()


async def test_a_store_without_keys_has_none_and_makes_none(clock: SetClock) -> None:
    class Plain:
        """A store that keeps no keys."""

    keyring = Keyring(Plain(), clock)  # type: ignore[arg-type]  # nothing else of it is used
    assert not await keyring.are_needed()
    assert await keyring.opened_with(new_secret(b"r" * DICE)[1]) is None
    assert list(await keyring.list()) == []
    with pytest.raises(NotFound):
        await made(keyring)
