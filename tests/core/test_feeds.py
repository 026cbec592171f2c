"""Followers told together: each sees every event once and in order, whoever pauses, leaves or comes meanwhile."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any
from weakref import ref

import pytest

from sayso import limits
from sayso.feeds import Feeds, Follower, feed
from sayso.gateway import Gateway, Place
from sayso.model import Submission
from sayso.store.memory import MemoryStore
from sayso.wire import Event, Reset
from tests.builders import question
from tests.core.slow_store import HeldStore, JitterStore, quiet

ROUNDS = 60


def _ids(events: Sequence[Event]) -> bytes:
    return b"".join(event.event_id.encode() + b"\n" for event in events)


class Listener(Follower):
    """Notes what it is told."""

    encode = staticmethod(_ids)

    def __init__(self, feeds: Feeds) -> None:
        super().__init__(feeds)
        self.heard: list[str] = []
        self.writes = 0
        self.resets = 0
        self.has_ended = self.has_failed = self.is_gone = False
        self.reads = 0

    @property
    def is_over(self) -> bool:
        return self.is_gone

    @property
    def is_in_a_feed(self) -> bool:
        return self.feed is not None

    def write(self, data: bytes) -> None:
        assert not self.is_gone
        self.writes += 1
        self.heard += data.decode().splitlines()

    def written(self, reset: Reset) -> bytes:
        self.resets += 1
        return b""

    def end(self) -> None:
        self.has_ended = True
        self.go()

    def fail(self) -> None:
        self.has_failed = True

    def go(self) -> None:
        self.is_gone = True
        self.stand_still()

    async def begins(self, execution_id: str | None = "run-1", cursor: str | None = None, among: Any = None) -> None:
        self.begin(await self._feeds.gateway.start(execution_id, cursor, among=among))
        await until(lambda: self.is_in_a_feed)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - a count has no event
            await asyncio.sleep(0)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with (gateway := Gateway(MemoryStore())).running():
        yield gateway


async def ask(gateway: Gateway, execution_id: str = "run-1", **members: Any) -> str:
    stored, _ = await gateway.ask(question(execution_id=execution_id, **members), by="key:a", durable=True)
    return stored.asked_event_id


async def ids(gateway: Gateway, execution_id: str | None = "run-1") -> list[str]:
    return [event.event_id for event in await gateway._store.read(execution_id, after=0, limit=10_000)]


@pytest.mark.parametrize("is_forgetful", [False, True])
async def test_one_reading_of_the_store_at_most_tells_all_who_are_up_to_date(is_forgetful: bool) -> None:
    store = HeldStore()
    store.is_forgetful = is_forgetful
    async with (gateway := Gateway(store)).running():
        feeds = Feeds(gateway)
        listeners = [Listener(feeds) for _ in range(50)]
        for listener in listeners:
            await listener.begins()
        reads, read = 0, gateway._store.read

        async def counted(*arguments: Any, **named: Any) -> Sequence[Event]:
            nonlocal reads
            reads += 1
            return await read(*arguments, **named)

        gateway._store.read = counted  # type: ignore[method-assign]
        asked = await ask(gateway)
        await until(lambda: all(listener.heard == [asked] for listener in listeners))
        assert reads == is_forgetful
        assert len(asyncio.all_tasks()) < 10


async def test_events_of_one_turn_are_written_together(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    listeners = [Listener(feeds) for _ in range(2)]
    for listener in listeners:
        await listener.begins()
    asked = await asyncio.gather(*(ask(gateway) for _ in range(20)))
    await until(lambda: all(len(listener.heard) == 20 for listener in listeners))
    for listener in listeners:
        assert sorted(listener.heard) == sorted(asked)
        assert listener.writes <= 3


async def test_a_large_crowd_does_not_keep_others_waiting(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns of the telling, whatever else is to be done is done."""
    monkeypatch.setattr(feed, "_TURN", 10)
    feeds = Feeds(gateway)
    listeners = [Listener(feeds) for _ in range(100)]
    for listener in listeners:
        await listener.begins()
    turns = 0

    async def look() -> None:
        nonlocal turns
        while any(not listener.heard for listener in listeners):
            turns += any(listener.heard for listener in listeners)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    asked = await ask(gateway)
    await asyncio.wait_for(looking, 10)
    assert turns >= 8
    assert all(listener.heard == [asked] for listener in listeners)


async def test_who_takes_nothing_leaves_the_feed_and_reads_on_from_its_own_place(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    slow, quick = Listener(feeds), Listener(feeds)
    for listener in (slow, quick):
        await listener.begins()
    first = await ask(gateway)
    await until(lambda: slow.heard == [first])
    slow.pause()
    rest = [await ask(gateway) for _ in range(5)]
    await until(lambda: quick.heard == [first, *rest])
    assert slow.heard == [first]
    assert not slow.is_in_a_feed
    slow.resume()
    await until(lambda: slow.is_in_a_feed)
    assert slow.heard == [first, *rest]


async def test_who_comes_back_is_told_from_memory(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    first = Listener(feeds)
    await first.begins()
    asked = [await ask(gateway) for _ in range(5)]
    await until(lambda: first.heard == asked)
    gateway._store.read = None  # type: ignore[assignment, method-assign]  # whoever reads it now fails
    second = Listener(feeds)
    second.begin(await gateway.start("run-1", asked[1]))
    assert second.heard == asked[2:]
    assert second.is_in_a_feed


async def test_who_begins_with_what_is_open_leaves_no_hole_to_others(gateway: Gateway) -> None:
    """What one was shown of all executions is not all that there is."""
    feeds = Feeds(gateway)
    first = await ask(gateway)
    for _ in range(3):
        stored, _ = await gateway.ask(question(), by="key:a", durable=True)
        await gateway.answer(stored.request_id, Submission(text="yes"), by="key:b", channel="http")
    last = await ask(gateway)
    await (one := Listener(feeds)).begins(None)
    assert one.heard == [first, last]
    await (other := Listener(feeds)).begins(None, cursor=first)
    assert other.heard == (await ids(gateway, None))[1:]


async def test_what_is_written_while_the_first_one_looks_is_not_taken_for_nothing() -> None:
    """A poll that does not wait would not see it."""
    async with (gateway := Gateway(store := HeldStore())).running():
        listener = Listener(feeds := Feeds(gateway))
        first = await ask(gateway)
        release = store.hold_next_read()
        listener.begin(await gateway.start("run-1", first))
        await quiet()
        store.news.clear()
        asked = await ask(gateway)
        release.set()
        await until(lambda: listener.is_in_a_feed)
        (one,) = feeds
        assert not one.is_fresh or listener.heard == [asked]


async def test_unknown_executions_leave_no_feed(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    for number in range(500):
        listener = Listener(feeds)
        await listener.begins(f"run-{number}")
        listener.go()
    assert not list(feeds)
    assert len(gateway._hub._topics) == 0


async def test_feeds_that_nobody_follows_are_few_and_go(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = Feeds(gateway)
    for number in range(300):
        await ask(gateway, f"run-{number}")
        listener = Listener(feeds)
        await listener.begins(f"run-{number}")
        listener.go()
    assert 0 < len(list(feeds)) <= 256
    monkeypatch.setattr(feed, "_LINGER", -1.0)
    feeds.look_around()
    assert not list(feeds)


async def test_the_last_events_that_are_held_are_bounded(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    listener = Listener(feeds)
    await listener.begins()
    for _ in range(20):
        await ask(gateway, context="x" * 10_000)
    await until(lambda: len(listener.heard) == 20)
    late = Listener(feeds)
    await late.begins()
    assert late.heard == listener.heard
    (held,) = feeds
    assert 0 < held._tail.size <= 32 * limits.KIB


async def test_the_last_events_are_found_by_their_ids_until_they_are_dropped(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    listener = Listener(feeds)
    await listener.begins()
    for _ in range(3):
        await ask(gateway)
    await until(lambda: len(listener.heard) == 3)
    (held,) = feeds
    positions = [held.located(event_id) for event_id in listener.heard]
    assert [held.written_as(event_id.encode()) for event_id in listener.heard * 2] == positions * 2
    assert held.written_as(b"unknown") is None
    assert held.written_as(b"\xe9") is None
    held.age(float("inf"))
    assert held.written_as(listener.heard[-1].encode()) is None


@pytest.mark.parametrize("is_awaited", [False, True])
async def test_a_feed_that_news_close_is_gone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, is_awaited: bool
) -> None:
    """Nobody follows any more when they come; somebody may wait for an answer, which makes them another topic's."""
    feeds = Feeds(gateway)
    listener = Listener(feeds)
    await listener.begins()
    stored, _ = await gateway.ask(question(execution_id="run-1"), by="key:a", durable=True)
    await until(lambda: listener.heard == [stored.asked_event_id])
    waiting = asyncio.create_task(gateway.settled(stored.request_id, wait=60 if is_awaited else 0))
    await quiet()
    (feed_,) = (ref(one) for one in feeds)
    listener.go()
    monkeypatch.setattr(feed, "_LINGER", -1.0)
    await ask(gateway)
    assert not list(feeds)
    gc.collect()
    assert feed_() is None
    waiting.cancel()


async def test_who_may_see_some_executions_is_told_of_those_alone(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    some, all = Listener(feeds), Listener(feeds)
    await some.begins(None, among=("mine-*",))
    await all.begins(None)
    mine = []
    for number in range(6):
        asked = await ask(gateway, f"{'mine' if number % 2 else 'other'}-{number}")
        mine += [asked] if number % 2 else []
    late = Listener(feeds)
    await until(lambda: len(all.heard) == 6)
    assert some.heard == mine
    await late.begins(None, cursor=all.heard[0], among=("mine-*",))
    assert late.heard == mine


async def test_the_end_of_the_server_is_told_to_all(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    listeners = [Listener(feeds) for _ in range(3)]
    for listener in listeners:
        await listener.begins()
    listeners[0].pause()
    gateway.end_streams()
    await until(lambda: all(listener.has_ended for listener in listeners))
    late = Listener(feeds)
    late.begin(await gateway.start("run-1", None))
    await until(lambda: late.has_ended)
    assert not list(feeds)


async def test_a_log_that_went_back_is_told_with_a_reset(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = Feeds(gateway)
    listeners = [Listener(feeds) for _ in range(3)]
    for listener in listeners:
        await listener.begins()
    await ask(gateway)
    await until(lambda: all(listener.heard for listener in listeners))
    monkeypatch.setattr(Gateway, "era", 1)
    gateway._hub.tell_all()
    await until(lambda: all(listener.resets == 1 and listener.is_in_a_feed for listener in listeners))


async def test_news_while_the_first_one_looks_are_not_lost() -> None:
    async with (gateway := Gateway(store := HeldStore())).running():
        listener = Listener(feeds := Feeds(gateway))
        release = store.hold_next_read()
        listener.begin(await gateway.start("run-1", None))
        await quiet()
        asked = await ask(gateway)
        await quiet()
        assert not listener.heard
        release.set()
        await until(lambda: listener.heard == [asked] and listener.is_in_a_feed)
        assert len(list(feeds)) == 1


async def test_a_hole_in_the_stream_of_all_executions_is_told_with_a_reset() -> None:
    async with (gateway := Gateway(store := HeldStore())).running():
        store.is_forgetful = True
        await ask(gateway)
        await (listener := Listener(Feeds(gateway))).begins(None)
        store.news.clear()
        for _ in range(2):
            await ask(gateway)
        del store._log[1]  # removed before anyone has read it
        store.news.set()
        await until(lambda: listener.resets == 1)


async def test_a_page_is_written_once_and_anew_when_there_is_more(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    await (listener := Listener(feeds)).begins()
    first = await ask(gateway)
    await until(lambda: listener.heard == [first])
    (one,) = feeds
    beginning = Place("run-1", 0)
    page = one.page(beginning, _ids)
    assert page == f"{first}\n".encode()
    assert one.page(beginning, _ids) is page
    second = await ask(gateway)
    assert not one.is_fresh or len(listener.heard) == 2
    await until(lambda: listener.heard == [first, second])
    assert one.page(beginning, _ids) == f"{first}\n{second}\n".encode()
    assert one.page(Place("run-1", one.position or 0), _ids) == b""
    assert one.is_fresh


async def test_a_feed_knows_what_this_process_wrote_before_it_is_news() -> None:
    async with (gateway := Gateway(store := HeldStore())).running():
        await (listener := Listener(feeds := Feeds(gateway))).begins()
        (one,) = feeds
        store.news.clear()
        asked = await ask(gateway)
        assert not one.is_fresh
        store.news.set()
        await until(lambda: listener.heard == [asked])
        assert one.is_fresh


async def test_what_cannot_be_read_ends_the_streams(gateway: Gateway) -> None:
    feeds = Feeds(gateway)
    listener = Listener(feeds)
    await listener.begins()
    gateway._store.read = None  # type: ignore[assignment, method-assign]
    gateway._hub.tell_all()
    await until(lambda: listener.has_failed)
    assert not listener.is_in_a_feed


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("execution_id", ["run-1", None], ids=["one", "all"])
@pytest.mark.promise("STREAM-1", "STREAM-2")
async def test_nobody_misses_an_event_or_hears_one_twice(
    seed: int, execution_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes between: pauses, those who leave and come back with a cursor, turns cut short, a slow store."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    monkeypatch.setattr(feed, "_TURN", chance.choice([1, 2, 1_000]))
    monkeypatch.setattr(limits, "BLOCK", chance.choice([500, 2_000, 65_536]))
    async with (gateway := Gateway(JitterStore(seed))).running():
        feeds = Feeds(gateway)
        listeners: list[Listener] = []
        over = False

        async def lives(number: int) -> list[str]:
            heard: list[str] = []
            dice = random.Random(seed * 100 + number)  # noqa: S311
            while True:
                cursor = heard[-1] if heard else first
                one = Listener(feeds)
                listeners.append(one)
                one.begin(await gateway.start(execution_id, cursor))
                for _ in range(dice.randrange(1, 12)):
                    await asyncio.sleep(dice.choice([0, 0, 0.001, 0.004]))
                    (one.pause if dice.random() < 0.4 else one.resume)()
                one.resume()
                if over:
                    await until(lambda one=one, heard=heard: len(heard) + len(one.heard) >= len(everything))
                    return heard + one.heard
                one.go()
                heard += one.heard

        async def writes() -> None:
            for number in range(ROUNDS):
                stored, _ = await gateway.ask(question(), by="key:a", durable=True)
                if number % 3 == 0:
                    await gateway.answer(stored.request_id, Submission(text="yes"), by="key:b", channel="http")
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.choice([0, 0.002]))

        first = await ask(gateway)
        everything: list[str] = []
        lives_on = [asyncio.create_task(lives(number)) for number in range(6)]
        async with asyncio.timeout(60):
            await asyncio.gather(writes(), writes())
            everything = (await ids(gateway, execution_id))[1:]
            over = True
            for heard in await asyncio.gather(*lives_on):
                assert heard == everything


@pytest.mark.promise("STREAM-1")
async def test_a_look_that_news_overtake_hides_nothing_from_who_comes_next() -> None:
    async with (gateway := Gateway(store := HeldStore())).running():
        await (listener := Listener(Feeds(gateway))).begins()
        held = store.hold_next_read()
        looking = asyncio.create_task(gateway.read(Place("run-1", 0)))
        await quiet()
        first = await ask(gateway)
        await until(lambda: listener.heard == [first])
        held.set()
        assert not (await looking).events
        coming = asyncio.create_task(gateway.read(Place("run-1", 0), wait=60))
        await quiet()
        await ask(gateway)
        async with asyncio.timeout(10):
            assert (await coming).events[0].event_id == first
