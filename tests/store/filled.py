"""A SQLite store with something of everything in it, and what a store says of what it holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from sayso.keys import KeyWanted, created
from sayso.model import Request
from sayso.store import Filter, Owed, Store
from sayso.store.postgres import PostgresStore
from sayso.store.sqlite import SQLiteStore
from sayso.subscription import Subscription, place_of, subscribed
from tests.builders import NOW, answered, asked, completed, new_id, request

EVERY: Final = 10_000
DAY: Final = timedelta(days=1)


async def put(store: Store, **members: Any) -> Request:
    new = request(**members)
    return (await store.put(new, asked(new))).request


async def settle(store: Store, settled: Request) -> Request:
    return (await store.settle(settled, completed(settled))).request


async def fill(store: SQLiteStore, *, requests: int = 40) -> None:
    """Interleaved executions, every kind of end, things kept, leases, a secret, keys; and some of it removed again."""
    await put(store, execution_id="run-0", prompt="The first?", now=NOW - 9 * DAY)  # what is removed came after it
    for number in range(3):
        old = await put(store, execution_id="old", request_id=f"old-{number}", now=NOW - 9 * DAY)
        await settle(store, answered(old, now=NOW - 8 * DAY))
    await store.keep("old", "old-draft", b"gone", NOW - 8 * DAY)
    for number in range(requests):
        one = await put(
            store,
            execution_id=f"run-{number % 7}",
            prompt=f"Ship \N{FERRY} {number}? \u2028 'quoted' \\ \"twice\"",
            context="x" * (number % 5 * 1_000),
            durable=number % 4 > 0,
            timeout=3_600.123456 if number % 3 == 0 else None,
        )
        match number % 6:
            case 0:
                await settle(store, answered(one, "yes \N{GRINNING FACE}", now=NOW + timedelta(microseconds=number)))
            case 1:
                await settle(store, one.expired(None, now=NOW, event_id=new_id()))
            case 2:
                end = {"by": "session:ada", "channel": "inbox", "now": NOW, "event_id": new_id()}
                await settle(store, one.cancelled("no \0 more", **end))
    for number in range(2):
        await settle(store, answered(await put(store, execution_id="done", request_id=f"done-{number}")))
    assert await store.prune(NOW - DAY, limit=100) == 7
    await store.keep("run-1", "draft", bytes(range(256)), NOW)
    await store.keep("only-kept", "large", b"\0" * 100_000, NOW)
    await store.lease("flow:7", "worker-1", NOW + DAY, NOW)
    await store.secret("session")
    for name, days in (("crew", 2), ("ann", 1)):
        wanted = KeyWanted(name=name, scopes=("ask",), executions=("run-*",))
        made = created((), wanted, id=f"id-{name}", hash=name * 9, now=NOW - days * DAY)
        await store.change_keys(lambda _, made=made: made)
    await store.used_keys({"id-ann": NOW})
    assert await store.redeem("used", NOW + DAY, NOW)
    standing = await store.begin_notifier("ops")
    owed = [Owed(f"run-{number}", number, number, NOW + number * DAY, "500") for number in range(3)]
    assert await store.advance_notifier("ops", standing._replace(off="410"), owed=owed)
    for name in ("phone", "browser"):
        values = {"endpoint": f"https://push.example/{name}", "p256dh": "p⛴", "auth": "a", "owner": "id-ann"}
        new = Subscription(id=f"id-{name}", created_at=NOW, **values)
        await store.change_subscriptions(lambda there, new=new: subscribed(there, new))


async def filled(path: Path, *, requests: int = 40) -> None:
    """At `path`, closed."""
    store = SQLiteStore(path)
    await store.open()
    try:
        await fill(store, requests=requests)
    finally:
        await store.close()


async def said(store: Store, *, cursors: tuple[str, ...] = ()) -> dict[str, Any]:
    """Everything that the store says of what it holds; `cursors`: further ones to look up."""
    events = await store.read(None, after=0, limit=EVERY)
    page = await store.list(Filter(), limit=EVERY)
    runs = sorted({event.execution_id for event in events})
    empty = await store.list(Filter(execution_id="nobody"), limit=1)  # its head is the origin
    places = {
        id: await store.locate(id) for id in (*(event.event_id for event in events), empty.head_event_id, *cursors)
    }
    assert isinstance(store, SQLiteStore | PostgresStore)
    return {
        "events": [structs.astuple(event) for event in events],
        "of each": {run: [e.seq for e in await store.read(run, after=0, limit=EVERY)] for run in runs},
        "open": [event.event_id for event in await store.read(None, after=0, limit=EVERY, open_only=True)],
        "requests": page.requests,
        "head": (page.head, page.head_event_id),
        "due": (await store.list(Filter(due_before=NOW + DAY), limit=EVERY)).requests,
        "not durable": (await store.list(Filter(durable=False), limit=EVERY)).requests,
        "places": {id: place and tuple(place) for id, place in places.items()},
        "kept": {id: await store.kept(id) for id in ("draft", "large", "old-draft")},
        "left": {id: await store.remains(id) for id in ("old-0", "old-2", "done-1", "never")},
        "leased": [
            await store.lease("flow:7", "other", NOW + DAY, NOW),
            await store.lease("flow:7", "worker-1", NOW + DAY, NOW),
        ],
        "secret": await store.secret("session"),
        "keys": await store.keys(),
        "notifiers": [await store.begin_notifier("ops"), list(await store.owed("ops", limit=9))],
        "devices": list(await store.subscriptions()),
        "told": [await store.begin_notifier(place_of(id)) for id in ("id-phone", "id-browser")],
    }


async def said_at(store: SQLiteStore | PostgresStore) -> dict[str, Any]:
    """Opens it for that alone."""
    await store.open()
    try:
        return await said(store)
    finally:
        await store.close()
