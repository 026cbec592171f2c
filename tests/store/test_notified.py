"""What every store that keeps how far notifiers have come promises: the docstrings of the Protocol `Notified`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sayso.store import Notified, Owed, Standing, Store
from tests.builders import NOW, asked, request

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def kept(store: Store) -> Notified:
    assert isinstance(store, Notified)
    return store


async def ask(store: Store, *ids: str) -> None:
    for id in ids:
        one = request(request_id=id)
        await store.put(one, asked(one))


async def test_a_notifier_begins_at_the_end_of_the_log_and_stays_where_it_was(store: Store, kept: Notified) -> None:
    await ask(store, "a", "b")
    assert await kept.begin_notifier("ops") == Standing(2, 0, "", 0)
    await ask(store, "c")
    assert await kept.begin_notifier("ops") == Standing(2, 0, "", 0)
    assert await kept.begin_notifier("later") == Standing(3, 0, "", 0)


async def test_a_step_is_taken_whole_and_only_from_the_step_before(store: Store, kept: Notified) -> None:
    at = await kept.begin_notifier("ops")
    await kept.begin_notifier("other")
    first = Owed("run-1", 3, 1, LATER, "500")
    assert await kept.advance_notifier("ops", at._replace(position=7), owed=[first, first._replace(execution_id="r2")])
    moved = await kept.begin_notifier("ops")
    assert moved == Standing(7, 1, "", 2)
    assert not await kept.advance_notifier("ops", at._replace(position=9), done=["run-1"])
    assert await kept.begin_notifier("ops") == moved
    again = first._replace(attempts=2, why="")
    assert await kept.advance_notifier("ops", moved._replace(off="410"), owed=[again], done=["r2", "never"])
    assert await kept.begin_notifier("ops") == Standing(7, 2, "410", 1)
    assert list(await kept.owed("ops", ["run-1", "r2"])) == [again]
    assert list(await kept.owed("other", limit=9)) == []


async def test_what_is_due_first_comes_first(kept: Notified) -> None:
    at = await kept.begin_notifier("ops")
    owed = [Owed(f"run-{n}", n, n, NOW + timedelta(seconds=10 - n), "") for n in range(4)]
    await kept.advance_notifier("ops", at, owed=owed)
    assert list(await kept.owed("ops", limit=2)) == [owed[3], owed[2]]
    assert list(await kept.owed("ops", ["run-1"])) == [owed[1]]


async def test_a_replay_switches_on_and_goes_back_and_nobody_s_step_undoes_it(kept: Notified) -> None:
    at = await kept.begin_notifier("ops")
    await kept.advance_notifier("ops", at._replace(position=9, off="410"), owed=[Owed("run", 5, 4, LATER, "500")])
    stale = await kept.begin_notifier("ops")
    await kept.replay_notifier("ops", 20, NOW)
    assert await kept.begin_notifier("ops") == Standing(9, 2, "", 1)
    assert not await kept.advance_notifier("ops", stale)
    assert list(await kept.owed("ops", limit=9)) == [Owed("run", 5, 0, NOW, "500")]
    await kept.replay_notifier("ops", 3, NOW)
    assert (await kept.begin_notifier("ops")).position == 3
    assert list(await kept.owed("ops", limit=9)) == [Owed("run", 3, 0, NOW, "500")]
