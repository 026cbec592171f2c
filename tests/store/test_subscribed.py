"""What every store that keeps devices promises: the docstrings of the Protocol `Subscribed`."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from sayso import limits
from sayso.errors import NotFound, TooMany
from sayso.store import Notified, Owed, Standing, Store, Subscribed
from sayso.store.sqlite import SQLiteStore
from sayso.subscription import Subscription, SubscriptionChange, place_of, subscribed, unsubscribed
from tests.builders import NOW, asked, request


@pytest.fixture
def kept(store: Store) -> Subscribed:
    assert isinstance(store, Subscribed)
    return store


def device(id: str, **members: str) -> Subscription:
    values = {"endpoint": f"https://push.example/{id}", "p256dh": "p", "auth": "a", "owner": "key-1"} | members
    return Subscription(id=id, created_at=NOW, **values)


async def subscribe(kept: Subscribed, new: Subscription) -> SubscriptionChange:
    return await kept.change_subscriptions(lambda there: subscribed(there, new))


async def test_a_device_is_kept_and_stands_at_the_end_of_the_log(store: Store, kept: Subscribed) -> None:
    one = request()
    await store.put(one, asked(one))
    await subscribe(kept, device("b"))
    await subscribe(kept, device("a", owner="key-2"))
    assert list(await kept.subscriptions()) == [device("a", owner="key-2"), device("b")]
    assert isinstance(store, Notified)
    two = request()
    await store.put(two, asked(two))
    assert await store.begin_notifier(place_of("b")) == Standing(1, 0, "", 0)


async def test_a_device_that_comes_again_keeps_its_id_and_its_place(store: Store, kept: Subscribed) -> None:
    await subscribe(kept, device("a"))
    one = request()
    await store.put(one, asked(one))
    again = device("b", endpoint="https://push.example/a", auth="new", owner="key-2")
    assert (await subscribe(kept, again)).one == replace(again, id="a")
    assert list(await kept.subscriptions()) == [replace(again, id="a")]
    assert isinstance(store, Notified)
    assert (await store.begin_notifier(place_of("a"))).position == 0


async def test_a_device_that_goes_takes_its_place_along(store: Store, kept: Subscribed) -> None:
    assert isinstance(store, Notified)
    for id in ("a", "b"):
        await subscribe(kept, device(id))
        at = await store.begin_notifier(place_of(id))
        await store.advance_notifier(place_of(id), at, owed=[Owed("run-1", 0, 1, NOW, "500")])
    with pytest.raises(NotFound):
        await kept.change_subscriptions(lambda there: unsubscribed(there, "a", "key-2"))
    await kept.change_subscriptions(lambda there: unsubscribed(there, "a", "key-1"))
    assert list(await kept.subscriptions()) == [device("b")]
    assert list(await store.owed(place_of("a"), limit=9)) == []
    assert len(await store.owed(place_of("b"), limit=9)) == 1
    one = request()
    await store.put(one, asked(one))
    assert await store.begin_notifier(place_of("a")) == Standing(1, 0, "", 0)  # nothing was left of the old one
    with pytest.raises(NotFound):
        await kept.change_subscriptions(lambda there: unsubscribed(there, "a"))


async def test_there_are_no_more_than_the_caps_also_at_once(kept: Subscribed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DEVICES", 5)
    monkeypatch.setattr(limits, "DEVICES_PER_KEY", 2)
    new = [device(f"{key}{number}", owner=key) for key in "abcd" for number in range(3)]
    done = await asyncio.gather(*(subscribe(kept, one) for one in new), return_exceptions=True)
    assert sum(isinstance(one, TooMany) for one in done) == len(new) - 5
    there = await kept.subscriptions()
    assert len(there) == 5
    assert all(sum(one.owner == key for one in there) <= 2 for key in "abcd")
    await subscribe(kept, replace(there[0], auth="again"))  # one that is there already takes no room


async def test_a_device_that_was_changed_on_the_disk_is_told_nothing(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "log.db")
    await store.open()
    await subscribe(store, device("a"))
    await subscribe(store, device("b"))
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        db.execute("UPDATE subscriptions SET data = replace(CAST(data AS TEXT), 'key-1', 'key-2') WHERE id = 'a'")
        db.commit()
    assert [one.id for one in await store.subscriptions()] == ["b"]
    await store.close()
