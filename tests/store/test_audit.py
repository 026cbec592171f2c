"""The audit of every store: an entry for each change and for nothing else, in chains that outlive what they tell of."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from sayso.audit import Entry
from sayso.chain import Chains
from sayso.errors import NotFound, StoreFailed, StoreTooNew
from sayso.model import Request
from sayso.store import AuditPlace, Store
from sayso.store.postgres import PostgresStore
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite.check import check_whole
from tests.builders import NOW, answered, asked, completed, request

LATER = NOW + timedelta(days=1)
BEGINNING = AuditPlace()


async def put(store: Store, **members: Any) -> Request:
    new = request(**members)
    return (await store.put(new, asked(new))).request


async def settle(store: Store, pending: Request, **how: Any) -> Request:
    done = answered(pending, **how)
    return (await store.settle(done, completed(done))).request


async def audit_of(store: Store, execution_id: str | None = None) -> list[dict[str, Any]]:
    """All entries, which were verified."""
    entries = await store.audit(execution_id, after=BEGINNING, limit=10_000)
    chains = Chains()
    lines = [msgspec.json.decode(entry.line) for entry in entries]
    for line in lines:
        chains.add(line)
    chains.end()
    return lines


@pytest.mark.promise("AUDIT-1")
async def test_each_change_leaves_an_entry(store: Store) -> None:
    one, two = await put(store), await put(store)
    done = await settle(store, two)
    given_up = one.cancelled("no", by="key:a", channel="websocket", now=NOW, event_id="e9")
    await store.settle(given_up, completed(given_up))

    found = await audit_of(store)

    assert [(entry["number"], entry["change"], entry["request_id"], entry["event_id"]) for entry in found] == [
        (1, "asked", one.request_id, one.asked_event_id),
        (2, "asked", two.request_id, two.asked_event_id),
        (3, "answered", two.request_id, done.settled_event_id),
        (4, "cancelled", one.request_id, "e9"),
    ]
    assert (found[3]["by"], found[3]["channel"], found[3]["proof"]) == ("key:a", "websocket", "key")


@pytest.mark.promise("AUDIT-1")
async def test_what_changes_nothing_leaves_none(store: Store) -> None:
    one = await put(store, request_id="one")
    again = request(request_id="one", prompt="another")
    await store.put(again, asked(again))
    await settle(store, one)
    await settle(store, one, text="late")
    with pytest.raises(NotFound):
        await settle(store, request())
    await store.keep("run-1", "draft", b"x", NOW)

    assert [entry["change"] for entry in await audit_of(store)] == ["asked", "answered"]


@pytest.mark.promise("AUDIT-1", "AUDIT-2")
async def test_chains_are_dense_and_linked_under_concurrent_writers(store: Store) -> None:
    async def ask_and_answer(number: int) -> None:
        pending = await put(store, execution_id=f"run-{number % 3}")
        await asyncio.gather(*(settle(store, pending, text=f"{rival}") for rival in range(3)))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(ask_and_answer, range(60)))

    for execution in ("run-0", "run-1", "run-2"):
        found = await audit_of(store, execution)
        assert [entry["number"] for entry in found] == list(range(1, 41))
        events = await store.read(execution, after=0, limit=1_000)
        assert [entry["event_id"] for entry in found] == [event.event_id for event in events]
    assert len(await audit_of(store)) == 120


@pytest.mark.promise("AUDIT-2")
async def test_entries_outlive_what_they_speak_of_and_their_numbers_go_on(store: Store) -> None:
    await settle(store, await put(store))
    before = await audit_of(store)
    await store.prune(LATER, limit=100)
    assert await store.read(None, after=0, limit=10) == []
    assert await audit_of(store) == before

    await put(store)

    after = await audit_of(store)
    assert after[:2] == before
    assert (after[2]["number"], after[2]["previous"]) == (3, before[1]["hash"])


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_it_is_read_page_by_page(store: Store, limit: int) -> None:
    for execution in ("run-2", "a:b", "run-10", "run-2", "a:b", "~z", "run-2", "Run"):
        await put(store, execution_id=execution)

    async def pages(execution_id: str | None) -> list[Entry]:
        found: list[Entry] = []
        after = BEGINNING
        while page := await store.audit(execution_id, after=after, limit=limit):
            assert len(page) <= limit
            found += page
            after = AuditPlace(page[-1].execution_id, page[-1].number)
        return found

    everything = await pages(None)
    places = [(entry.execution_id, entry.number) for entry in everything]
    assert places == sorted(places)
    assert len(places) == 8
    for execution in ("run-2", "a:b", "unknown"):
        assert await pages(execution) == [entry for entry in everything if entry.execution_id == execution]


@pytest.mark.promise("AUDIT-1")
async def test_a_change_that_is_not_stored_leaves_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither without the other: what fails after the event, or at the entry, takes both back."""
    store = SQLiteStore(tmp_path / "log.db")
    await store.open()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        db.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON audit WHEN NEW.number = 2 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    pending = await put(store)

    with pytest.raises(Exception, match="no"):
        await settle(store, pending)

    assert (await store.get(pending.request_id)) == pending
    assert len(await store.read(None, after=0, limit=10)) == len(await audit_of(store)) == 1
    await store.close()


@pytest.mark.promise("AUDIT-1")
@pytest.mark.parametrize("change", ["asked", "answered"])
async def test_postgres_stores_a_change_with_its_entry_or_not_at_all(database: str, change: str) -> None:
    """What fails at the entry takes the request and the event back; what commits with it is not harmed."""
    store = PostgresStore(database)
    await store.open()
    pending = await put(store)
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$"
    )
    await connection.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON sayso.audit FOR EACH ROW "
        "WHEN (NEW.execution_id = 'run-1' AND NEW.number = 2) EXECUTE FUNCTION stop()"
    )
    new = request(request_id="new")
    changed = settle(store, pending) if change == "answered" else store.put(new, asked(new))

    refused, _ = await asyncio.gather(changed, put(store, execution_id="other"), return_exceptions=True)

    assert isinstance(refused, StoreFailed)
    assert await store.get(pending.request_id) == pending
    assert await store.get("new") is None
    assert len(await store.read("run-1", after=0, limit=10)) == len(await audit_of(store, "run-1")) == 1
    assert len(await store.read("other", after=0, limit=10)) == len(await audit_of(store, "other")) == 1
    await connection.execute("DROP TRIGGER stop ON sayso.audit")
    await connection.close()
    await settle(store, pending)
    assert [entry["change"] for entry in await audit_of(store, "run-1")] == ["asked", "answered"]
    await store.close()


@pytest.mark.promise("AUDIT-2")
@pytest.mark.parametrize("statement", ["UPDATE audit SET data = x''", "DELETE FROM audit"])
async def test_sqlite_lets_nobody_change_an_entry_by_accident(tmp_path: Path, statement: str) -> None:
    store = SQLiteStore(tmp_path / "log.db")
    await store.open()
    await put(store)
    await store.close()
    with closing(sqlite3.connect(store.path)) as db, pytest.raises(sqlite3.IntegrityError, match="audit entries stay"):
        db.execute(statement)


@pytest.mark.promise("AUDIT-2")
@pytest.mark.parametrize(
    "statement", ["UPDATE sayso.audit SET data = ''", "DELETE FROM sayso.audit", "TRUNCATE sayso.audit"]
)
async def test_postgres_lets_nobody_change_an_entry_by_accident(database: str, statement: str) -> None:
    store = PostgresStore(database)
    await store.open()
    await put(store)
    connection = await asyncpg.connect(database)
    with pytest.raises(asyncpg.RaiseError, match="audit entries stay"):
        await connection.execute(statement)
    await connection.close()
    await store.close()


async def test_a_sqlite_store_of_before_begins_its_chains_with_the_next_change(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for name in ("0001_log", "0002_resumes_and_leases", "0003_large_and_old"):
            db.executescript((files("sayso.store.sql") / "sqlite" / f"{name}.sql").read_text())
        one = request(request_id="old")
        db.execute("INSERT INTO streams (execution_id, last_seq, pending) VALUES ('run-1', 1, 1)")
        event = [1, "run-1", 1, one.asked_event_id, "human_input_required", "old", msgspec.json.encode(asked(one))]
        db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", event)
        row = [1, "old", "run-1", "pending", 1, msgspec.json.encode(one)]
        db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, NULL, NULL, ?, NULL)", row)
    store = SQLiteStore(path)
    await store.open()
    assert await audit_of(store) == []

    await settle(store, one)

    assert [(entry["number"], entry["change"]) for entry in await audit_of(store)] == [(1, "answered")]
    await store.close()


async def test_a_damaged_entry_is_told_and_harms_only_its_chain(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "log.db")
    await store.open()
    for execution in ("a", "a", "b"):
        await put(store, execution_id=execution)
    await store.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        assert check_whole(db, store.path, 5) == []
        db.execute("DROP TRIGGER audit_is_not_changed")
        db.execute("UPDATE audit SET data = replace(CAST(data AS TEXT), 'key:', 'kex:') WHERE execution_id = 'a'")
        (told,) = check_whole(db, store.path, 5)
    assert "the audit of execution a is damaged: entry 1" in told

    await store.open()
    entries = await store.audit(None, after=BEGINNING, limit=10)
    lines = [msgspec.json.decode(entry.line) for entry in entries]
    assert [("damaged" in line, line["number"]) for line in lines] == [(True, 1), (True, 2), (False, 1)]
    await put(store, execution_id="a")
    await store.close()


async def test_a_node_of_before_goes_on_beside_a_new_one_and_starts_no_more(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does meanwhile has no entry, and the chains of the new one are whole all the same."""
    store = PostgresStore(database)
    await store.open()
    await put(store)
    connection = await asyncpg.connect(database)
    old = request()
    now = [[True], [old.request_id], ["run-1"], ["pending"], [True], [None], [None], [None], [None]]
    rest = [[msgspec.json.encode(old)], [old.asked_event_id], [b'{"seq":'], [b"}"]]
    row = await connection.fetchrow(
        "SELECT outcome, at FROM sayso.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)", *now, *rest
    )
    await connection.close()
    assert tuple(row) == ("done", 2)

    await settle(store, old)

    assert [event.seq for event in await store.read("run-1", after=0, limit=10)] == [1, 2, 3]
    assert [(entry["number"], entry["change"]) for entry in await audit_of(store)] == [(1, "asked"), (2, "answered")]
    await store.close()
    monkeypatch.setattr("sayso.store.postgres.connection.migrations", lambda engine: [(2, "")])
    with pytest.raises(StoreTooNew):
        await PostgresStore(database).open()


@pytest.mark.promise("AUDIT-2")
async def test_several_nodes_append_to_one_chain(database: str) -> None:
    stores = [PostgresStore(database), PostgresStore(database)]
    for store in stores:
        await store.open()
    await asyncio.gather(*(put(stores[number % 2]) for number in range(40)))
    assert [entry["number"] for entry in await audit_of(stores[0])] == list(range(1, 41))
    for store in stores:
        await store.close()
