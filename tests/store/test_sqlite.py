"""What the SQLite store promises beyond the contract: one owner of the file, one commit for many, and nothing lost."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sayso import limits
from sayso.errors import NotFound, StoreFailed, StoreInUse, StoreTooNew
from sayso.model import Request
from sayso.store import Filter, Put
from sayso.store.moving import TABLES
from sayso.store.sql import queries
from sayso.store.sqlite import SQLiteStore
from sayso.wire import Event
from tests.builders import NOW, answered, asked, completed, request
from tests.store.hints import Hints

OWNER = """
import asyncio, sys
from pathlib import Path
from sayso.store.sqlite import SQLiteStore

async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    await store.open()
    print("open", flush=True)
    sys.stdin.read()
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    """Open and empty."""
    opened = SQLiteStore(path)
    await opened.open()
    yield opened
    await opened.close()


async def put(store: SQLiteStore, **members: Any) -> Put:
    new = request(**members)
    return await store.put(new, asked(new))


async def settle(store: SQLiteStore, pending: Request) -> Request:
    done = answered(pending)
    return (await store.settle(done, completed(done))).request


async def contents(store: SQLiteStore) -> tuple[list[tuple[Any, ...]], tuple[Request, ...]]:
    """Every event, byte for byte, and every request."""
    events = await store.read(None, after=0, limit=10_000)
    return [structs.astuple(event) for event in events], (await store.list(Filter(), limit=10_000)).requests


def shell(path: Path) -> closing[sqlite3.Connection]:
    """A second connection to the file, such as an operator's `sqlite3`."""
    return closing(sqlite3.connect(path, isolation_level=None))


@contextmanager
def writes_held_back(path: Path) -> Iterator[None]:
    """While this lasts no write of the store can begin, so everything that is asked for gathers in its queue."""
    with shell(path) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("COMMIT")


def commits(path: Path) -> int:
    """The commits in the write-ahead log, which SQLite's file format marks: https://sqlite.org/fileformat2.html#walformat"""
    log = Path(f"{path}-wal").read_bytes()
    page_size, _, salts = struct.unpack(">I4s8s", log[8:24])
    frames = range(32, len(log), 24 + page_size)
    return sum(
        log[start + 8 : start + 16] == salts and struct.unpack(">I", log[start + 4 : start + 8]) != (0,)
        for start in frames
    )


# the file


@pytest.mark.promise("ASK-1", "ANSWER-1")
async def test_a_file_that_is_opened_again_gives_everything_back(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    pending, _ = await put(store, timeout=60, context="draft \u2028 \x00 \N{GRINNING FACE}")
    await settle(store, (await put(store, execution_id="run-2", durable=False)).request)
    before = await contents(store)
    head = (await store.list(Filter(), limit=1)).head
    await store.close()

    again = SQLiteStore(path)
    await again.open()
    after = await contents(again)
    done = await settle(again, pending)
    position = (await again.locate(done.settled_event_id or "") or pytest.fail()).position
    seqs = [event.seq for event in await again.read("run-1", after=0, limit=9)]
    await again.close()

    assert after == before
    assert position == head + 1
    assert seqs == [1, 2]


async def test_the_file_and_its_folder_are_made(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "some" / "folder" / "log.db")

    await store.open()
    await store.close()

    assert store.path.exists()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
async def test_nobody_else_can_read_the_questions(store: SQLiteStore) -> None:
    await put(store)

    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in store.path.parent.glob("log.db*")}
    holding_text = {name: mode for name, mode in modes.items() if not name.endswith(".lock")}
    assert holding_text == dict.fromkeys(("log.db", "log.db-wal", "log.db-shm", "log.db.mark"), "0o600")


async def test_a_strange_file_name_is_only_a_name(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "a b?mode=ro#50%.db")

    await store.open()
    await put(store)
    await store.close()

    assert store.path.exists()


@pytest.mark.parametrize("content", [b"This is a letter, not a database. " * 100, b"\x00" * 4096])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = SQLiteStore(path)

    with pytest.raises(StoreFailed, match="not a database"):
        await store.open()

    assert path.read_bytes() == content
    path.unlink()
    await store.open()
    await store.close()


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreFailed, match="choose another file with store="):
        await SQLiteStore(tmp_path / "file" / "log.db").open()


async def test_a_store_that_needs_newer_code_is_refused(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.close()
    with shell(path) as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'readable_from'")

    with pytest.raises(StoreTooNew, match=r"pip install -U sayso"):
        await store.open()

    with shell(path) as db:
        db.execute("UPDATE meta SET value = '1' WHERE key = 'readable_from'")
    await store.open()
    await store.close()


async def test_a_newer_store_that_this_code_can_read_is_opened(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    await store.close()
    with shell(path) as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")

    await store.open()
    await put(store)
    await store.close()


async def test_a_refused_file_is_let_go_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"This is a letter, not a database. " * 100)
    made: list[sqlite3.Connection] = []

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made.append(_connect(*args, **kwargs))
        return made[-1]

    _connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(StoreFailed):
        await SQLiteStore(path).open()

    assert made
    for db in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            db.execute("SELECT 1")


async def test_a_damaged_request_hides_no_other_one(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    damaged, fine = [(await put(store, timeout=60)).request for _ in range(2)]
    await store.close()
    with shell(path) as db:
        db.execute("UPDATE requests SET data = ? WHERE request_id = ?", (b"{}", damaged.request_id))

    await store.open()
    due = await store.list(Filter(due_before=NOW + timedelta(days=1)), limit=9)
    with pytest.raises(StoreFailed, match=f"{damaged.request_id} is damaged"):
        await store.get(damaged.request_id)
    await store.close()

    assert due.requests == (fine,)


async def test_a_request_with_a_member_of_a_later_version_is_read(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    kept, _ = await put(store)
    await store.close()
    with shell(path) as db:
        db.execute(
            "UPDATE requests SET data = CAST(json_set(CAST(data AS TEXT), '$.of_tomorrow', 1) AS BLOB), crc = NULL"
        )

    await store.open()
    again = await store.get(kept.request_id)
    listed = await store.list(Filter(), limit=9)
    await store.close()

    assert again == kept
    assert listed.requests == (kept,)


# the owner


async def test_a_second_owner_in_this_process_is_refused(store: SQLiteStore) -> None:
    with pytest.raises(StoreInUse) as refused:
        await SQLiteStore(store.path).open()

    assert str(os.getpid()) in refused.value.detail
    assert "stop that one, choose another file" in refused.value.detail
    await put(store)


async def test_a_store_says_who_has_its_file_open_and_touches_nothing(store: SQLiteStore) -> None:
    other = SQLiteStore(store.path)
    assert other.holder() == f"process {os.getpid()}"
    await store.close()
    assert other.holder() is None
    elsewhere = SQLiteStore(store.path.with_name("other.db"))
    assert elsewhere.holder() is None
    assert not any(one.name.startswith("other") for one in store.path.parent.iterdir())


async def test_a_second_owner_under_another_name_is_refused(store: SQLiteStore) -> None:
    link = store.path.with_name("link.db")
    link.symlink_to(store.path)
    second = SQLiteStore(link)

    try:
        with pytest.raises(StoreInUse):
            await second.open()
    finally:
        await second.close()


async def test_an_owner_in_another_process_is_named(path: Path) -> None:
    store = SQLiteStore(path)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"

        with pytest.raises(StoreInUse) as refused:
            await store.open()
        owner.stdin.close()
        owner.wait()

    assert f"process {owner.pid}" in refused.value.detail
    assert "stop that one, choose another file" in refused.value.detail
    await store.open()
    await store.close()


# failures


async def test_a_closed_store_refuses_every_call(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    pending, _ = await put(store)
    done = answered(pending)
    await store.close()

    for call in (
        store.put(pending, asked(pending)),
        store.settle(done, completed(done)),
        store.get(pending.request_id),
        store.list(Filter(), limit=1),
        store.locate(pending.asked_event_id),
        store.read(None, after=0, limit=1),
        store.prune(NOW, limit=1),
    ):
        with pytest.raises(StoreFailed, match="closed"):
            await call


@pytest.mark.promise("ASK-1")
async def test_a_put_that_fails_halfway_leaves_nothing(store: SQLiteStore) -> None:
    with shell(store.path) as db:
        db.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON requests WHEN NEW.request_id = 'doomed' "
            "BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END"
        )

    with pytest.raises(StoreFailed, match="the disk is on fire"):
        await put(store, request_id="doomed")

    assert await contents(store) == ([], ())
    await put(store, request_id="fine")
    assert [event.seq for event in await store.read(None, after=0, limit=9)] == [1]
    with shell(store.path) as db:
        db.execute("DROP TRIGGER broken")
    assert (await put(store, request_id="doomed")).created


@pytest.mark.promise("ANSWER-1")
async def test_a_settlement_that_fails_halfway_leaves_the_request_open(store: SQLiteStore) -> None:
    pending, _ = await put(store)
    with shell(store.path) as db:
        db.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON events WHEN NEW.type = 'human_input_completed' "
            "BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END"
        )

    with pytest.raises(StoreFailed):
        await settle(store, pending)

    assert await store.get(pending.request_id) == pending
    with shell(store.path) as db:
        db.execute("DROP TRIGGER broken")
    assert not (await settle(store, pending)).is_open


@pytest.mark.promise("ASK-1")
async def test_a_full_disk_acknowledges_nothing_and_harms_nothing(store: SQLiteStore) -> None:
    first, _ = await put(store)
    before = await contents(store)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = Path(f"{store.path}-wal").stat().st_size

    resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))
    try:
        refused = await asyncio.gather(*(put(store) for _ in range(5)), return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert [type(one) for one in refused] == [StoreFailed] * 5
    assert await contents(store) == before
    await settle(store, first)
    assert [event.seq for event in await store.read("run-1", after=0, limit=9)] == [1, 2]


@pytest.mark.promise("ASK-1", "ANSWER-1")
async def test_a_broken_file_acknowledges_and_stores_nothing_of_a_batch(store: SQLiteStore) -> None:
    pending, _ = await put(store)
    before = await contents(store)
    with shell(store.path) as db:
        db.execute("CREATE TRIGGER broken BEFORE UPDATE ON requests BEGIN INSERT INTO nowhere VALUES (1); END")

    with writes_held_back(store.path):
        batch = [
            asyncio.ensure_future(put(store)),
            asyncio.ensure_future(settle(store, pending)),
            asyncio.ensure_future(put(store)),
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*batch, return_exceptions=True)

    refused = {type(one) for one in outcomes}
    stored = [one.request.request_id for one in outcomes if isinstance(one, Put)]
    _, requests = await contents(store)
    assert StoreFailed in refused
    assert {one.request_id for one in requests} == {pending.request_id, *stored}
    assert len((await contents(store))[0]) == len(before[0]) + len(stored)
    assert (await put(store)).created


async def test_one_refused_job_leaves_the_others_of_its_batch_whole(store: SQLiteStore) -> None:
    stray = answered(request())
    with writes_held_back(store.path):
        before = [asyncio.ensure_future(put(store)) for _ in range(5)]
        refused = asyncio.ensure_future(store.settle(stray, completed(stray)))
        after = [asyncio.ensure_future(put(store)) for _ in range(5)]
        await asyncio.sleep(0)

    with pytest.raises(NotFound):
        await refused
    assert all([(await one).created for one in before + after])
    assert [event.seq for event in await store.read(None, after=0, limit=99)] == list(range(1, 11))


async def test_one_event_that_is_there_already_leaves_the_others_of_its_batch_whole(store: SQLiteStore) -> None:
    taken, _ = await put(store)
    doomed = request(request_id="doomed")
    with writes_held_back(store.path):
        others = [asyncio.ensure_future(put(store)) for _ in range(5)]
        refused = asyncio.ensure_future(store.put(doomed, asked(taken)))
        await asyncio.sleep(0)

    with pytest.raises(StoreFailed):
        await refused
    assert await store.get("doomed") is None
    assert [type(one) for one in await asyncio.gather(*others, return_exceptions=True)] == [Put] * 5


async def test_a_cancelled_put_is_stored_all_the_same(store: SQLiteStore) -> None:
    new = request()
    with writes_held_back(store.path):
        given_up = asyncio.ensure_future(store.put(new, asked(new)))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up

    await put(store, execution_id="run-2")

    assert await store.get(new.request_id) == new


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    store = SQLiteStore(path)
    await store.open()
    new = [request() for _ in range(300)]
    writes = [asyncio.ensure_future(store.put(one, asked(one))) for one in new]
    await asyncio.sleep(0)

    await store.close()

    assert all([(await write).created for write in writes])
    await store.open()
    assert len((await contents(store))[0]) == 300
    await store.close()


# group commit


async def test_writes_that_wait_together_share_a_commit(store: SQLiteStore) -> None:
    await put(store)
    before = commits(store.path)

    with writes_held_back(store.path):
        waiting = [asyncio.ensure_future(put(store)) for _ in range(60)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert 1 <= commits(store.path) - before <= 2  # whichever the writer had taken up, and all the others
    assert len(await store.read(None, after=0, limit=99)) == 61


async def test_writes_that_do_not_wait_together_have_a_commit_each(store: SQLiteStore) -> None:
    await put(store)
    before = commits(store.path)

    for _ in range(10):
        await put(store)

    assert commits(store.path) - before == 10


async def test_a_hint_tells_of_a_whole_batch_at_once(store: SQLiteStore) -> None:
    hints = Hints(store)
    with writes_held_back(store.path):
        waiting = [asyncio.ensure_future(put(store, execution_id=f"run-{number % 3}")) for number in range(30)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    told = [await hints.names() for _ in range(hints.left)]
    assert told[-1] == {"run-0", "run-1", "run-2"}
    assert len(told) <= 2  # the writer may have begun with the first one before the others came


async def test_of_a_large_batch_a_hint_has_the_names_alone(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH", 4_000)
    hints = Hints(store)
    with writes_held_back(store.path):
        waiting = [asyncio.ensure_future(put(store, prompt="x" * 1_000)) for _ in range(8)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert None in [events for _ in range(hints.left) for events in (await hints.next() or {}).values()]


# the statements


def test_every_statement_has_a_name_and_a_use() -> None:
    code = "".join(file.read_text() for file in Path(str(files("sayso.store.sqlite"))).glob("*.py"))
    text = (files("sayso.store.sql") / "sqlite" / "queries.sql").read_text()
    computed = {f"read_{open}{stream}" for open in ("", "open_") for stream in ("all", "execution")}
    computed |= {f"move_{table.name}" for table in TABLES} - {"move_feed"}

    used = {name for name in queries("sqlite") if re.search(rf'"{name}"', code)}

    assert set(queries("sqlite")) == used | computed
    assert len(re.findall(r";$", text, re.MULTILINE)) == len(queries("sqlite"))


async def test_an_events_bytes_are_those_that_were_written(store: SQLiteStore) -> None:
    new, _ = await put(store, context="\u2028 \N{GRINNING FACE}")

    (event,) = await store.read(None, after=0, limit=1)

    assert event.data == Event.of(asked(new), position=1, seq=1).data
