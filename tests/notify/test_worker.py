"""A notifier at work, step by step, over real stores, with a clock that stands still and a scripted receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sayso.model import Request
from sayso.notify.file import Configured
from sayso.notify.rules import Rule
from sayso.notify.schedule import pause
from sayso.notify.sending import NotDelivered, Refused
from sayso.notify.worker import Worker
from sayso.store import Owed
from sayso.store.memory import MemoryStore
from sayso.store.sqlite import SQLiteStore
from sayso.wire import Event
from tests.builders import NOW, answered, asked, completed, request
from tests.core.clock import SetClock

Log = MemoryStore | SQLiteStore
FIRST, SECOND = 5.0, 300.0
DAY = 86_400.0


class Script:
    """A Carrier. `says` raises what becomes of a delivery; `got` is what arrived, as execution and number."""

    target = "script:"

    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []
        self.ids: list[str] = []
        self.tried = 0
        self.says: Callable[[Event], None] = lambda event: None

    async def send(self, event: Event) -> None:
        self.tried += 1
        self.ids.append(event.event_id)
        self.says(event)
        self.got.append((event.execution_id, event.seq))

    async def close(self) -> None:
        """Nothing."""


class Place:
    """A store, a clock and a worker on both."""

    def __init__(self, store: Log) -> None:
        self.store = store
        self.clock = SetClock()
        self.script = Script()

    def worker(self, *rules: Rule) -> Worker:
        """A new one, as after a restart: what it knows lies in the store."""
        one = Configured("ops", "script", rules, self.script)
        return Worker(one, self.store, self.store, self.clock, lambda: True, dice=lambda: 0.0)

    async def work(self, *rules: Rule) -> float:
        """Steps until there is nothing to do; in how many seconds there is."""
        worker = self.worker(*rules)
        for _ in range(100):
            if seconds := await worker.step():
                return seconds
        raise AssertionError("it never comes to rest")

    async def ask(self, execution_id: str = "a", **members: object) -> Request:
        one = request(execution_id=execution_id, now=self.clock.now(), **members)  # type: ignore[arg-type]
        await self.store.put(one, asked(one))
        return one

    async def settle(self, one: Request) -> None:
        settled = answered(one, now=self.clock.now())
        await self.store.settle(settled, completed(settled))

    async def owed(self) -> list[Owed]:
        return list(await self.store.owed("ops", limit=99))


@pytest.fixture(params=["memory", "sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    store: Log = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "log.db")
    await store.open()
    made = Place(store)
    await store.begin_notifier("ops")
    yield made
    await store.close()


def failing(*executions: str, retry_after: float | None = None) -> Callable[[Event], None]:
    def says(event: Event) -> None:
        if event.execution_id in executions:
            raise NotDelivered("the receiver said 500", retry_after)

    return says


@pytest.mark.promise("NOTIFY-1", "NOTIFY-2")
async def test_everything_is_delivered_once_in_the_order_of_each_execution(place: Place) -> None:
    for number in range(120):  # more than one step takes
        await place.ask(f"run-{number % 3}")
    await place.work()
    assert len(place.script.got) == 120
    for run in ("run-0", "run-1", "run-2"):
        assert [seq for id, seq in place.script.got if id == run] == list(range(1, 41))
    await place.work()
    assert place.script.tried == 120


@pytest.mark.promise("NOTIFY-2", "NOTIFY-3")
async def test_an_execution_that_fails_holds_up_itself_alone_and_stays_in_order(place: Place) -> None:
    place.script.says = failing("a")
    for run in ("a", "b", "a", "b"):
        await place.ask(run)
    assert await place.work() == FIRST
    assert place.script.got == [("b", 1), ("b", 2)]
    await place.ask("a")
    await place.ask("b")
    assert await place.work() == FIRST
    assert (place.script.got, place.script.tried) == ([("b", 1), ("b", 2), ("b", 3)], 4)
    assert await place.owed() == [Owed("a", 0, 1, NOW + timedelta(seconds=FIRST), "the receiver said 500")]
    place.clock.advance(FIRST)
    assert await place.work() == 60.0  # a look, long before the five minutes
    assert (await place.owed())[0].due_at == place.clock.now() + timedelta(seconds=SECOND)
    place.script.says = failing()
    place.clock.advance(SECOND)
    await place.work()
    assert place.script.got[3:] == [("a", 1), ("a", 2), ("a", 3)]
    assert await place.owed() == []


async def test_a_fault_of_the_carrier_at_one_event_holds_up_no_other(place: Place) -> None:
    def says(event: Event) -> None:
        if event.execution_id == "a":
            raise RuntimeError("a fault")

    place.script.says = says
    for run in ("a", "b"):
        await place.ask(run)
    await place.work()
    assert place.script.got == [("b", 1)]
    assert (await place.owed())[0].why == "sayso failed at it: RuntimeError; its log says more"


@pytest.mark.promise("NOTIFY-3")
async def test_what_failed_is_tried_for_days_under_one_id_and_not_given_up(place: Place) -> None:
    place.script.says = failing("a")
    one = await place.ask("a")
    waited = []
    for _ in range(12):
        await place.work()
        due = (await place.owed())[0].due_at
        waited.append((due - place.clock.now()).total_seconds())
        place.clock.advance(waited[-1])
    hours = [2, 5, 10, 14, 20, 24, 24, 24, 24]
    assert waited == [FIRST, SECOND, 1_800.0, *(hour * 3_600.0 for hour in hours)]
    assert set(place.script.ids) == {one.asked_event_id}


def test_a_pause_has_jitter_and_is_as_long_as_the_receiver_asked_for_but_no_longer_than_a_day() -> None:
    assert pause(1, 0.0).total_seconds() == 5
    assert pause(1, 1.0).total_seconds() == 6
    assert pause(1, 0.0, 90.0).total_seconds() == 90
    assert pause(2, 0.0, 90.0).total_seconds() == 300
    assert pause(1, 0.0, 1e9).total_seconds() == DAY


@pytest.mark.promise("NOTIFY-6")
async def test_retry_after_is_kept(place: Place) -> None:
    place.script.says = failing("a", retry_after=3_600.0)
    await place.ask("a")
    await place.work()
    assert (await place.owed())[0].due_at == NOW + timedelta(hours=1)


@pytest.mark.promise("NOTIFY-6")
async def test_a_410_switches_off_and_a_replay_on_again_and_nothing_is_lost(place: Place) -> None:
    def gone(event: Event) -> None:
        raise Refused("410")

    place.script.says = gone
    await place.ask("a")
    await place.work()
    await place.ask("b")
    assert await place.work() == 60.0
    assert (place.script.tried, (await place.store.begin_notifier("ops")).off) == (1, "410")
    place.script.says = failing()
    await place.store.replay_notifier("ops", 99, place.clock.now())
    await place.work()
    assert sorted(place.script.got) == [("a", 1), ("b", 1)]


@pytest.mark.promise("NOTIFY-8")
async def test_a_replay_from_an_event_delivers_again_what_came_after_it(place: Place) -> None:
    for _ in range(3):
        await place.ask("a")
    await place.work()
    await place.store.replay_notifier("ops", 1, place.clock.now())
    await place.work()
    assert place.script.got == [("a", 1), ("a", 2), ("a", 3), ("a", 2), ("a", 3)]


@pytest.mark.promise("NOTIFY-4")
async def test_a_step_of_one_that_was_overtaken_counts_for_nothing(place: Place) -> None:
    await place.ask("a")

    async def overtaken(event: Event) -> None:
        place.script.send = sent  # type: ignore[method-assign]
        await place.work()  # the other node, in the middle of this one's step
        raise NotDelivered("frozen meanwhile")

    sent = place.script.send
    place.script.send = overtaken  # type: ignore[method-assign]
    await place.worker().step()
    assert await place.owed() == []
    assert (await place.store.begin_notifier("ops")).position == 1


async def test_an_execution_with_more_than_a_step_holds_comes_through(place: Place) -> None:
    place.script.says = failing("a")
    for _ in range(130):
        await place.ask("a")
    await place.work()
    place.script.says = failing()
    place.clock.advance(FIRST)
    await place.work()
    assert place.script.got == [("a", number) for number in range(1, 131)]
    assert await place.owed() == []


async def test_what_was_removed_is_owed_no_more(place: Place) -> None:
    place.script.says = failing("a")
    await place.settle(await place.ask("a"))
    await place.work()
    await place.store.prune(NOW + timedelta(days=1), limit=99)
    place.clock.advance(DAY)
    await place.work()
    assert (await place.owed(), place.script.tried) == ([], 1)


@pytest.mark.promise("NOTIFY-9")
async def test_rules_choose_by_event_execution_agent_and_priority(place: Place) -> None:
    rules = (
        Rule(events=("human_input_required",), executions=("order-*",), priorities=("high", "urgent")),
        Rule(agents=("Editor",)),
    )
    for run, members in (
        ("order-1", {"priority": "urgent"}),
        ("order-2", {}),
        ("other", {"priority": "high"}),
        ("edited", {"context_data": {"agent": "Editor"}}),
        ("written", {"context_data": {"agent": "Writer"}}),
    ):
        await place.settle(await place.ask(run, **members))
    await place.work(*rules)
    assert sorted(place.script.got) == [("edited", 1), ("edited", 2), ("order-1", 1)]


@pytest.mark.promise("NOTIFY-9")
async def test_only_what_waits_for_long_is_told_of_and_then_how_it_ended(place: Place) -> None:
    rule = Rule(waiting=600.0)
    quick, slow = await place.ask("quick"), await place.ask("slow")
    await place.work(rule)
    place.clock.advance(300.0)
    await place.settle(quick)
    assert (await place.work(rule), place.script.got) == (60.0, [])
    place.clock.advance(300.0)
    await place.work(rule)
    assert place.script.got == [("slow", 1)]
    place.clock.advance(1.0)
    await place.settle(slow)
    await place.work(rule)
    assert place.script.got == [("slow", 1), ("slow", 2)]
