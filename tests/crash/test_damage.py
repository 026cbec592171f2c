"""Files that were cut, overwritten, or had a bit turned: the store is refused, or gives what was written. It gives
nothing else, and never leaves an event out in silence.

SAYSO_ROUNDS times 8 is how often each kind of damage is done, at other places each time.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from msgspec.structs import astuple

from sayso.errors import StoreDamaged, StoreFailed, StoreTooNew
from sayso.model import STATUSES
from sayso.store import Filter
from sayso.store.sqlite import SQLiteStore, check, rows
from sayso.store.sqlite.backup import backup
from tests.builders import NOW, answered, asked, completed, request

pytestmark = pytest.mark.usefixtures("whole_reads")

TIMES = 8 * int(os.environ.get("SAYSO_ROUNDS", "20"))
EVERY = 10_000
RUNS: Final = [f"run-{number}" for number in range(6)]


class Written(NamedTuple):
    """A store as it lies on the disk. `earlier`: its file some commits before."""

    file: bytes
    wal: bytes
    mark: bytes
    earlier: bytes
    contents: dict[str, Any]


class Places:
    """Where and how to do damage; the same for the same seed."""

    def __init__(self, seed: int, written: Written) -> None:
        self._random = random.Random(seed)  # noqa: S311 - places, not secrets
        self.written = written

    def turn_a_bit(self, data: bytes) -> bytes:
        at = self._random.randrange(8 * len(data))
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        return bytes(changed)

    def cut(self, data: bytes) -> bytes:
        return data[: self._random.randrange(1, len(data))]

    def clear_a_sector(self, data: bytes) -> bytes:
        return self._overwrite(data, bytes(512))

    def scribble_on_a_sector(self, data: bytes) -> bytes:
        return self._overwrite(data, self._random.randbytes(512))

    def lose_a_write(self, data: bytes) -> bytes:
        """A page is as it was some commits before."""
        page = self._random.randrange(1, len(self.written.earlier) // 4096) * 4096
        return data[:page] + self.written.earlier[page : page + 4096] + data[page + 4096 :]

    def misdirect_a_write(self, data: bytes) -> bytes:
        """A page is where another belongs."""
        one, other = (self._random.randrange(1, len(data) // 4096) * 4096 for _ in range(2))
        return data[:one] + data[other : other + 4096] + data[one + 4096 :]

    def _overwrite(self, data: bytes, sector: bytes) -> bytes:
        at = self._random.randrange(len(data) // 512) * 512
        return data[:at] + sector + data[at + 512 :]


DAMAGES: Final = [
    Places.turn_a_bit,
    Places.cut,
    Places.clear_a_sector,
    Places.scribble_on_a_sector,
    Places.lose_a_write,
    Places.misdirect_a_write,
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where the system has such: thousands of files, none of which is about the disk's own pace."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


async def write(store: SQLiteStore, number: int) -> None:
    new = request(execution_id=RUNS[number % len(RUNS)], context="draft " * 40, durable=number % 3 > 0, timeout=99)
    await store.put(new, asked(new))
    if number % 4:
        done = answered(new, now=NOW + timedelta(seconds=number))
        await store.settle(done, completed(done))


async def contents(store: SQLiteStore, requests: Iterable[str] = ()) -> dict[str, Any]:
    """Whatever the store can be asked for. Raises StoreFailed when one of `requests` is damaged."""
    for request_id in requests:
        await store.get(request_id)
    whole = await store.read(None, after=0, limit=EVERY)
    found: dict[str, Any] = {"log": [astuple(event) for event in whole]}
    for run in RUNS:
        found[run] = [astuple(event) for event in await store.read(run, after=0, limit=EVERY)]
        found[f"open in {run}"] = [
            astuple(event) for event in await store.read(run, after=0, limit=EVERY, open_only=True)
        ]
        found[f"list of {run}"] = (await store.list(Filter(execution_id=run), limit=EVERY)).requests
    for status in STATUSES:
        found[status] = (await store.list(Filter(status=frozenset({status})), limit=EVERY)).requests
    found["due"] = (await store.list(Filter(due_before=NOW + timedelta(days=1)), limit=EVERY)).requests
    found["list"] = (await store.list(Filter(), limit=EVERY)).requests
    for one in found["list"]:
        found[one.request_id] = await store.get(one.request_id)
        found[one.asked_event_id] = await store.locate(one.asked_event_id)
    found["gone"] = await store.remains("gone")
    return found


async def write_all(folder: Path, *, killed: bool) -> Written:
    """A store of a past: of some requests that were removed, some that are answered and some that are not.

    `killed`: most of it is in the write-ahead log.
    """
    store = SQLiteStore(folder / "log.db")
    await store.open()
    gone = request(request_id="gone", execution_id="gone")
    ended = answered(gone, now=NOW - timedelta(days=9))
    for number in range(12):
        await write(store, number)
    await store.put(gone, asked(gone))
    await store.settle(ended, completed(ended))
    await store.prune(NOW - timedelta(days=1), limit=99)
    await store.close()
    earlier = store.path.read_bytes()
    await store.open()
    for number in range(12, 30):
        await write(store, number)
    before = await contents(store)
    if not killed:
        await store.close()
    parts = [Path(f"{store.path}{suffix}") for suffix in ("", "-wal", ".mark")]
    file, wal, mark = [part.read_bytes() if part.exists() else b"" for part in parts]
    await store.close()
    return Written(file, wal, mark, earlier, before)


async def outcome(path: Path, requests: Iterable[str], compare: Callable[[dict[str, Any]], bool]) -> str:
    """What a server that is started on the file meets with."""
    store = SQLiteStore(path)
    try:
        await store.open()
    except (StoreFailed, StoreTooNew):
        return "refused"
    try:
        return "as written" if compare(await contents(store, requests)) else "SOMETHING ELSE"
    except StoreFailed:
        return "told"
    finally:
        await store.close()


async def outcomes(
    folder: Path, written: Written, damage: Callable[[bytes], bytes], compare: Callable[[dict[str, Any]], bool]
) -> Counter[str]:
    """`damage` is done to the write-ahead log where there is one, else to the file."""
    counted = Counter[str]()
    for number in range(TIMES):
        path = folder / f"{number}.db"
        file, wal = (written.file, damage(written.wal)) if written.wal else (damage(written.file), b"")
        path.write_bytes(file)
        Path(f"{path}.mark").write_bytes(written.mark)
        if wal:
            Path(f"{path}-wal").write_bytes(wal)
        requests = [one.request_id for one in written.contents["list"]]
        counted[await outcome(path, requests, compare)] += 1
        for left in folder.glob(f"{number}.db*"):
            left.unlink()
    return counted


@pytest.mark.promise("DISK-1")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_damaged_file_is_refused_or_gives_what_was_written(folder: Path, damage: Any) -> None:
    written = await write_all(folder, killed=False)
    places = Places(TIMES, written)

    counted = await outcomes(folder, written, lambda data: damage(places, data), written.contents.__eq__)

    print(damage.__name__, dict(counted))
    assert counted["SOMETHING ELSE"] == 0
    assert counted["refused"] + counted["told"] > TIMES / 5


@pytest.mark.promise("DISK-1")
@pytest.mark.parametrize("damage", DAMAGES[:4], ids=lambda damage: damage.__name__)
async def test_a_damaged_write_ahead_log_is_refused_or_gives_what_was_written(folder: Path, damage: Any) -> None:
    written = await write_all(folder, killed=True)
    places = Places(TIMES, written)
    assert len(written.wal) > len(written.file)

    counted = await outcomes(folder, written, lambda data: damage(places, data), written.contents.__eq__)

    print(damage.__name__, dict(counted))
    assert counted["SOMETHING ELSE"] == 0
    assert counted["refused"] + counted["told"] > TIMES / 5


def never_left_out(written: Written) -> Callable[[dict[str, Any]], bool]:
    """What a file promises that is too large to be checked when it is opened: each thing that is given is as it was
    written, and no event is missing between two others of a stream without a gap that shows."""

    def compare(found: dict[str, Any]) -> bool:
        log = written.contents["log"]
        streams = [(found[run], written.contents[run]) for run in RUNS]
        positions = [event[0] for event in found["log"]]
        gap_is_seen = found["log"] == log or positions != list(range(positions[0], positions[-1] + 1))
        given = [one for key, some in found.items() if key in (*RUNS, "log") for one in some]
        requests = [one for key in (*STATUSES, "list") for one in found[key]]
        return (
            all(ours == theirs[: len(ours)] for ours, theirs in streams)
            and gap_is_seen
            and all(event in log for event in given)
            and all(one in written.contents["list"] for one in requests)
        )

    return compare


@pytest.mark.promise("DISK-1", "STREAM-1")
@pytest.mark.parametrize("damage", [Places.turn_a_bit, Places.scribble_on_a_sector], ids=lambda damage: damage.__name__)
async def test_a_damaged_file_that_is_too_large_to_be_checked_gives_nothing_else_and_leaves_no_event_out(
    folder: Path, damage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "WHOLE", 0)
    written = await write_all(folder, killed=False)
    places = Places(TIMES, written)

    counted = await outcomes(folder, written, lambda data: damage(places, data), never_left_out(written))

    print(damage.__name__, dict(counted))
    assert counted["SOMETHING ELSE"] == 0
    assert counted["told"] > 0


async def test_a_store_that_checks_nothing_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same damage, without our checks."""
    monkeypatch.setattr("sayso.store.sqlite.store.check_file", lambda *file: None)
    monkeypatch.setattr(rows, "_is_as_written", lambda *row: True)
    monkeypatch.setattr(rows, "row_sum", lambda *row: 0)
    written = await write_all(folder, killed=False)
    (folder / "killed").mkdir()
    killed = await write_all(folder / "killed", killed=True)
    places = Places(TIMES, written)

    in_file = await outcomes(folder, written, places.turn_a_bit, written.contents.__eq__)
    in_wal = await outcomes(folder, killed, places.cut, killed.contents.__eq__)

    print(dict(in_file), dict(in_wal))
    assert in_file["SOMETHING ELSE"] > 0
    assert in_wal["SOMETHING ELSE"] > 0


# one by one


@pytest.mark.promise("DISK-1")
async def test_a_store_whose_write_ahead_log_was_removed_is_refused_until_the_mark_is(folder: Path) -> None:
    written = await write_all(folder, killed=True)
    path = folder / "cut.db"
    path.write_bytes(written.file)
    Path(f"{path}.mark").write_bytes(written.mark)
    before = {file.name: file.read_bytes() for file in folder.glob("cut.db*") if not file.name.endswith("-shm")}

    with pytest.raises(
        StoreDamaged, match=r"has lost its last \d+ events, .*cut\.db-wal was removed, .*remove .*cut\.db\.mark"
    ):
        await SQLiteStore(path).open()

    assert {name: (folder / name).read_bytes() for name in before} == before
    Path(f"{path}.mark").unlink()
    store = SQLiteStore(path)
    await store.open()
    assert [event.seq for event in await store.read(RUNS[0], after=0, limit=EVERY)] == [1, 2, 3][
        : len(await store.read(RUNS[0], after=0, limit=EVERY))
    ]
    await store.close()


@pytest.mark.promise("DISK-1")
async def test_a_refused_store_is_left_as_it_was(folder: Path) -> None:
    """Whoever mends it needs every byte, and the write-ahead log."""
    written = await write_all(folder, killed=True)
    path = folder / "bad.db"
    path.write_bytes(written.file)
    wal = bytearray(written.wal)
    wal[len(wal) // 2] ^= 1
    Path(f"{path}-wal").write_bytes(wal)
    Path(f"{path}.mark").write_bytes(written.mark)

    for _ in range(2):
        with pytest.raises(StoreDamaged):
            await SQLiteStore(path).open()

    assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == (written.file, wal)


@pytest.mark.promise("DISK-1")
async def test_a_damaged_event_is_given_from_its_request(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    written = await write_all(folder, killed=False)
    data = [event[6] for event in written.contents["log"]]
    path = folder / "bit.db"
    at = written.file.index(data[4]) + 50
    path.write_bytes(written.file[:at] + bytes([written.file[at] ^ 1]) + written.file[at + 1 :])
    store = SQLiteStore(path)

    await store.open()
    found = await contents(store)
    await store.close()

    assert found == written.contents
    assert "an event is damaged" in caplog.text


@pytest.mark.promise("DISK-1")
async def test_an_event_whose_request_is_damaged_too_is_told_and_never_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = await write_all(folder, killed=False)
    path = folder / "bits.db"
    changed = bytearray(written.file)
    event = written.contents["log"][4]
    changed[written.file.index(event[6]) + 50] ^= 1
    needle = b'"request_id":"' + event[5].encode()
    for at in range(len(written.file)):
        if written.file.startswith(needle, at):
            changed[at + 5] ^= 1
    path.write_bytes(changed)
    store = SQLiteStore(path)

    await store.open()

    for stream in (None, event[1]):
        with pytest.raises(StoreDamaged, match=f"request {event[5]} is damaged"):
            await store.read(stream, after=0, limit=EVERY)
    with pytest.raises(StoreDamaged, match=f"request {event[5]} is damaged"):
        await store.get(event[5])
    assert f"{path}: request {event[5]} is damaged: its checksum does not fit; restore a backup" in caplog.text
    with pytest.raises(StoreDamaged, match=f"{path} is damaged: request {event[5]} is damaged"):
        backup(path, folder / "copy.db")
    await store.close()


@pytest.mark.promise("DISK-1")
async def test_what_an_agent_kept_is_given_as_it_was_or_not_at_all(folder: Path) -> None:
    store = SQLiteStore(folder / "kept.db")
    await store.open()
    await store.keep("run-1", "draft-1", b"the draft " * 40, NOW)
    await store.close()
    data = store.path.read_bytes()
    store.path.write_bytes(data.replace(b"the draft the draft", b"the draft thE draft", 1))

    await store.open()

    with pytest.raises(StoreDamaged, match="what was kept for request draft-1 is damaged"):
        await store.kept("draft-1")
    await store.close()


def test_nothing_of_the_file_is_told_by_an_error(folder: Path) -> None:
    """SQLite quotes text that it cannot read, and errors reach clients."""
    written = asyncio.run(write_all(folder, killed=False))
    path = folder / "text.db"
    event_id, type = written.contents["log"][4][3:5]
    at = written.file.index(f"{event_id}{type}".encode()) + len(event_id)
    path.write_bytes(written.file[:at] + b"\xff" + written.file[at + 1 :])

    with pytest.raises(StoreDamaged) as refused:
        asyncio.run(SQLiteStore(path).open())

    assert type[1:] not in refused.value.detail


# rows that are gone, as if nobody had written them: no page is damaged, and no checksum is wrong


async def without(folder: Path, statement: str) -> SQLiteStore:
    """A store from which somebody took something."""
    written = await write_all(folder, killed=False)
    path = folder / "without.db"
    path.write_bytes(written.file)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(statement).rowcount == 1
        db.commit()
    return SQLiteStore(path)


@pytest.mark.promise("DISK-1")
@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM events WHERE position = 40", "events before position 41 are missing"),
        ("DELETE FROM events WHERE execution_id = 'run-1' AND seq = 2", r"events before position \d+ are missing"),
        (
            "DELETE FROM events WHERE position = (SELECT max(position) FROM events)",
            "the last events of an execution are missing",
        ),
        ("UPDATE streams SET pending = 0 WHERE execution_id = 'run-0'", "of execution run-0 does not fit its requests"),
        ("UPDATE streams SET quiet_since = '2001' WHERE execution_id = 'run-1'", "of execution run-1 does not fit"),
        ("UPDATE meta SET value = 'x' WHERE key = 'pruned_to'", "not known what was pruned"),
        ("UPDATE meta SET value = 'x' WHERE key = 'schema_version'", "does not say which version wrote it"),
    ],
    ids=["middle", "early", "last", "pending", "settled", "pruned", "version"],
)
async def test_a_store_from_which_something_is_gone_is_refused(folder: Path, statement: str, says: str) -> None:
    store = await without(folder, statement)

    with pytest.raises(StoreDamaged, match=says):
        await store.open()


@pytest.mark.promise("DISK-1", "STREAM-1")
async def test_a_stream_with_an_event_gone_is_not_read_on_from_either_side_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "WHOLE", 0)
    store = await without(folder, "DELETE FROM events WHERE execution_id = 'run-1' AND seq = 4")
    await store.open()
    before = await store.read("run-1", after=0, limit=3)

    for after in (0, before[-1].position):
        with pytest.raises(StoreDamaged, match="events of execution run-1 before position"):
            await store.read("run-1", after=after, limit=EVERY)
    later = (await store.read(None, after=0, limit=EVERY))[-1]
    assert [event.seq for event in before] == [1, 2, 3]
    assert await store.read("run-1", after=later.position, limit=EVERY) == []
    await store.close()


@pytest.mark.promise("DISK-1", "RETAIN-1")
async def test_a_count_that_is_wrong_removes_no_pending_request(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "WHOLE", 0)
    store = await without(folder, "UPDATE streams SET pending = 0, quiet_since = '2001' WHERE execution_id = 'run-0'")
    await store.open()
    before = [event.seq for event in await store.read("run-0", after=0, limit=EVERY)]

    await store.prune(NOW + timedelta(days=1), limit=EVERY)

    assert [event.seq for event in await store.read("run-0", after=0, limit=EVERY)] == before
    assert len((await store.list(Filter(status=frozenset({"pending"})), limit=EVERY)).requests) > 1
    await store.close()
