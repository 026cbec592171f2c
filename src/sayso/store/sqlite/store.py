"""The store in one SQLite file: one owning process, one writing thread with group commit, readers beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from msgspec import structs

from sayso.audit import Draft, Entry
from sayso.errors import NotFound, RequestMismatch, StoreDamaged, StoreFailed
from sayso.keys import Change, Key
from sayso.meters import Metric
from sayso.model import Fact, InputCompleted, InputRequired, Request, Status
from sayso.store import (
    SECRET_BYTES,
    TAKEN,
    AuditPlace,
    Filter,
    Hear,
    Kept,
    Located,
    Owed,
    Page,
    Put,
    Settled,
    Standing,
    within_batch,
)
from sayso.store.changes import Changes
from sayso.store.commits import Commits
from sayso.store.sql import queries
from sayso.store.sqlite.check import check_file, mark_of
from sayso.store.sqlite.entries import read_entries
from sayso.store.sqlite.file import connect, failures, migrate, version
from sayso.store.sqlite.keys import all_keys, change_keys, redeem, used_keys
from sayso.store.sqlite.lists import list_requests
from sayso.store.sqlite.lock import Lock
from sayso.store.sqlite.mark import Mark
from sayso.store.sqlite.notified import advance, begin, owed_of, owed_soon, replay, standing
from sayso.store.sqlite.prune import prune
from sayso.store.sqlite.rows import (
    ORIGIN,
    event_of,
    get_request,
    kept_of,
    meta,
    pruned_position,
    row_of_event,
    row_of_kept,
    row_of_request,
    time_text,
)
from sayso.store.sqlite.subscriptions import all_subscriptions, change_subscriptions
from sayso.store.sqlite.writer import Appended, Work, Writer, Written
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange
from sayso.wire import Event

T = TypeVar("T")
logger = logging.getLogger(__name__)

_READERS: Final = 4
"""Reading threads; SQLite's readers never wait for the writer (WAL)."""

_Q: Final = queries("sqlite")


class SQLiteStore:
    """The Store protocol on the file `path`, which is made, with its folder, when it is not there."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock(path)
        self.path = self._lock.path
        self._writer: Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._changes = Changes()
        self._commits = Commits()

    async def open(self) -> None:
        db, mark = await asyncio.to_thread(self._own)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sayso-read")
        self._writer = Writer(db, mark, asyncio.get_running_loop(), self._changes, self._commits)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        if writer is None or readers is None:
            return
        await asyncio.shield(asyncio.to_thread(self._let_go, writer, readers))

    async def put(self, request: Request, fact: InputRequired) -> Put:
        note = Draft.of(request)

        def write(db: sqlite3.Connection) -> Written[Put]:
            if db.execute(_Q["is_taken"], {"request_id": request.request_id}).fetchone()[0]:
                stored = get_request(db, request.request_id)
                if stored is None:
                    raise RequestMismatch(TAKEN)
                return Put(stored, created=False), None
            event = _append(db, fact)
            row = row_of_request(request) | {"position": event.position}
            db.execute(_Q["insert_request"], row)
            return Put(request, created=True), Appended(event, note)

        return await self._write(write)

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        note = Draft.of(request)

        def write(db: sqlite3.Connection) -> Written[Settled]:
            if db.execute(_Q["settle_request"], row_of_request(request)).rowcount:
                return Settled(request, won=True), Appended(_append(db, fact), note)
            stored = get_request(db, request.request_id)
            if stored is None:
                raise NotFound
            return Settled(stored, won=False), None

        return await self._write(write)

    async def get(self, request_id: str) -> Request | None:
        return await self._read(lambda db: get_request(db, request_id))

    async def list(self, filter: Filter, *, after: int = 0, limit: int, newest: bool = False) -> Page:
        return await self._read(lambda db: list_requests(db, filter, after, limit, newest=newest))

    async def locate(self, event_id: str) -> Located | None:
        def find(db: sqlite3.Connection) -> Located | None:
            row = db.execute(_Q["locate_event"], {"event_id": event_id}).fetchone()
            if row is None:
                return Located(None, 0) if event_id == meta(db, ORIGIN) else None
            execution_id, position = row
            return Located(execution_id, position, has_gap=position < pruned_position(db))

        return await self._read(find)

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        name = f"read_{'open_' if open_only else ''}{'all' if execution_id is None else 'execution'}"
        asked = {"execution_id": execution_id, "after": after, "limit": limit}

        def find(db: sqlite3.Connection) -> Sequence[Event]:
            events = list(within_batch(event_of(db, row) for row in db.execute(_Q[name], asked)))
            if execution_id is not None and not open_only:
                _check_seqs(db, execution_id, after, events)
            return events

        return await self._read(find)

    async def audit(self, execution_id: str | None, *, after: AuditPlace, limit: int) -> Sequence[Entry]:
        return await self._read(lambda db: read_entries(db, execution_id, after, limit))

    async def keep(self, execution_id: str, request_id: str, data: bytes, now: datetime) -> None:
        def write(db: sqlite3.Connection) -> Written[None]:
            row = row_of_kept(request_id, execution_id, now, data)
            db.execute(_Q["count_kept"], row)
            db.execute(_Q["keep_resume"], row)
            return None, None

        await self._write(write)

    async def kept(self, request_id: str) -> Kept | None:
        def find(db: sqlite3.Connection) -> Kept | None:
            row = db.execute(_Q["get_resume"], {"request_id": request_id}).fetchone()
            return kept_of(row) if row else None

        return await self._read(find)

    async def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        def write(db: sqlite3.Connection) -> Written[bool]:
            row = {"name": name, "holder": holder, "until": time_text(until), "now": time_text(now)}
            taken = db.execute(_Q["take_lease"], row)
            return bool(taken.rowcount), None

        return await self._write(write)

    async def release(self, name: str, holder: str) -> None:
        def write(db: sqlite3.Connection) -> Written[None]:
            db.execute(_Q["release_lease"], {"name": name, "holder": holder})
            return None, None

        await self._write(write)

    def listen(self, hear: Hear) -> None:
        self._changes.hear = hear

    def metrics(self) -> Iterator[Metric]:
        return self._commits.read()

    async def prune(self, before: datetime, *, limit: int) -> int:
        return await self._write(lambda db: (prune(db, time_text(before), limit), None))

    async def pending(self) -> Mapping[tuple[str, str], int]:
        rows = await self._read(lambda db: db.execute(_Q["count_pending"]).fetchall())
        return {(by, execution_id): number for by, execution_id, number in rows}

    async def count_open(self, most: int) -> int:
        found = await self._read(lambda db: db.execute(_Q["count_open"], {"most": most}).fetchone())
        return int(found[0])

    async def remains(self, request_id: str) -> Request | None:
        def find(db: sqlite3.Connection) -> Request | None:
            row = db.execute(_Q["get_tombstone"], {"request_id": request_id}).fetchone()
            return _tombstone(*row) if row else None

        return await self._read(find)

    async def secret(self, name: str) -> bytes:
        def write(db: sqlite3.Connection) -> Written[bytes]:
            db.execute(_Q["make_meta"], {"key": f"secret:{name}", "value": secrets.token_hex(SECRET_BYTES)})
            return bytes.fromhex(meta(db, f"secret:{name}")), None

        return await self._write(write)

    async def keys(self) -> Sequence[Key]:
        return await self._read(all_keys)

    async def change_keys(self, change: Callable[[Sequence[Key]], Change]) -> Change:
        return await self._write(lambda db: (change_keys(db, change), None))

    async def used_keys(self, last: Mapping[str, datetime]) -> None:
        def write(db: sqlite3.Connection) -> Written[None]:
            used_keys(db, last)
            return None, None

        await self._write(write)

    async def redeem(self, ticket_id: str, until: datetime, now: datetime) -> bool:
        return await self._write(lambda db: (redeem(db, ticket_id, until, now), None))

    async def begin_notifier(self, name: str) -> Standing:
        there = await self._read(lambda db: standing(db, name))
        return there if there is not None else await self._write(lambda db: (begin(db, name), None))

    async def owed(self, name: str, executions: Sequence[str] | None = None, *, limit: int = 0) -> Sequence[Owed]:
        if executions is None:
            return await self._read(lambda db: owed_soon(db, name, limit))
        return await self._read(lambda db: owed_of(db, name, executions))

    async def advance_notifier(
        self, name: str, now: Standing, *, owed: Sequence[Owed] = (), done: Sequence[str] = ()
    ) -> bool:
        return await self._write(lambda db: (advance(db, name, now, owed, done), None))

    async def replay_notifier(self, name: str, position: int, now: datetime) -> None:
        def write(db: sqlite3.Connection) -> Written[None]:
            replay(db, name, position, now)
            return None, None

        await self._write(write)

    async def subscriptions(self) -> Sequence[Subscription]:
        return await self._read(all_subscriptions)

    async def change_subscriptions(self, change: SubscriptionsChange) -> SubscriptionChange:
        return await self._write(lambda db: (change_subscriptions(db, change), None))

    async def _write(self, work: Work[T]) -> T:
        if self._writer is None:
            raise StoreFailed("the store is closed")
        return await self._writer.submit(work)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._readers is None:
            raise StoreFailed("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, work)

    def _read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with failures():
            try:
                db = self._idle.get_nowait()
            except queue.Empty:
                db = connect(self.path, read_only=True)
            with ExitStack() as on_failure:
                on_failure.callback(db.close)  # it may be in a transaction, and would show the past from then on
                found = work(db)
                on_failure.pop_all()
            self._idle.put(db)
            return found

    def _let_go(self, writer: Writer, readers: ThreadPoolExecutor) -> None:
        readers.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
        writer.close()
        self._lock.release()

    def _own(self) -> tuple[sqlite3.Connection, Mark]:
        """Takes the file for this process, checks it, brings its schema up to date, and gives what writes to it.

        A file that is refused is left as it was, its write-ahead log included.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.take()
            self.path.touch(mode=0o600)  # before SQLite makes it for all to read
        except OSError as exc:
            self._lock.release()
            raise StoreFailed(f"cannot use {self.path}: {exc.strerror}; choose another file with store=") from exc
        try:
            with failures(f"{self.path} cannot be used"), ExitStack() as on_failure:
                with closing(connect(self.path, read_only=True)) as db:
                    check_file(db, self.path, version(db, self.path))
                db = on_failure.enter_context(closing(connect(self.path)))
                migrate(db, self.path)
                db.execute(_Q["set_meta"], {"key": "owner", "value": f"process {os.getpid()}"})
                db.execute(_Q["make_meta"], {"key": ORIGIN, "value": str(uuid.uuid4())})
                (position,) = db.execute(_Q["last_position"]).fetchone()
                mark = Mark(mark_of(self.path), meta(db, "lineage"), position)
                on_failure.pop_all()
                return db, mark
        except OSError as exc:
            self._lock.release()
            raise StoreFailed(f"cannot use {self.path}: {exc.strerror}; choose another file with store=") from exc
        except BaseException:
            self._lock.release()
            raise

    def holder(self) -> str | None:
        """Who has the file open, another process or this one; None when nobody has. Changes nothing."""
        return self._lock.holder()


def _append(db: sqlite3.Connection, fact: Fact) -> Event:
    """Writes `fact` as the next event of its execution."""
    if isinstance(fact, InputRequired):
        counted = db.execute(_Q["count_asked"], {"execution_id": fact.execution_id})
    else:
        settled = {"execution_id": fact.execution_id, "settled_at": time_text(fact.timestamp)}
        counted = db.execute(_Q["count_settled"], settled)
    (seq,) = counted.fetchone()
    event = Event.of(fact, position=0, seq=seq)
    position = db.execute(_Q["append_event"], row_of_event(event)).lastrowid
    assert position is not None  # noqa: S101 - an INSERT has one
    return structs.replace(event, position=position)


def _tombstone(request_id: str, execution_id: str, status: Status, settled_by: str, settled_at: str) -> Request:
    return Request.removed(request_id, execution_id, status, settled_by, datetime.fromisoformat(settled_at))


def _check_seqs(db: sqlite3.Connection, execution_id: str, after: int, events: Sequence[Event]) -> None:
    """Nothing lies between the event at `after`, if that is one of these, and `events`, nor between two of them."""
    before = db.execute(_Q["seq_at"], {"position": after, "execution_id": execution_id}).fetchone()
    expected = before[0] + 1 if before else None
    for event in events:
        if event.seq != (expected or event.seq):
            raise StoreDamaged(f"events of execution {execution_id} before position {event.position} are missing")
        expected = event.seq + 1
