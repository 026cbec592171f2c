"""What every store promises: the docstrings of the Protocol, one test each, over each store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import timedelta, timezone
from typing import Any

import pytest
from msgspec import structs

from sayso import limits
from sayso.errors import NotFound, RequestMismatch
from sayso.model import Option, Request
from sayso.store import SECRET_BYTES, Filter, Hint, Kept, Located, Page, Secrets, Store, is_whole
from sayso.wire import Event, encode
from tests.builders import NOW, answered, asked, completed, new_id, request
from tests.store.hints import Hints

EVERY = 10_000
LATER = NOW + timedelta(days=1)


async def put(store: Store, **members: Any) -> Request:
    """A request that is stored and pending."""
    new = request(**members)
    return (await store.put(new, asked(new))).request


async def settle(store: Store, pending: Request, **how: Any) -> Request:
    """`pending`, answered and stored."""
    done = answered(pending, **how)
    return (await store.settle(done, completed(done))).request


async def log_of(store: Store, execution_id: str | None = None) -> Sequence[Event]:
    return await store.read(execution_id, after=0, limit=EVERY)


def ids(requests: Iterable[Request]) -> list[str]:
    return [one.request_id for one in requests]


# put


async def test_what_was_put_is_given_back_whole(store: Store) -> None:
    new = request(context="draft", options=(Option(id="a"),), metadata={"n": [1, 2.5, None]}, timeout=60)

    stored, created = await store.put(new, asked(new))

    assert created
    assert stored == new
    assert await store.get(new.request_id) == new


async def test_an_unknown_request_is_none(store: Store) -> None:
    assert await store.get(new_id()) is None


@pytest.mark.promise("ASK-2")
async def test_putting_a_taken_id_changes_nothing(store: Store) -> None:
    first = await put(store, request_id="taken", prompt="the first")
    second = request(request_id="taken", prompt="the second", execution_id="run-2")

    stored, created = await store.put(second, asked(second))

    assert not created
    assert stored == first
    assert await store.get("taken") == first
    assert [event.event_id for event in await log_of(store)] == [first.asked_event_id]


@pytest.mark.promise("ASK-2")
async def test_of_many_puts_of_one_id_one_is_stored(store: Store) -> None:
    rivals = [request(request_id="one", prompt=f"number {number}") for number in range(20)]

    puts = await asyncio.gather(*(store.put(one, asked(one)) for one in rivals))

    assert sum(created for _, created in puts) == 1
    assert len({stored.prompt for stored, _ in puts}) == 1
    assert len(await log_of(store)) == 1


@pytest.mark.promise("EVENT-2", "STREAM-1")
async def test_seq_is_dense_in_each_execution_under_concurrent_writers(store: Store) -> None:
    new = [request(execution_id=f"run-{number % 3}") for number in range(90)]

    await asyncio.gather(*(store.put(one, asked(one)) for one in new))

    for execution in ("run-0", "run-1", "run-2"):
        assert [event.seq for event in await log_of(store, execution)] == list(range(1, 31))
    log = await log_of(store)
    assert [event.position for event in log] == sorted({event.position for event in log})
    assert len({event.event_id for event in log}) == 90


@pytest.mark.promise("STREAM-1")
async def test_a_reader_beside_the_writers_sees_the_log_without_a_gap(store: Store) -> None:
    seen: list[Event] = []

    async def follow() -> None:
        while len(seen) < 200:
            seen.extend(await store.read(None, after=seen[-1].position if seen else 0, limit=7))
            await asyncio.sleep(0)

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        for number in range(100):
            tasks.create_task(put_and_settle(store, f"run-{number % 5}"))

    assert [event.event_id for event in seen] == [event.event_id for event in await log_of(store)]


async def put_and_settle(store: Store, execution_id: str) -> None:
    await settle(store, await put(store, execution_id=execution_id))


# settle


@pytest.mark.promise("ANSWER-2")
async def test_of_fifty_answers_exactly_one_wins(store: Store) -> None:
    pending = await put(store)
    rivals = [answered(pending, f"answer {number}") for number in range(50)]

    settlements = await asyncio.gather(*(store.settle(one, completed(one)) for one in rivals))

    winners = [stored for stored, won in settlements if won]
    assert len(winners) == 1
    assert all(stored == winners[0] for stored, _ in settlements)
    assert await store.get(pending.request_id) == winners[0]
    assert [event.type for event in await log_of(store)] == ["human_input_required", "human_input_completed"]
    assert (await log_of(store))[1].event_id == winners[0].settled_event_id


async def test_settling_again_gives_what_is_stored(store: Store) -> None:
    pending = await put(store)
    first = await settle(store, pending, text="first")
    late = answered(pending, "late")

    stored, won = await store.settle(late, completed(late))

    assert not won
    assert stored == first


async def test_settling_an_unknown_request_is_not_found(store: Store) -> None:
    stray = answered(request())

    with pytest.raises(NotFound):
        await store.settle(stray, completed(stray))

    assert await log_of(store) == []


# list


async def test_a_list_holds_what_fits_every_member_of_its_filter(store: Store) -> None:
    soon, late = NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)
    plain = await put(store)
    kept = await put(store, execution_id="run-2", durable=False, deadline=soon)
    later = await put(store, execution_id="run-2", deadline=late)
    done = await settle(store, await put(store, execution_id="run-2", deadline=soon))

    async def listed(**members: Any) -> list[str]:
        return ids((await store.list(Filter(**members), limit=EVERY)).requests)

    assert await listed() == ids([plain, kept, later, done])
    assert await listed(status=frozenset({"pending"})) == ids([plain, kept, later])
    assert await listed(status=frozenset({"answered", "expired"})) == ids([done])
    assert await listed(status=frozenset()) == []
    assert await listed(execution_id="run-2") == ids([kept, later, done])
    assert await listed(execution_id="nobody") == []
    assert await listed(durable=False) == ids([kept])
    assert await listed(durable=True) == ids([plain, later, done])
    assert await listed(due_before=late) == ids([kept, done])
    assert await listed(due_before=late + timedelta(microseconds=1)) == ids([kept, later, done])
    assert await listed(due_before=late, status=frozenset({"pending"}), durable=True) == []


async def test_a_list_holds_what_mentions_a_text_whatever_its_case(store: Store) -> None:
    titled = await put(store, title="Pay the HARBOUR", execution_id="run-2")
    prompted = await put(store, prompt="Is the Straße closed?")
    by_agent = await put(store, context_data={"agent": "Ærø planner"})
    elsewhere = await put(store, context="harbour", context_data={"note": "harbour"}, metadata={"title": "harbour"})

    async def listed(text: str, **members: Any) -> list[str]:
        return ids((await store.list(Filter(text=text, **members), limit=EVERY)).requests)

    assert await listed("harbour") == ids([titled])
    assert await listed("STRASSE") == ids([prompted])
    assert await listed("ærø PLAN") == ids([by_agent])
    assert await listed("run-") == ids([titled, prompted, by_agent, elsewhere])
    assert await listed("RUN-2", status=frozenset({"pending"})) == ids([titled])
    assert await listed("%") == []
    assert await listed("nowhere") == []


async def test_a_list_reads_the_newest_first_page_by_page_and_what_comes_later_does_not_shift_it(store: Store) -> None:
    new = [await put(store, prompt=f"number {number}") for number in range(5)]
    pages = [await store.list(Filter(), limit=2, newest=True)]

    while pages[-1].next is not None:
        await put(store, prompt="later")
        pages.append(await store.list(Filter(), after=pages[-1].next, limit=2, newest=True))

    assert ids(one for page in pages for one in page.requests) == ids(reversed(new))
    assert [len(page.requests) for page in pages] == [2, 2, 1]
    assert pages[0].head_event_id == new[-1].asked_event_id


async def test_a_secret_is_made_once_and_is_of_its_name(store: Store) -> None:
    assert isinstance(store, Secrets)
    secrets = await asyncio.gather(*(store.secret("session") for _ in range(20)))

    assert len(set(secrets)) == 1
    assert len(secrets[0]) == SECRET_BYTES
    assert await store.secret("other") != secrets[0]
    assert await log_of(store) == []


async def test_due_before_compares_moments_whatever_their_zone(store: Store) -> None:
    berlin = (NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=1)))
    due = await put(store, deadline=berlin)

    assert (await store.list(Filter(due_before=NOW), limit=EVERY)).requests == ()
    tokyo = (NOW + timedelta(seconds=2)).astimezone(timezone(timedelta(hours=9)))
    assert ids((await store.list(Filter(due_before=tokyo), limit=EVERY)).requests) == ids([due])


async def test_pages_of_a_list_hold_each_request_once_in_asking_order(store: Store) -> None:
    new = [await put(store, execution_id=f"run-{number % 2}") for number in range(7)]
    await settle(store, new[3])
    filter = Filter(status=frozenset({"pending"}))
    pages = [await store.list(filter, limit=2)]

    while pages[-1].next is not None:
        pages.append(await store.list(filter, after=pages[-1].next, limit=2))

    assert [len(page.requests) for page in pages] == [2, 2, 2]
    assert ids(one for page in pages for one in page.requests) == ids(one for one in new if one is not new[3])


@pytest.mark.parametrize("limit", [3, 4])
async def test_a_page_that_holds_the_rest_has_no_next(store: Store, limit: int) -> None:
    for _ in range(3):
        await put(store)

    assert (await store.list(Filter(), limit=limit)).next is None


async def test_what_is_pending_is_counted_by_who_asked_and_where(store: Store) -> None:
    assert (await store.pending(), await store.count_open(100)) == ({}, 0)
    mine = [await put(store, by="key:a", execution_id="run-1") for _ in range(3)]
    await put(store, by="key:a", execution_id="run-2")
    await put(store, by="key:b ü\u2028'", execution_id="run-2")
    await settle(store, mine[0])

    assert [await store.count_open(most) for most in (100, 4, 2)] == [4, 4, 2]
    assert await store.pending() == {("key:a", "run-1"): 2, ("key:a", "run-2"): 1, ("key:b ü\u2028'", "run-2"): 1}


async def test_what_is_pending_is_counted_whatever_it_holds(store: Store) -> None:
    odd = {"a": "\0", "b": "\\u0000", "c": "\\\0\\\\\0\0", 'd\0"': "}"}
    await put(store, by="key:a", execution_id="run-1", metadata=odd)

    assert await store.pending() == {("key:a", "run-1"): 1}


@pytest.mark.promise("CAP-5")
@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize(
    "members",
    [{}, {"status": frozenset({"pending", "answered"})}, {"execution_id": "run-1"}, {"text": "ship"}],
    ids=["all", "statuses", "execution", "text"],
)
async def test_a_page_of_long_requests_ends_early_and_the_next_one_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any], newest: bool
) -> None:
    monkeypatch.setattr(limits, "BATCH", 10_000)
    new = [await put(store, context="x" * 3_000) for _ in range(9)]
    new.append(await put(store, context="x" * 30_000))
    await settle(store, new[1])
    filter = Filter(**members)
    pages = [await store.list(filter, limit=8, newest=newest)]

    while pages[-1].next is not None:
        pages.append(await store.list(filter, after=pages[-1].next, limit=8, newest=newest))

    assert len(pages) > 2
    assert all(sum(len(encode(one)) for one in page.requests[:-1]) < limits.BATCH for page in pages)
    order = reversed(new) if newest else new
    assert ids(one for page in pages for one in page.requests) == ids(order)


@pytest.mark.promise("STREAM-5")
async def test_the_head_is_the_last_event_of_the_filters_stream(store: Store) -> None:
    one = await put(store, execution_id="run-1")
    two = await put(store, execution_id="run-2")

    whole = await store.list(Filter(), limit=1)
    first = await store.list(Filter(execution_id="run-1"), limit=1)
    none = await store.list(Filter(execution_id="run-3"), limit=1)

    assert whole.head_event_id == two.asked_event_id
    assert first.head_event_id == one.asked_event_id
    assert (await store.read(None, after=first.head, limit=9))[0].event_id == two.asked_event_id
    assert await store.read(None, after=whole.head, limit=9) == []
    assert none.head == 0
    assert await store.locate(none.head_event_id) == Located(None, 0)


@pytest.mark.promise("STREAM-5")
async def test_the_origin_is_one_cursor_before_everything_of_every_stream(store: Store) -> None:
    before = await store.list(Filter(), limit=1)
    await put(store, execution_id="run-1")
    other = await store.list(Filter(execution_id="run-2"), limit=1)

    assert before.head_event_id == other.head_event_id
    assert (await store.locate(before.head_event_id)) == Located(None, 0)


@pytest.mark.promise("STREAM-5")
async def test_a_list_and_its_head_are_of_one_moment(store: Store) -> None:
    looks: list[Page] = []

    async def look() -> None:
        looks.extend([await store.list(Filter(), limit=EVERY) for _ in range(30)])

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        for number in range(60):
            tasks.create_task(put_and_settle(store, f"run-{number % 3}"))

    log = [event for event in await log_of(store) if event.type == "human_input_required"]
    for page in looks:
        assert ids(page.requests) == [event.request_id for event in log if event.position <= page.head]


# read, locate


async def test_a_read_starts_after_its_position_and_keeps_to_its_limit(store: Store) -> None:
    for number in range(6):
        await put(store, execution_id=f"run-{number % 2}")
    log = await log_of(store)

    assert await _read(store, None, after=log[1].position, limit=2) == [log[2].event_id, log[3].event_id]
    assert await _read(store, "run-1", after=log[1].position, limit=2) == [log[3].event_id, log[5].event_id]
    assert await _read(store, None, after=log[5].position, limit=2) == []
    assert await _read(store, "nobody", after=0, limit=2) == []


@pytest.mark.parametrize("stream", [{"execution_id": None}, {"execution_id": "run-1"}], ids=["all", "one"])
@pytest.mark.parametrize("open_only", [False, True])
async def test_a_read_gives_no_more_than_a_batch_of_bytes_and_one_event(
    store: Store, monkeypatch: pytest.MonkeyPatch, stream: dict[str, Any], open_only: bool
) -> None:
    monkeypatch.setattr(limits, "BATCH", 10_000)
    new = [await put(store, context="x" * 3_000) for _ in range(10)]

    seen, position = list[Event](), 0
    while events := await store.read(**stream, after=position, limit=EVERY, open_only=open_only):
        assert sum(len(event.data) for event in events[:-1]) < limits.BATCH
        assert len(events) < len(new)
        assert is_whole(events, EVERY) == (events[-1].event_id == new[-1].asked_event_id)
        seen, position = [*seen, *events], events[-1].position

    assert [event.event_id for event in seen] == [one.asked_event_id for one in new]


async def _read(store: Store, execution_id: str | None, **how: Any) -> list[str]:
    return [event.event_id for event in await store.read(execution_id, **how)]


async def test_open_only_reads_the_asking_events_of_what_is_pending(store: Store) -> None:
    first, second, third = [await put(store, execution_id=f"run-{number}") for number in (1, 2, 1)]
    last = await put(store)
    await settle(store, first)

    everywhere = await _read(store, None, after=0, limit=9, open_only=True)
    in_one = await _read(store, "run-1", after=0, limit=9, open_only=True)
    after = (await store.locate(second.asked_event_id) or pytest.fail()).position

    assert everywhere == [one.asked_event_id for one in (second, third, last)]
    assert in_one == [one.asked_event_id for one in (third, last)]
    assert await _read(store, None, after=after, limit=1, open_only=True) == [third.asked_event_id]


async def test_an_event_is_located_by_its_id(store: Store) -> None:
    await put(store)
    second = await put(store, execution_id="run-2")
    event = (await log_of(store, "run-2"))[0]

    assert await store.locate(second.asked_event_id) == Located("run-2", event.position)
    assert await store.locate(new_id()) is None
    assert await store.locate(second.request_id) is None


@pytest.mark.parametrize(
    "text",
    ["a\x00b", "\N{GRINNING FACE}", "\U0010ffff\U00020000", "one\u2028two\u2029three\x85four", "\r\n\t\x7f", "e\u0301"],
)
async def test_any_text_comes_back_as_it_went_in(store: Store, text: str) -> None:
    new = await put(store, prompt=f"p{text}", context=text, metadata={text: text})
    done = await settle(store, new, text=text)

    assert await store.get(new.request_id) == done
    assert done.human_feedback == text
    assert done.metadata == {text: text}
    assert text in _texts(await log_of(store))


def _texts(log: Sequence[Event]) -> set[Any]:
    return {json.loads(event.data).get("human_feedback") for event in log}


# hints


async def test_hints_name_the_executions_of_what_was_committed(store: Store) -> None:
    hints = Hints(store)

    pending = await put(store)
    assert await hints.names() == {"run-1"}
    await settle(store, pending)
    assert await hints.names() == {"run-1"}


async def test_hints_go_to_who_listens_also_when_the_store_was_opened_again(store: Store) -> None:
    hints = Hints(store)
    await store.close()
    await store.open()
    await put(store, execution_id="run-9")
    assert await hints.names() == {"run-9"}


async def test_a_listener_that_fails_is_no_failure_of_a_write(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def fail(hint: Hint | None) -> None:
        raise RuntimeError("nobody listens to me")

    store.listen(fail)
    pending = await put(store)
    hints = Hints(store)
    await settle(store, pending)
    assert await hints.names() == {"run-1"}
    assert "a hint was lost" in caplog.text


async def test_what_changes_nothing_is_no_change(store: Store) -> None:
    pending = await put(store)
    await settle(store, pending)
    hints = Hints(store)

    await store.put(pending, asked(pending))
    await settle(store, pending)
    await put(store, execution_id="run-2")

    while (names := await hints.names()) == {"run-1"}:
        """Of before, from a store that is told by its database."""
    assert names == {"run-2"}
    assert not hints.left


async def test_hints_carry_what_was_written_or_nothing_and_never_half_of_it(store: Store) -> None:
    hints = Hints(store)

    async def run(execution_id: str) -> None:
        for _ in range(10):
            pending = await put(store, execution_id=execution_id)
            await asyncio.gather(*(settle(store, pending) for _ in range(3)))

    await asyncio.gather(*(run(f"run-{number}") for number in range(5)))
    logs = {f"run-{number}": await log_of(store, f"run-{number}") for number in range(5)}
    await store.close()
    told: dict[str, list[Event] | None] = {}
    while hints.left:
        for execution_id, events in (await hints.next() or {}).items():
            before = told.setdefault(execution_id, [])
            told[execution_id] = None if events is None or before is None else [*before, *events]
    assert set(told) == set(logs)
    for execution_id, events in told.items():
        log = [structs.astuple(one) for one in logs[execution_id]]
        assert events is None or [structs.astuple(one) for one in events] == log


# close


async def test_closing_twice_is_closing_once(store: Store) -> None:
    await store.close()
    await store.close()


async def test_a_closed_store_opens_again(store: Store) -> None:
    first = await put(store)
    await store.close()

    await store.open()

    assert await store.get(first.request_id) == first
    await put(store)
    assert [event.seq for event in await log_of(store)] == [1, 2]


# prune


async def test_prune_removes_whole_executions_that_were_settled_before(store: Store) -> None:
    old = await settle(store, await put(store, execution_id="old"))
    half = await settle(store, await put(store, execution_id="half"))
    still_open = await put(store, execution_id="half")
    fresh = await settle(store, await put(store, execution_id="fresh"), now=LATER)

    removed = await store.prune(LATER, limit=9)

    assert removed == 2
    assert await store.get(old.request_id) is None
    assert await log_of(store, "old") == []
    assert await store.locate(old.asked_event_id) is None
    assert await store.locate(old.settled_event_id or "") is None
    left = ids([half, still_open, fresh])
    assert ids((await store.list(Filter(), limit=EVERY)).requests) == left
    assert len(await log_of(store)) == 5
    assert await store.prune(LATER, limit=9) == 0


async def test_prune_takes_what_was_settled_the_longest_ago_and_the_first_events_first(store: Store) -> None:
    late, early = [await put(store, execution_id=run) for run in ("a", "b")]
    await settle(store, late, now=NOW + timedelta(hours=2))
    await settle(store, early, now=NOW + timedelta(hours=1))
    log = [event.event_id for event in await log_of(store)]  # asked late, asked early, late, early
    left = [log[:], [log[0], log[2], log[3]], [log[0], log[2]], [log[2]], []]

    for number, events in enumerate(left):
        assert [event.event_id for event in await log_of(store)] == events
        assert await store.prune(LATER, limit=1) == (0 if number == 4 else 1)


async def test_prune_keeps_to_its_limit_across_executions(store: Store) -> None:
    for number in range(5):
        await settle(store, await put(store, execution_id=f"run-{number}"))

    assert await store.prune(LATER, limit=5) == 5
    assert [event.execution_id for event in await log_of(store)] == ["run-2", "run-3", "run-3", "run-4", "run-4"]
    assert await store.prune(LATER, limit=9) == 5
    assert await log_of(store) == []


async def test_a_request_goes_with_its_last_event(store: Store) -> None:
    first, second = await put(store), await put(store)
    done = [await settle(store, one) for one in (second, first)]  # asked 1, asked 2, settled 2, settled 1

    await store.prune(LATER, limit=2)
    assert ids((await store.list(Filter(), limit=EVERY)).requests) == ids([first, second])
    await store.prune(LATER, limit=1)
    assert ids((await store.list(Filter(), limit=EVERY)).requests) == ids([first])
    assert await store.get(first.request_id) == done[1]
    await store.prune(LATER, limit=1)
    assert (await store.list(Filter(), limit=EVERY)).requests == ()


@pytest.mark.promise("EVENT-2")
async def test_an_execution_that_is_asked_in_while_it_is_pruned_is_kept_from_there(store: Store) -> None:
    for _ in range(2):
        await settle(store, await put(store))
    await store.prune(LATER, limit=1)

    pending = await put(store)

    assert await store.prune(LATER, limit=9) == 0
    assert [event.seq for event in await log_of(store, "run-1")] == [2, 3, 4, 5]
    await settle(store, pending)
    assert await store.prune(LATER, limit=9) == 5


@pytest.mark.promise("RETAIN-2")
async def test_a_pruned_request_leaves_word_of_how_it_was_settled_and_by_whom(store: Store) -> None:
    gone = await settle(store, await put(store))
    kept = await put(store, execution_id="run-2")

    await store.prune(LATER, limit=9)

    left = await store.remains(gone.request_id)
    assert left == Request.removed(gone.request_id, "run-1", "answered", "key:default", NOW)
    assert await store.remains(kept.request_id) is None
    assert await store.remains(new_id()) is None


@pytest.mark.promise("RETAIN-3", "ANSWER-2")
async def test_the_id_of_a_pruned_request_is_never_free_again(store: Store) -> None:
    gone = await settle(store, await put(store))
    await store.prune(LATER, limit=9)

    with pytest.raises(RequestMismatch, match="settled and then removed"):
        await store.put(gone, asked(gone))
    with pytest.raises(NotFound):
        await store.settle(gone, completed(gone))

    assert await store.get(gone.request_id) is None
    assert await log_of(store) == []


@pytest.mark.promise("STREAM-3")
async def test_an_event_before_pruned_ones_has_a_gap_after_it(store: Store) -> None:
    before, pruned, between, after = [await put(store, execution_id=run) for run in ("a", "b", "a", "a")]
    done = await settle(store, pruned)
    last = await put(store, execution_id="a")
    assert not any([(await located(store, one)).has_gap for one in (before, between, after, last)])

    await store.prune(LATER, limit=1)
    assert [(await located(store, one)).has_gap for one in (before, between, after, last)] == [
        True,
        False,
        False,
        False,
    ]
    await store.prune(LATER, limit=1)
    assert await store.locate(done.settled_event_id or "") is None
    assert [(await located(store, one)).has_gap for one in (before, between, after, last)] == [True, True, True, False]


async def located(store: Store, one: Request) -> Located:
    return await store.locate(one.asked_event_id) or pytest.fail()


@pytest.mark.promise("STREAM-3")
async def test_a_store_that_prunes_has_a_new_origin(store: Store) -> None:
    former = (await store.list(Filter(), limit=1)).head_event_id
    await settle(store, await put(store))
    assert await store.locate(former) == Located(None, 0)

    await store.prune(NOW, limit=9)
    assert await store.locate(former) == Located(None, 0)
    await store.prune(LATER, limit=9)

    page = await store.list(Filter(), limit=1)
    assert await store.locate(former) is None
    assert page.head == 0
    assert await store.locate(page.head_event_id) == Located(None, 0)


@pytest.mark.promise("KEEP-1")
async def test_what_was_kept_first_stays(store: Store) -> None:
    await store.keep("run-1", "draft-1", b"one", NOW)
    await store.keep("run-1", "draft-1", b"two", NOW)
    await store.keep("run-1", "draft-2", b"\x00\xff", NOW)

    assert [await store.kept(id) for id in ("draft-1", "draft-2", "draft-3")] == [
        Kept("run-1", b"one"),
        Kept("run-1", b"\x00\xff"),
        None,
    ]
    assert (await store.list(Filter(), limit=9)).requests == ()


async def test_prune_removes_what_was_kept_with_its_execution_and_no_execution_that_kept_something_lately(
    store: Store,
) -> None:
    await settle(store, await put(store, execution_id="old"))
    await settle(store, await put(store, execution_id="busy"))
    for execution_id, now in (("old", NOW), ("unasked", NOW), ("busy", LATER)):
        await store.keep(execution_id, execution_id, b"draft", now)

    assert await store.prune(LATER, limit=9) == 4
    assert [await store.kept(id) for id in ("old", "unasked", "busy")] == [None, None, Kept("busy", b"draft")]
    assert len(await log_of(store, "busy")) == 2
    assert [event.seq for event in await log_of(store, (await put(store, execution_id="unasked")).execution_id)] == [1]


async def test_prune_keeps_to_its_limit_in_what_was_kept_too(store: Store) -> None:
    await settle(store, await put(store))
    for number in range(3):
        await store.keep("run-1", f"draft-{number}", b"draft", NOW)

    assert await store.prune(LATER, limit=2) == 2
    assert [await store.kept(f"draft-{number}") for number in range(3)] == [None, None, Kept("run-1", b"draft")]
    assert await store.prune(LATER, limit=2) == 2
    assert [event.seq for event in await log_of(store)] == [2]
    assert await store.prune(LATER, limit=2) == 1
    assert await store.prune(LATER, limit=2) == 0


@pytest.mark.promise("LEASE-1")
async def test_a_lease_is_one_holders_until_it_lapses_or_is_given_back(store: Store) -> None:
    soon, later = NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)

    assert await store.lease("work", "one", soon, NOW)
    assert not await store.lease("work", "two", later, NOW)
    assert await store.lease("other work", "two", later, NOW)
    assert await store.lease("work", "one", later, NOW)
    assert not await store.lease("work", "two", later, soon)
    assert await store.lease("work", "two", later + timedelta(seconds=1), later)
    await store.release("work", "one")
    assert not await store.lease("work", "one", later, soon)
    await store.release("work", "two")
    assert await store.lease("work", "one", later, soon)


async def test_prune_forgets_leases_that_lapsed_long_ago(store: Store) -> None:
    await store.lease("work", "one", LATER, NOW)
    await store.lease("other work", "one", NOW, NOW)

    await store.prune(LATER, limit=9)

    assert not await store.lease("work", "two", LATER, NOW)
    assert await store.lease("other work", "two", LATER, NOW - timedelta(days=1))


@pytest.mark.promise("LEASE-1")
async def test_of_many_who_want_a_lease_one_gets_it(store: Store) -> None:
    until = NOW + timedelta(seconds=10)
    got = await asyncio.gather(*(store.lease("work", f"holder-{number}", until, NOW) for number in range(50)))
    assert sum(got) == 1


@pytest.mark.promise("EVENT-2")
async def test_a_position_is_never_given_out_again(store: Store) -> None:
    last = await settle(store, await put(store))
    used = (await store.locate(last.settled_event_id or "") or pytest.fail()).position
    await store.prune(LATER, limit=9)

    new = await put(store)

    assert (await store.locate(new.asked_event_id) or pytest.fail()).position > used
    assert [event.seq for event in await log_of(store, "run-1")] == [1]


async def test_an_empty_store_has_nothing(store: Store) -> None:
    page = await store.list(Filter(), limit=9)

    assert (page.requests, page.next, page.head) == ((), None, 0)
    assert await log_of(store) == []
    assert await store.prune(LATER, limit=9) == 0
