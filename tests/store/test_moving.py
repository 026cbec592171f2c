"""From SQLite to PostgreSQL: everything, or nothing; and no cursor loses its meaning.

SAYSO_ROUNDS is how often the connection is cut, each way.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sayso import compose
from sayso.errors import Misconfigured, StoreDamaged, StoreFailed, StoreInUse, StoreTooNew
from sayso.gateway import Gateway
from sayso.store.moving import OF_ITS_OWN, TABLES, Moved, in_chunks
from sayso.store.postgres import PostgresStore
from sayso.store.sql import migrations, queries
from sayso.store.sqlite import SQLiteStore
from tests.fault_proxy import Fault, Way, fault_proxy
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster
from tests.store.filled import DAY, EVERY, NOW, fill, filled, put, said, said_at

NOTHING: list[str] = []
CUTS = int(os.environ.get("SAYSO_ROUNDS", "4"))


@pytest.fixture
async def source(tmp_path: Path) -> Path:
    """A store with something of everything, closed."""
    await filled(tmp_path / "old.db")
    return tmp_path / "old.db"


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


async def move(source: Path, database: str, told: Any = quiet) -> Moved:
    async with asyncio.timeout(60):
        return await asyncio.to_thread(compose.migrate, f"sqlite:///{source}", database, told)


def tables(cluster: Cluster, database: str) -> list[str]:
    """What there is of sayso in the database."""
    return cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'sayso' ORDER BY 1", database)


def digests(folder: Path) -> dict[str, str]:
    """Of every file but the locks, and the memory that SQLite's connections share."""
    kept = [one for one in folder.iterdir() if not one.name.endswith((".lock", "-shm"))]
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in kept}


# what goes along


async def test_every_table_and_column_of_both_schemas_goes_along(source: Path, cluster: Cluster, database: str) -> None:
    """Whoever adds a table to the stores adds it to TABLES, and a statement to SQLite's: this fails until then."""
    store = PostgresStore(database)
    await store.open()
    await store.close()
    columns = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns "
        "WHERE table_schema = 'sayso' AND is_identity = 'NO' AND column_name <> 'one' ORDER BY 1"
    )
    assert cluster.sql(columns, database) == sorted(f"{one.name}.{name}" for one in TABLES for name in one.columns)
    assert tables(cluster, database) == sorted(one.name for one in TABLES)

    with closing(sqlite3.connect(source)) as db:
        found = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        assert {name for (name,) in found} == {one.name for one in TABLES} - {"feed"}
        for (name,) in found:
            read = {column[0] for column in db.execute(queries("sqlite")[f"move_{name}"]).description}
            assert read == {column[1] for column in db.execute(f"PRAGMA table_info({name})")}
        known = {key for (key,) in db.execute("SELECT key FROM meta")}
    assert known - OF_ITS_OWN == {"secret:session"}


@pytest.mark.promise("MOVE-1")
async def test_everything_is_there_and_means_what_it_meant(source: Path, database: str) -> None:
    before = await said_at(SQLiteStore(source))

    moved = await move(source, database)

    assert (moved.executions, moved.requests, moved.events, moved.already) == (9, 43, 66, False)
    assert moved.pending == len(before["open"]) == 20
    assert [before["places"][one.asked_event_id] for one in before["requests"][:2]] == [
        ("run-0", 1, True),
        ("run-0", 8, False),
    ]
    assert await said_at(PostgresStore(database)) == before


@pytest.mark.promise("MOVE-1", "TICKET-1", "KEY-4")
async def test_a_ticket_that_was_used_stays_used_and_earlier_code_lets_nobody_in(
    source: Path, database: str, cluster: Cluster
) -> None:
    await move(source, database)
    store = PostgresStore(database)
    await store.open()
    assert [await store.redeem(id, NOW + DAY, NOW) for id in ("used", "unused")] == [False, True]
    await store.close()


@pytest.mark.promise("MOVE-1", "RETAIN-1")
async def test_what_is_removed_later_is_the_same_and_nothing_begins_anew(source: Path, database: str) -> None:
    """The next event follows the last one, though that was removed; the next step of retention finds what is old."""
    await move(source, database)
    old, new = SQLiteStore(source), PostgresStore(database)
    found = []
    for store in (old, new):
        await store.open()
        while await store.prune(NOW + DAY, limit=5):
            pass
        left = await said(store)
        left["head"] = left["head"][0]
        left["places"] = sorted(place for place in left["places"].values() if place[0])
        asked = await put(store, execution_id="run-0", request_id="after", now=NOW + DAY)
        (*_, event) = await store.read("run-0", after=0, limit=EVERY)
        found.append((left, event.position, event.seq, asked.request_id))
        await store.close()

    assert found[0] == found[1]
    assert found[0][1] == 73


async def test_a_store_as_a_killed_server_left_it_goes_along_with_its_write_ahead_log(
    tmp_path: Path, database: str
) -> None:
    live = SQLiteStore(tmp_path / "live.db")
    await live.open()
    await fill(live)
    killed = tmp_path / "killed"
    killed.mkdir()
    for suffix in ("", "-wal", ".mark"):
        (killed / f"old.db{suffix}").write_bytes(Path(f"{live.path}{suffix}").read_bytes())
    expected = await said(live)
    await live.close()
    assert (killed / "old.db-wal").stat().st_size > 100_000
    before = digests(killed)

    await move(killed / "old.db", database)

    assert digests(killed) == before
    assert await said_at(PostgresStore(database)) == expected


async def test_an_empty_store_can_be_moved_too(tmp_path: Path, database: str) -> None:
    store = SQLiteStore(tmp_path / "empty.db")
    await store.open()
    before = await said(store)
    await store.close()

    assert await move(tmp_path / "empty.db", database) == (0, 0, 0, 0, False)

    assert (await said_at(PostgresStore(database)))["places"] == before["places"]


async def test_a_damaged_event_arrives_as_it_was_written(source: Path, database: str) -> None:
    before = await said_at(SQLiteStore(source))
    with closing(sqlite3.connect(source)) as db:
        db.execute("UPDATE events SET data = 'nothing', event_id = 'changed' WHERE position = 9")
        db.commit()

    await move(source, database)

    assert await said_at(PostgresStore(database)) == before


async def test_a_database_behind_pgbouncer_can_be_moved_to(source: Path, database: str, pgbouncer: PgBouncer) -> None:
    before = await said_at(SQLiteStore(source))

    await move(source, f"{pgbouncer.url(database)}?pgbouncer=true")

    assert await said_at(PostgresStore(database)) == before


@pytest.mark.promise("SETTLE-4")
async def test_a_question_whose_process_did_not_come_along_is_given_up(
    source: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await move(source, database)
    monkeypatch.setattr("sayso.store.postgres.gone.AFTER", 0.0)
    monkeypatch.setattr("sayso.orphans._LOOK", 0.01)
    store = PostgresStore(database)
    gateway = Gateway(store)

    async with asyncio.timeout(20), gateway.running():
        waiting = (await said(store))["requests"]
        pending = [one for one in waiting if one.is_open]
        orphans = [await gateway.settled(one.request_id, wait=10) for one in pending if not one.durable]
        others = [await gateway.get(one.request_id) for one in pending if one.durable]

    assert {(one.status, one.reason) for one in orphans} == {("cancelled", "asker-gone")}
    assert {one.status for one in others} == {"pending"}


# what is refused


async def test_a_store_that_is_open_in_a_server_is_not_moved(tmp_path: Path, cluster: Cluster, database: str) -> None:
    store = SQLiteStore(tmp_path / "open.db")
    await store.open()

    with pytest.raises(StoreInUse, match="is open in another process"):
        await move(store.path, database)

    await store.close()
    assert tables(cluster, database) == NOTHING


@pytest.mark.promise("MOVE-2")
async def test_no_server_has_either_store_while_it_moves(source: Path, cluster: Cluster, database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    await store.close()
    refused = []

    def told(what: str, done: int, total: int) -> None:
        assert SQLiteStore(source).holder() is not None
        with pytest.raises(RuntimeError, match="lock timeout"):
            cluster.sql("SET lock_timeout = '10ms'; SELECT * FROM sayso.meta", database)
        refused.append((what, done, total))

    await move(source, database, told)

    assert refused[0] == ("checking the store", 0, 0)
    assert {what for what, _, _ in refused} == {"checking the store", "moving", "checking the copy"}
    assert refused[-1][1] == refused[-1][2] > 100
    assert SQLiteStore(source).holder() is None


@pytest.mark.promise("DISK-1", "MOVE-2")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE requests SET data = replace(CAST(data AS TEXT), 'Ship', 'Skip') WHERE position = 10",
        "UPDATE resumes SET data = 'something' WHERE request_id = 'draft'",
        "DELETE FROM events WHERE position = 20",
        "UPDATE tombstones SET settled_at = 'long ago'",
    ],
)
async def test_a_damaged_store_is_not_moved(source: Path, cluster: Cluster, database: str, damage: str) -> None:
    with closing(sqlite3.connect(source)) as db:
        assert db.execute(damage).rowcount > 0
        db.commit()

    with pytest.raises(StoreDamaged, match=r"old\.db is damaged"):
        await move(source, database)

    assert tables(cluster, database) == NOTHING
    assert SQLiteStore(source).holder() is None


@pytest.mark.promise("DISK-1", "MOVE-2")
async def test_a_store_that_lost_its_end_is_not_moved(source: Path, cluster: Cluster, database: str) -> None:
    mark = Path(f"{source}.mark")
    lineage, position = mark.read_text().split()
    mark.write_text(f"{lineage} {int(position) + 3}")

    with pytest.raises(StoreDamaged, match="lost its last 3 events"):
        await move(source, database)

    assert tables(cluster, database) == NOTHING


async def test_a_store_of_another_version_is_left_to_that(
    source: Path, tmp_path: Path, cluster: Cluster, database: str
) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'readable_from'")
        db.commit()
    with closing(sqlite3.connect(tmp_path / "older.db")) as db:
        db.executescript("".join(script for number, script in migrations("sqlite") if number < 3))

    with pytest.raises(StoreTooNew):
        await move(source, database)
    with pytest.raises(Misconfigured, match="older sayso; start and stop a server on it"):
        await move(tmp_path / "older.db", database)

    assert tables(cluster, database) == NOTHING


@pytest.mark.promise("MOVE-2")
@pytest.mark.parametrize("what", ["events", "meta", "leases"])
async def test_a_database_that_holds_anything_is_left_as_it_is(source: Path, database: str, what: str) -> None:
    store = PostgresStore(database)
    await store.open()
    if what == "events":
        await put(store)
    elif what == "meta":
        await store.secret("session")
    else:
        await store.lease("name", "holder", NOW, NOW)
    before = await said(store)
    await store.close()

    with pytest.raises(Misconfigured, match=r"is not empty \(see .*\); move to a database that is"):
        await move(source, database)

    assert await said_at(PostgresStore(database)) == before


@pytest.mark.promise("MOVE-2")
async def test_a_database_that_a_server_has_open_is_left_as_it_is(source: Path, database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    while not store.holds("anything"):  # noqa: ASYNC110 - what it waits for is a look at the locks
        await asyncio.sleep(0.01)

    with pytest.raises(Misconfigured, match="is open in a server"):
        await move(source, database)

    await store.close()


async def test_a_database_of_a_newer_sayso_is_left_to_that(source: Path, cluster: Cluster, database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    await store.close()
    cluster.sql("UPDATE sayso.meta SET value = '999' WHERE key = 'readable_from'", database)

    with pytest.raises(StoreTooNew):
        await move(source, database)

    assert cluster.sql("SELECT count(*) FROM sayso.events", database) == ["0"]


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (":memory:", "postgresql://h/d", "in memory cannot be moved"),
        ("postgresql://h/d", "postgresql://h/d", "not back"),
        ("sqlite:///a.db", "sqlite:///b.db", "moved to PostgreSQL"),
        ("mysql://h/d", "postgresql://h/d", "'mysql' is not known"),
        ("sqlite:////nowhere/a.db", "postgresql://h/d", "no store at /nowhere/a.db"),
    ],
)
def test_only_sqlite_is_moved_and_only_to_postgresql(source: str, target: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        compose.migrate(source, target, quiet)


# what breaks it off


@pytest.mark.promise("MOVE-1", "MOVE-2")
async def test_a_move_that_a_cut_connection_breaks_off_is_run_again(
    source: Path, cluster: Cluster, database: str
) -> None:
    """Cut after so many bytes of what is sent, or of what is said to it: everything is there, or nothing."""
    before = await said_at(SQLiteStore(source))
    async with fault_proxy(database) as measured:
        await move(source, measured.url)
        (whole,) = measured.connections
    chance = random.Random(7)  # noqa: S311 - places to cut, no secret
    for way in ("up", "down") * CUTS:
        cut = Way(after=chance.randrange(1, len(getattr(whole, way))), then="reset")
        url = cluster.database()
        async with fault_proxy(url, [Fault(**{way: cut})]) as proxy:
            with pytest.raises(StoreFailed, match=r"run it again|cannot be reached"):
                await move(source, proxy.url)
            assert proxy.struck == 1
            there = bool(tables(cluster, url))  # only where the commit came through, and not the word of it

            again = await move(source, proxy.url)

        assert again.already == there
        assert await said_at(PostgresStore(url)) == before
        cluster.drop(url)


@pytest.mark.promise("MOVE-1", "MOVE-2")
async def test_a_move_whose_commit_came_through_is_found_done(source: Path, database: str) -> None:
    before = await said_at(SQLiteStore(source))
    first = await move(source, database)

    again = await move(source, database)

    assert again == first._replace(already=True)
    assert await said_at(PostgresStore(database)) == before


@pytest.mark.parametrize("used", ["source", "target"])
async def test_a_move_after_which_either_store_was_used_is_not_called_done(
    source: Path, database: str, used: str
) -> None:
    await move(source, database)
    store = SQLiteStore(source) if used == "source" else PostgresStore(database)
    await store.open()
    await put(store)
    await store.close()

    with pytest.raises(Misconfigured, match="one of the two was used since"):
        await move(source, database)


@pytest.mark.promise("MOVE-2")
async def test_what_arrives_otherwise_than_it_was_sent_is_noticed(
    source: Path, cluster: Cluster, database: str
) -> None:
    """By a trigger that changes one row as it is written."""
    store = PostgresStore(database)
    await store.open()
    await store.close()
    cluster.sql(
        "CREATE FUNCTION sayso.spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.data := NEW.data || ' '::bytea; RETURN NEW; END $$; "
        "CREATE TRIGGER spoil BEFORE INSERT ON sayso.events FOR EACH ROW WHEN (NEW.position = 30) "
        "EXECUTE FUNCTION sayso.spoil()",
        database,
    )

    with pytest.raises(StoreFailed, match="gave events back otherwise than it was given; nothing was moved"):
        await move(source, database)

    assert cluster.sql("SELECT count(*) FROM sayso.events", database) == ["0"]


def test_large_rows_go_in_small_chunks() -> None:
    small, large = (1, b"x"), (2, bytes(700_000))
    sizes = [len(chunk) for chunk in in_chunks([small] * 2_500 + [large] * 5)]
    assert sizes == [1_000, 1_000, 502, 2, 1]
    assert list(in_chunks([])) == []
