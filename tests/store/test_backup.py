"""`sayso backup`: what was acknowledged before it began is in it, it was checked, and nothing half made is left."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sayso import compose
from sayso.cli import main
from sayso.errors import Misconfigured, StoreDamaged, StoreFailed, StoreTooNew
from sayso.model import Request
from sayso.store import Filter
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite.backup import backup
from tests.builders import answered, asked, completed, request

EVERY = 100_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """Open, with one request that is answered and two that are not."""
    opened = SQLiteStore(tmp_path / "log.db")
    await opened.open()
    await answer(opened, await put(opened))
    for execution_id in ("run-1", "run-2"):
        await put(opened, execution_id=execution_id)
    yield opened
    await opened.close()


async def put(store: SQLiteStore, **members: str) -> Request:
    new = request(**members)
    return (await store.put(new, asked(new))).request


async def answer(store: SQLiteStore, pending: Request) -> Request:
    done = answered(pending)
    return (await store.settle(done, completed(done))).request


async def contents(store: SQLiteStore) -> tuple[list[bytes], tuple[Request, ...]]:
    events = await store.read(None, after=0, limit=EVERY)
    return [event.data for event in events], (await store.list(Filter(), limit=EVERY)).requests


async def contents_of(path: Path) -> tuple[list[bytes], tuple[Request, ...]]:
    """What a server finds that is started on the file."""
    opened = SQLiteStore(path)
    await opened.open()
    try:
        return await contents(opened)
    finally:
        await opened.close()


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def sayso(*arguments: str) -> Result:
    ended = CliRunner().invoke(main, ["backup", *arguments], prog_name="sayso")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), repr(ended.exception)
    return ended


@pytest.mark.promise("DISK-3")
async def test_a_backup_holds_what_the_store_holds_whether_it_is_open_or_not(
    store: SQLiteStore, tmp_path: Path
) -> None:
    before = await contents(store)

    running = backup(store.path, tmp_path / "running.db")
    await store.close()
    stopped = backup(store.path, tmp_path / "stopped.db")

    for copy, name in ((running, "running.db"), (stopped, "stopped.db")):
        path = tmp_path / name
        assert (copy.executions, copy.requests, copy.pending, copy.events) == (2, 3, 2, 4)
        assert (copy.size, oct(path.stat().st_mode & 0o777)) == (path.stat().st_size, "0o600")
        assert await contents_of(path) == before


@pytest.mark.promise("DISK-3")
async def test_a_backup_under_writers_holds_all_that_was_acknowledged_before_it_began(
    store: SQLiteStore, tmp_path: Path
) -> None:
    acknowledged: dict[str, Request] = {}
    acknowledgements, stop = asyncio.Semaphore(0), asyncio.Event()

    async def write(number: int) -> None:
        while not stop.is_set():
            pending = await put(store, execution_id=f"run-{number}")
            acknowledged[pending.request_id] = pending
            acknowledged[pending.request_id] = await answer(store, pending)
            acknowledgements.release()

    async with asyncio.timeout(30), asyncio.TaskGroup() as writers:
        for number in range(8):
            writers.create_task(write(number))
        for number in range(3):
            for _ in range(50):
                await acknowledgements.acquire()
            before = dict(acknowledged)
            await asyncio.to_thread(backup, store.path, tmp_path / f"{number}.db")
            found = {one.request_id: one for one in (await contents_of(tmp_path / f"{number}.db"))[1]}
            assert before.keys() <= found.keys()
            assert [id for id, one in before.items() if not one.is_open and found[id] != one] == []
        stop.set()


@pytest.mark.promise("DISK-3")
async def test_a_store_that_was_killed_is_backed_up_with_its_write_ahead_log(
    store: SQLiteStore, tmp_path: Path
) -> None:
    """As a killed process leaves it: the file as of the last checkpoint, and everything since beside it."""
    before = await contents(store)
    killed = tmp_path / "killed"
    killed.mkdir()
    for suffix in ("", "-wal"):
        (killed / f"log.db{suffix}").write_bytes(Path(f"{store.path}{suffix}").read_bytes())

    backup(killed / "log.db", tmp_path / "copy.db")

    assert await contents_of(tmp_path / "copy.db") == before


async def test_a_backup_overwrites_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    (tmp_path / "there.db").write_text("mine")

    with pytest.raises(Misconfigured, match="exists already"):
        backup(store.path, tmp_path / "there.db")

    assert (tmp_path / "there.db").read_text() == "mine"


@pytest.mark.promise("DISK-1", "DISK-3")
async def test_a_damaged_store_is_not_backed_up_and_leaves_nothing_behind(store: SQLiteStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("UPDATE requests SET data = replace(CAST(data AS TEXT), 'Ship', 'Skip')")
        db.commit()
    before = files(tmp_path)

    with pytest.raises(StoreDamaged, match="is damaged"):
        backup(store.path, tmp_path / "copy.db")

    assert files(tmp_path) == before


@pytest.mark.promise("DISK-1", "DISK-3")
async def test_a_store_that_lost_its_end_is_not_backed_up(store: SQLiteStore, tmp_path: Path) -> None:
    """By its mark, which says that three more events were acknowledged."""
    mark = Path(f"{store.path}.mark")
    lineage, position = mark.read_text().split()
    mark.write_text(f"{lineage} {int(position) + 3}")

    with pytest.raises(StoreDamaged, match="last 3 events are missing"):
        backup(store.path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()


async def test_a_restored_backup_is_opened_although_the_former_store_was_further_on(
    store: SQLiteStore, tmp_path: Path
) -> None:
    backup(store.path, tmp_path / "copy.db")
    before = await contents(store)
    await put(store)
    await store.close()

    (tmp_path / "copy.db").replace(store.path)

    assert await contents_of(store.path) == before


async def test_what_a_killed_backup_left_is_in_nobodys_way(store: SQLiteStore, tmp_path: Path) -> None:
    (tmp_path / "copy.db.partial").write_text("half")

    backup(store.path, tmp_path / "copy.db")

    assert await contents_of(tmp_path / "copy.db") == await contents(store)


async def test_a_store_of_a_newer_sayso_is_left_to_that(store: SQLiteStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'readable_from'")
        db.commit()

    with pytest.raises(StoreTooNew):
        backup(store.path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"there is no store at .*none\.db; name it with --store"):
        backup(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(Misconfigured, match="in memory cannot be backed up"):
        compose.backup(":memory:", tmp_path / "copy.db")
    with pytest.raises(Misconfigured, match="'mysql' is not known"):
        compose.backup("mysql://db", tmp_path / "copy.db")
    assert files(tmp_path) == set()


async def test_a_backup_to_where_nothing_can_be_written_is_refused(store: SQLiteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"cannot write .*: No such file or directory"):
        backup(store.path, tmp_path / "no" / "copy.db")


# the command


@pytest.mark.promise("DISK-3")
async def test_the_command_tells_what_it_copied(store: SQLiteStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    ended = sayso(str(copy), "--store", f"sqlite:///{store.path}")

    assert ended.exit_code == 0
    assert ended.stdout == (
        f"{copy}: 3 requests (2 pending) of 2 executions, 4 events, {copy.stat().st_size / 1024:,.0f} KiB; checked\n"
    )
    again = sayso(str(copy), "--store", f"sqlite:///{store.path}")
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"Error: {copy} exists already; a backup overwrites nothing\n"


async def test_the_command_finds_the_store_of_a_port(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    default = tmp_path / "sayso" / "8123.db"
    backup(store.path, tmp_path / "copy.db")
    default.parent.mkdir()
    (tmp_path / "copy.db").replace(default)

    found, missing = (sayso(str(tmp_path / f"{port}.db"), "--port", port) for port in ("8123", "8124"))

    assert (found.exit_code, missing.exit_code) == (0, 1)
    assert await contents_of(tmp_path / "8123.db") == await contents(store)
    assert "8124.db; name it with --store" in missing.stderr
