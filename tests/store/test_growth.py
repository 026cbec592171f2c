"""A store that has grown works no harder: what each call costs is counted in the steps of SQLite's machine, which are
the same on any computer at any time."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso.model import STATUSES, Request, Status
from sayso.store import Filter, Store
from sayso.store.sql import queries
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite import lists as sqlite_lists
from sayso.store.sqlite import prune as sqlite_prune
from sayso.store.sqlite import store as sqlite_store
from tests.builders import NOW, answered, asked, completed, new_id, request

SMALL, LARGE = 400, 8_000
"""Requests; each sixth of them is open."""
LATER = NOW + timedelta(days=1)


class Steps:
    """How many steps SQLite's machine took on all connections that were made meanwhile."""

    def __init__(self) -> None:
        self.taken = 0

    def step(self) -> int:
        self.taken += 1
        return 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    connect = sqlite3.connect

    def counting(*args: Any, **how: Any) -> sqlite3.Connection:
        db = connect(*args, **how)
        db.set_progress_handler(steps.step, 1)
        return db

    monkeypatch.setattr(sqlite3, "connect", counting)
    return steps


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


async def fill(store: Store, count: int) -> list[Request]:
    """Requests of all kinds, in runs of four; what is left of them."""

    async def one(number: int) -> Request:
        run, deadline = f"run-{number // 4}", NOW + timedelta(hours=number)
        new = request(execution_id=run, durable=number % 5 > 0, deadline=deadline)
        await store.put(new, asked(new))
        if number % 6 == 0:
            return new
        done = new.expired(None, now=NOW, event_id=new_id()) if number % 50 == 1 else answered(new)
        return (await store.settle(done, completed(done))).request

    return await asyncio.gather(*(one(number) for number in range(count)))


@pytest.fixture(scope="module")
def stores(folder: Path) -> dict[int, list[Request]]:
    """What is in the files of the folder that are named by how much that is."""

    async def fill_one(count: int) -> list[Request]:
        async with opened(folder, count) as store:
            return await fill(store, count)

    return {count: asyncio.run(fill_one(count)) for count in (SMALL, LARGE)}


Call = Callable[[Store, list[Request]], Awaitable[object]]


async def put(store: Store, execution_id: str) -> object:
    new = request(execution_id=execution_id, deadline=LATER)
    return await store.put(new, asked(new))


async def settle(store: Store, pending: Request) -> object:
    done = answered(pending)
    return await store.settle(done, completed(done))


def lists(after: int = 0, *, newest: bool = False, **members: Any) -> Call:
    return lambda store, there: store.list(Filter(**members), after=after, limit=5, newest=newest)


def reads(*stream: str | None, open_only: bool = False, after: int = 0) -> Call:
    return lambda store, there: store.read(*stream, after=after, limit=5, open_only=open_only)


def statuses(*some: Status) -> frozenset[Status]:
    return frozenset(some)


CALLS: dict[str, Call] = {
    "put, new run": lambda store, there: put(store, new_id()),
    "put, old run": lambda store, there: put(store, "run-1"),
    "put again": lambda store, there: store.put(there[7], asked(there[7])),
    "settle": lambda store, there: settle(store, there[24]),
    "settle again": lambda store, there: settle(store, there[24]),
    "get": lambda store, there: store.get(there[7].request_id),
    "get what is not there": lambda store, there: store.get(new_id()),
    "remains": lambda store, there: store.remains(new_id()),
    "locate": lambda store, there: store.locate(there[7].asked_event_id),
    "locate what is not there": lambda store, there: store.locate(new_id()),
    "list all": lists(),
    "list all, from the middle": lists(after=33),
    "list the newest": lists(newest=True),
    "list the newest, from the middle": lists(after=133, newest=True),
    "list the newest of what is answered, from the middle": lists(133, newest=True, status=statuses("answered")),
    "list the newest of a run": lists(newest=True, execution_id="run-2"),
    "list no status": lists(status=statuses()),
    **{f"list {one}": lists(status=statuses(one)) for one in STATUSES},
    "list what is rare": lists(status=statuses("expired", "cancelled")),
    "list three statuses": lists(status=statuses("answered", "expired", "cancelled")),
    "list a run": lists(execution_id="run-2"),
    "list what is open in a run": lists(execution_id="run-2", status=statuses("pending")),
    "list an unknown run": lists(execution_id="run"),
    "list what is due": lists(status=statuses("pending"), due_before=NOW + timedelta(hours=13)),
    "list what nothing is due of": lists(status=statuses("pending"), due_before=NOW - timedelta(hours=1)),
    "list orphans": lists(status=statuses("pending"), durable=False, until=10**9),
    "read all": reads(None),
    "read all, from the middle": reads(None, after=33),
    "read a run": reads("run-1"),
    "read what is open": reads(None, open_only=True),
    "read what is open in a run": reads("run-1", open_only=True),
    "keep": lambda store, there: store.keep("run-1", new_id(), b"draft", NOW),
    "kept": lambda store, there: store.kept(new_id()),
    "lease": lambda store, there: store.lease("work", "one", LATER, NOW),
    "release": lambda store, there: store.release("work", "one"),
    "prune nothing": lambda store, there: store.prune(NOW - timedelta(days=1), limit=10),
    "prune": lambda store, there: store.prune(LATER, limit=3),
}


@asynccontextmanager
async def opened(folder: Path, count: int) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(folder / f"{count}.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def costs(folder: Path, stores: dict[int, list[Request]], steps: Steps) -> dict[str, tuple[int, int]]:
    """What each call costs on the small store and on the large one, the second time, when connections are there."""
    found: dict[int, dict[str, int]] = {}
    for count, there in stores.items():
        found[count] = {}
        async with opened(folder, count) as store:
            for _ in range(2):
                for name, call in CALLS.items():
                    steps.taken = 0
                    await call(store, there)
                    found[count][name] = steps.taken
    return {name: (found[SMALL][name], found[LARGE][name]) for name in CALLS}


def dearer(costs: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Calls that cost half as much again on a store that is twenty times as large."""
    return {name: (small, large) for name, (small, large) in costs.items() if large > 1.5 * small + 20}


async def test_no_call_costs_more_on_a_store_that_is_twenty_times_as_large(
    folder: Path, stores: dict[int, list[Request]], steps: Steps
) -> None:
    found = await costs(folder, stores, steps)

    assert min(small for small, _ in found.values()) > 0
    assert dearer(found) == {}


async def test_a_store_that_looks_at_everything_is_found_out(
    folder: Path, stores: dict[int, list[Request]], steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same calls, without the indexes."""
    listing = sqlite_lists._listing
    monkeypatch.setattr(sqlite_lists, "_listing", lambda *asked, **how: _no_index(listing(*asked, **how)))
    for module in (sqlite_store, sqlite_prune):
        monkeypatch.setattr(module, "_Q", {name: _no_index(text) for name, text in queries("sqlite").items()})

    found = dearer(await costs(folder, stores, steps))

    assert {
        "list expired",
        "list a run",
        "list what is due",
        "read what is open in a run",
        "prune nothing",
    } <= found.keys()


def _no_index(statement: str) -> str:
    without = re.sub(r"INDEXED BY \w+", "NOT INDEXED", statement)
    return without.replace("WHERE pending = 0 AND", "WHERE +pending = 0 AND +")


async def test_no_statement_looks_through_a_whole_table(folder: Path, stores: dict[int, list[Request]]) -> None:
    allowed = {
        "counts": "for a backup",
        "keys": "they are few, and all are wanted",
        "subscriptions": "likewise",
        "prune_leases": "they are few: most are given back",
        "odd_stream": "when the whole file is checked",
        "head_all": "takes the last row only",
        "last_position": "the table of sequences has one row",
        "prune_to": "the limit is in its inner query",
        "last_entries": "of the executions that it is given",
    }
    with closing(sqlite3.connect(folder / f"{LARGE}.db")) as db:
        for name, statement in queries("sqlite").items():
            values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            scans = [step for step in plan if re.match(r"SCAN (?!\(|CONSTANT|requests_by_status)", step)]
            assert not scans or name in allowed or name.startswith("move_"), (name, plan)  # these read everything
