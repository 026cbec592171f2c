"""The use cases on a plain store: asking, answering, waiting, and following without a gap or a repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sayso.errors import AlreadySettled, Invalid, NotFound, RequestMismatch, StoreFailed
from sayso.gateway import Batch, Gateway, Place
from sayso.model import Request, Submission
from sayso.store import Filter
from sayso.store.memory import MemoryStore
from sayso.wire import Event
from tests.builders import answered, completed, question
from tests.core.slow_store import HeldStore, JitterStore, quiet

WHO = {"by": "key:a", "channel": "http"}


async def ask(gateway: Gateway, *, durable: bool = True, **members: Any) -> Request:
    stored, _ = await gateway.ask(question(**members), by="key:a", durable=durable)
    return stored


async def answer(gateway: Gateway, request: Request, text: str = "yes", answer_id: str | None = None) -> Request:
    return await gateway.answer(request.request_id, Submission(text=text, answer_id=answer_id), **WHO)


async def events_of(gateway: Gateway, execution_id: str | None = None, cursor: str | None = None) -> list[Event]:
    """What a follower gets that starts at `cursor` and stops when there is no more."""
    batch = await gateway.start(execution_id, cursor)
    events: list[Event] = []
    while True:
        batch = await gateway.read(batch.place)
        if not batch.events and not batch.place.open_until:
            return events
        events.extend(batch.events)


# asking


@pytest.mark.promise("ASK-2")
async def test_asking_again_stores_nothing_and_gives_what_is_stored() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        first = await gateway.ask(question(request_id="mine"), by="key:a", durable=True)

        again = await gateway.ask(question(request_id="mine", priority="high"), by="key:b", durable=True)

        assert (first[1], again) == (True, (first[0], False))
        assert len(await events_of(gateway, "run-1")) == 1


@pytest.mark.promise("ASK-2")
async def test_asking_again_after_the_answer_gives_the_answer() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        done = await answer(gateway, await ask(gateway, request_id="mine"))

        assert await ask(gateway, request_id="mine") == done


@pytest.mark.promise("ASK-3")
async def test_another_question_under_the_same_id_is_refused_and_learns_nothing() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await ask(gateway, request_id="mine", prompt="the secret plan")

        for other in ({"prompt": "guess"}, {"prompt": "the secret plan", "execution_id": "run-2"}):
            with pytest.raises(RequestMismatch) as refused:
                await ask(gateway, request_id="mine", **other)
            assert "secret" not in refused.value.detail
            assert refused.value.members == {}
        assert len(await events_of(gateway, "run-1")) == 1


@pytest.mark.promise("ASK-4")
async def test_a_question_that_is_refused_is_not_stored() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        with pytest.raises(Invalid):
            await ask(gateway, prompt=" ")

        assert (await gateway.list(Filter())).requests == ()


# answering


@pytest.mark.promise("ANSWER-2")
async def test_of_many_answers_one_wins_and_the_others_are_told_which() -> None:
    async with (gateway := Gateway(JitterStore(1))).running():
        pending = await ask(gateway)

        outcomes = await asyncio.gather(
            *(answer(gateway, pending, f"answer {number}") for number in range(20)), return_exceptions=True
        )

        winners = [one for one in outcomes if isinstance(one, Request)]
        losers = [one for one in outcomes if isinstance(one, AlreadySettled)]
        assert (len(winners), len(losers)) == (1, 19)
        assert all(one.request == winners[0] for one in losers)
        assert len(await events_of(gateway, "run-1")) == 2


@pytest.mark.promise("ANSWER-3")
async def test_the_same_answer_again_is_the_same_answer() -> None:
    async with (gateway := Gateway(JitterStore(1))).running():
        pending = await ask(gateway)

        outcomes = await asyncio.gather(*(answer(gateway, pending, answer_id="mine") for _ in range(5)))

        assert all(one == outcomes[0] for one in outcomes)
        assert await answer(gateway, pending, answer_id="mine") == outcomes[0]
        with pytest.raises(AlreadySettled):
            await answer(gateway, pending, answer_id="another")


@pytest.mark.promise("ANSWER-4")
async def test_a_refused_answer_leaves_the_request_open() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending = await ask(gateway)

        with pytest.raises(Invalid):
            await gateway.answer(pending.request_id, Submission(decision="approve"), **WHO)

        assert (await gateway.get(pending.request_id)).is_open


@pytest.mark.promise("ANSWER-6")
async def test_who_answered_is_who_the_gateway_was_told() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        done = await answer(gateway, await ask(gateway))

        assert (done.settled_by, done.settled_channel) == ("key:a", "http")


@pytest.mark.promise("ANSWER-7")
@pytest.mark.parametrize("id", ["unknown", "", "no id", "\x00", "\ud800", "a" * 1_000])
async def test_an_unknown_request_is_not_found(id: str) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        for call in (
            gateway.get(id),
            gateway.answer(id, Submission(text="yes"), **WHO),
            gateway.cancel(id, "why", **WHO),
            gateway.settled(id, wait=0),
        ):
            with pytest.raises(NotFound):
                await call


@pytest.mark.promise("SETTLE-2")
async def test_a_cancelled_request_is_settled_with_its_reason() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending = await ask(gateway)

        done = await gateway.cancel(pending.request_id, "no longer needed", **WHO)

        assert (done.status, done.reason, done.settled_by) == ("cancelled", "no longer needed", "key:a")
        with pytest.raises(AlreadySettled):
            await gateway.cancel(pending.request_id, "again", **WHO)
        with pytest.raises(AlreadySettled):
            await answer(gateway, pending)


async def test_a_reason_that_is_too_long_is_refused() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending = await ask(gateway)

        with pytest.raises(Invalid):
            await gateway.cancel(pending.request_id, "a" * 20_000, **WHO)

        assert (await gateway.get(pending.request_id)).is_open


@pytest.mark.promise("SETTLE-4")
async def test_opening_cancels_what_no_asker_waits_for_any_more() -> None:
    store = MemoryStore()
    async with (first := Gateway(store)).running():
        gone = [await ask(first, durable=False) for _ in range(3)]
        kept = await ask(first, durable=True)
        done = await answer(first, await ask(first, durable=False))

    async with (second := Gateway(store)).running():
        for one in gone:
            found = await second.get(one.request_id)
            assert (found.status, found.reason) == ("cancelled", "asker-gone")
        assert (await second.get(kept.request_id)).is_open
        assert await second.get(done.request_id) == done


async def test_abandoning_what_was_answered_changes_nothing() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        done = await answer(gateway, await ask(gateway))

        await gateway.abandon(done.request_id)

        assert await gateway.get(done.request_id) == done


# waiting


@pytest.mark.promise("SETTLE-1")
async def test_a_wait_ends_with_the_settlement() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending, other = await ask(gateway), await ask(gateway)
        waiting = asyncio.ensure_future(gateway.settled(pending.request_id, wait=None))
        await quiet()

        await answer(gateway, other)
        await quiet()
        assert not waiting.done()
        done = await answer(gateway, pending)

        async with asyncio.timeout(5):
            assert await waiting == done


@pytest.mark.promise("SETTLE-1")
async def test_waiting_for_what_is_settled_returns_at_once() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        done = await answer(gateway, await ask(gateway))

        assert await gateway.settled(done.request_id, wait=None) == done


@pytest.mark.parametrize("wait", [0, -1, 0.001])
async def test_a_wait_that_runs_out_gives_the_request_as_it_is(wait: float) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending = await ask(gateway)

        async with asyncio.timeout(5):
            assert await gateway.settled(pending.request_id, wait=wait) == pending


async def test_a_wait_ends_with_the_server() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        pending = await ask(gateway)
        waiting = asyncio.ensure_future(gateway.settled(pending.request_id, wait=None))
        await quiet()

        gateway.end_streams()

        async with asyncio.timeout(5):
            assert (await waiting).is_open
            assert (await gateway.settled(pending.request_id, wait=None)).is_open


@pytest.mark.promise("SETTLE-1")
async def test_a_wait_ends_although_a_follower_saw_the_settlement_before_the_news_came() -> None:
    store = HeldStore()
    async with (gateway := Gateway(store)).running():
        pending = await ask(gateway)
        waiting = asyncio.ensure_future(gateway.settled(pending.request_id, wait=None))
        await quiet()
        store.news.clear()

        await answer(gateway, pending)
        await events_of(gateway, "run-1")
        store.news.set()
        await quiet()

        assert waiting.done()
        await _given_up(waiting)


@pytest.mark.promise("SETTLE-1")
async def test_a_wait_ends_although_the_news_begins_after_the_settlement() -> None:
    store = HeldStore()
    async with (gateway := Gateway(store)).running():
        pending = await ask(gateway)
        waiting = asyncio.ensure_future(gateway.settled(pending.request_id, wait=None))
        await quiet()
        store.news.clear()

        await answer(gateway, pending)
        await events_of(gateway, "run-1")
        await ask(gateway)
        store.news.set()
        await quiet()

        assert waiting.done()
        await _given_up(waiting)


async def _given_up(waiting: asyncio.Future[Any]) -> None:
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


# following


@pytest.mark.promise("STREAM-4")
async def test_an_execution_begins_at_its_first_event() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await answer(gateway, await ask(gateway))
        await ask(gateway, execution_id="run-2")

        assert [event.seq for event in await events_of(gateway, "run-1")] == [1, 2]
        assert await events_of(gateway, "nobody") == []


@pytest.mark.promise("STREAM-4")
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_all_executions_begin_with_what_is_open(limit: int) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await answer(gateway, await ask(gateway))
        first, second, third = [await ask(gateway, execution_id=f"run-{number}") for number in (1, 2, 3)]
        await answer(gateway, second)
        batch = await gateway.start(None, None)
        await answer(gateway, first)
        fourth = await ask(gateway)

        seen: list[Event] = []
        for _ in range(9):
            batch = await gateway.read(batch.place, limit=limit)
            seen.extend(batch.events)

        told = [(event.type.removeprefix("human_input_"), event.request_id) for event in seen]
        assert told == [
            ("required", third.request_id),
            ("completed", first.request_id),
            ("required", fourth.request_id),
        ]


async def test_all_executions_with_nothing_open_begin_now() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await answer(gateway, await ask(gateway))
        batch = await gateway.start(None, None)
        new = await ask(gateway)

        assert [event.event_id for event in (await gateway.read(batch.place)).events] == [new.asked_event_id]


@pytest.mark.promise("STREAM-2")
@pytest.mark.parametrize("execution_id", ["run-1", None])
async def test_a_follower_that_resumes_gets_every_later_event_once(execution_id: str | None) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        for _ in range(3):
            await answer(gateway, await ask(gateway))
        whole = [event.event_id for event in await events_of(gateway, "run-1")]

        for number, cursor in enumerate(whole):
            later = await events_of(gateway, execution_id, cursor)
            assert [event.event_id for event in later] == whole[number + 1 :]


@pytest.mark.promise("STREAM-5")
async def test_whoever_follows_from_a_lists_cursor_misses_nothing() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await ask(gateway)
        page = await gateway.list(Filter())
        new = await ask(gateway, execution_id="run-2")

        later = await events_of(gateway, None, page.head_event_id)

        assert [event.event_id for event in later] == [new.asked_event_id]


@pytest.mark.promise("STREAM-2", "STREAM-5")
@pytest.mark.parametrize("execution_id", ["run-1", None])
async def test_a_cursor_of_a_stream_without_events_misses_nothing_that_was_asked_and_settled_since(
    execution_id: str | None,
) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        cursor = (await gateway.list(Filter(execution_id=execution_id))).head_event_id
        first = await gateway.start(None, None)
        settled = await answer(gateway, await ask(gateway, execution_id="run-1"))

        later = await events_of(gateway, execution_id, cursor)

        assert first.cursor == cursor
        assert [event.event_id for event in later] == [settled.asked_event_id, settled.settled_event_id]


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("cursor", ["unknown", "", "no id", "\x00", "\ud800", "a" * 1_000])
@pytest.mark.parametrize("execution_id", ["run-1", None])
async def test_an_unknown_cursor_gets_a_reset_with_what_is_open(cursor: str, execution_id: str | None) -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        await answer(gateway, await ask(gateway))
        pending = await ask(gateway)

        batch = await gateway.start(execution_id, cursor)

        assert batch.reset is not None
        assert (batch.reset.reason, batch.reset.more) == ("unknown-cursor", False)
        assert batch.reset.requests == (pending,)
        assert batch.reset.event_id == pending.asked_event_id
        assert (await gateway.read(batch.place)).events == ()
        new = await ask(gateway)
        assert [event.event_id for event in (await gateway.read(batch.place)).events] == [new.asked_event_id]


@pytest.mark.promise("STREAM-3")
async def test_a_cursor_of_another_execution_gets_a_reset_that_says_nothing_of_it() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        other = await ask(gateway, execution_id="run-2")
        mine = await ask(gateway)

        batch = await gateway.start("run-1", other.asked_event_id)
        empty = await gateway.start("run-3", other.asked_event_id)

        assert batch.reset is not None
        assert (batch.reset.reason, batch.reset.requests) == ("foreign-cursor", (mine,))
        assert empty.reset is not None
        assert (empty.reset.reason, empty.reset.requests) == ("foreign-cursor", ())
        assert await events_of(gateway, "run-3", empty.reset.event_id) == []


@pytest.mark.promise("STREAM-3")
async def test_a_reset_tells_at_most_a_hundred_and_that_there_are_more() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        for _ in range(101):
            await ask(gateway)

        batch = await gateway.start("run-1", "unknown")

        assert batch.reset is not None
        assert (len(batch.reset.requests), batch.reset.more) == (100, True)


async def test_a_read_waits_for_the_next_event() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        reading = [asyncio.ensure_future(gateway.read(Place(stream, 0), wait=60)) for stream in ("run-1", None)]
        await quiet()
        assert not any(one.done() for one in reading)

        new = await ask(gateway)

        async with asyncio.timeout(5):
            for batch in await asyncio.gather(*reading):
                assert [event.event_id for event in batch.events] == [new.asked_event_id]


async def test_a_read_waits_only_for_its_own_stream() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        reading = asyncio.ensure_future(gateway.read(Place("run-1", 0), wait=60))
        await quiet()

        await ask(gateway, execution_id="run-2")
        await quiet()

        assert not reading.done()
        await _given_up(reading)


@pytest.mark.promise("STREAM-9")
async def test_a_read_ends_with_the_server_after_the_last_event() -> None:
    async with (gateway := Gateway(MemoryStore())).running():
        waiting = asyncio.ensure_future(gateway.read(Place("run-2", 0), wait=60))
        await ask(gateway)
        await quiet()

        gateway.end_streams()

        async with asyncio.timeout(5):
            assert (await waiting).ended
            behind = await gateway.read(Place("run-1", 0), wait=60)
            at_the_end = await gateway.read(behind.place, wait=60)
        assert (len(behind.events), behind.ended) == (1, False)
        assert at_the_end.ended


@pytest.mark.promise("STREAM-1")
async def test_a_follower_is_woken_although_another_saw_the_event_before_the_news_came() -> None:
    store = HeldStore()
    async with (gateway := Gateway(store)).running():
        await ask(gateway)
        place = (await gateway.read(Place("run-1", 0))).place
        reading = asyncio.ensure_future(gateway.read(place, wait=60))
        await quiet()
        store.news.clear()

        new = await ask(gateway)
        await events_of(gateway, "run-1")
        store.news.set()
        await quiet()

        assert reading.done()
        assert [event.event_id for event in reading.result().events] == [new.asked_event_id]


@pytest.mark.promise("STREAM-1")
@pytest.mark.parametrize("later", [0, 1])
async def test_a_slow_follower_misses_nothing_that_a_quick_one_saw_before_the_news_was_read(later: int) -> None:
    store = HeldStore()
    async with (gateway := Gateway(store)).running():
        await ask(gateway)
        place = (await gateway.read(Place("run-1", 0))).place
        await quiet()
        held = store.hold_next_read()
        slow = asyncio.ensure_future(gateway.read(place, wait=60))
        await quiet()
        store.news.clear()
        new = [await ask(gateway) for _ in range(2)]
        await events_of(gateway, "run-1")
        new += [await ask(gateway) for _ in range(later)]
        held_news = store.hold_next_read()

        store.news.set()
        await quiet()
        held.set()
        await quiet()
        held_news.set()
        await quiet()

        assert slow.done()
        assert [event.event_id for event in slow.result().events] == [one.asked_event_id for one in new]


@pytest.mark.promise("STREAM-8")
async def test_late_news_of_what_a_follower_has_seen_does_not_end_its_wait() -> None:
    store = HeldStore()
    async with (gateway := Gateway(store)).running():
        store.news.clear()
        await ask(gateway)
        place = (await gateway.read(Place("run-1", 0))).place
        held = store.hold_next_read()
        reading = asyncio.ensure_future(gateway.read(place, wait=60))
        await quiet()

        store.news.set()
        await quiet()
        held.set()
        await quiet()

        assert not reading.done()
        new = await ask(gateway)
        async with asyncio.timeout(5):
            assert [event.event_id for event in (await reading).events] == [new.asked_event_id]


async def test_followers_read_for_themselves_when_the_news_cannot_be_read() -> None:
    class Flaky(MemoryStore):
        broken = 0

        async def read(self, *stream: Any, **how: Any) -> Sequence[Event]:
            self.broken -= 1
            if self.broken >= 0:
                raise StoreFailed
            return await super().read(*stream, **how)

    store = Flaky()
    async with (gateway := Gateway(store)).running():
        reading = asyncio.ensure_future(gateway.read(Place("run-1", 0), wait=60))
        await quiet()
        store.broken = 1

        await ask(gateway)

        async with asyncio.timeout(5):
            assert len((await reading).events) == 1


async def test_the_store_is_closed_after_the_gateway() -> None:
    closed = []

    class Closing(MemoryStore):
        async def close(self) -> None:
            closed.append(gateway.has_ended_streams)

    async with (gateway := Gateway(Closing())).running():
        assert closed == []
    assert closed == [True]


# following, as a property


async def follow(
    gateway: Gateway, execution_id: str | None, cursor: str | None, limits: list[int], seen: list[Event]
) -> None:
    """A follower as the transports are: start once, then read on from its place, until the server ends."""
    batch: Batch = await gateway.start(execution_id, cursor)
    while not batch.ended:
        limits.append(limits.pop(0))
        batch = await gateway.read(batch.place, wait=60, limit=limits[0])
        assert len(batch.events) <= limits[0]
        seen.extend(batch.events)


async def write(gateway: Gateway, steps: list[tuple[str, bool, int]]) -> None:
    """One writer of several: asks, answers some of what it asked, and lets others go first."""
    for execution_id, answers, pause in steps:
        pending = await ask(gateway, execution_id=execution_id)
        for _ in range(pause):
            await asyncio.sleep(0)
        if answers:
            await answer(gateway, pending)


STREAMS = st.sampled_from(["run-1", "run-2", None])
WRITERS = st.lists(
    st.lists(st.tuples(st.sampled_from(["run-1", "run-2"]), st.booleans(), st.integers(0, 15)), max_size=6),
    min_size=1,
    max_size=4,
)
FOLLOWERS = st.lists(st.tuples(STREAMS, st.lists(st.integers(1, 4), min_size=1, max_size=4)), min_size=1, max_size=5)


HISTORIES = settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failing history is short; shrinking it takes minutes
)


@pytest.mark.promise("STREAM-1", "STREAM-2", "EVENT-2")
@HISTORIES
@given(WRITERS, FOLLOWERS, st.integers(0, 2**32))
def test_every_follower_sees_each_event_once_in_order(
    writers: list[list[tuple[str, bool, int]]], followers: list[tuple[str | None, list[int]]], seed: int
) -> None:
    async def history() -> None:
        async with (gateway := Gateway(store := JitterStore(seed))).running(), asyncio.TaskGroup() as following:
            first = await ask(gateway, execution_id="run-1")
            seen: list[list[Event]] = [[] for _ in followers]
            for (stream, limits), events in zip(followers, seen, strict=True):
                cursor = first.asked_event_id if stream is None else None
                following.create_task(follow(gateway, stream, cursor, limits, events))
            async with asyncio.TaskGroup() as writing:
                for steps in writers:
                    writing.create_task(write(gateway, steps))
            logs = [
                list(await MemoryStore.read(store, stream, after=1 if stream is None else 0, limit=1_000))
                for stream, _ in followers
            ]
            await quiet(lambda: seen == logs, turns=5_000)
            gateway.end_streams()
            assert [ids(events) for events in seen] == [ids(log) for log in logs]
            for (stream, _), log in zip(followers, logs, strict=True):
                assert stream is None or [event.seq for event in log] == list(range(1, len(log) + 1))

    asyncio.run(history())


def ids(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


@pytest.mark.promise("SETTLE-1")
@HISTORIES
@given(st.integers(1, 5), FOLLOWERS, st.integers(0, 2**32))
def test_every_asker_gets_its_answer_whoever_follows(
    count: int, followers: list[tuple[str | None, list[int]]], seed: int
) -> None:
    async def history() -> None:
        async with (gateway := Gateway(JitterStore(seed))).running(), asyncio.TaskGroup() as tasks:
            asked = [await ask(gateway, execution_id=f"run-{number % 2 + 1}") for number in range(count)]
            waiting = [tasks.create_task(gateway.settled(one.request_id, wait=None)) for one in asked]
            for stream, limits in followers:
                tasks.create_task(follow(gateway, stream, None, limits, []))
            done = await asyncio.gather(*(answer(gateway, one) for one in asked))
            await quiet(lambda: all(one.done() for one in waiting), turns=5_000)
            told = [one.done() for one in waiting]
            gateway.end_streams()
            assert all(told)
            assert [await one for one in waiting] == done

    asyncio.run(history())


async def test_a_settlement_behind_the_gateways_back_is_followed_too() -> None:
    store = MemoryStore()
    async with (gateway := Gateway(store)).running():
        pending = await ask(gateway)
        waiting = asyncio.ensure_future(gateway.settled(pending.request_id, wait=None))
        await quiet()
        done = answered(pending)

        await store.settle(done, completed(done))

        async with asyncio.timeout(5):
            assert await waiting == done
