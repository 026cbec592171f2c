"""The store in one SQLite file: one owning process, one writing thread with group commit, readers beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import secrets
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct, structs

from sayso.errors import NotFound, StoreFailed, StoreInUse, StoreTooNew
from sayso.model import Fact, InputCompleted, InputRequired, Request
from sayso.store import SECRET_BYTES, Filter, Located, Page, Put, Settled, mentions, within_batch
from sayso.store.changes import Changes
from sayso.store.sql import migrations, queries
from sayso.wire import Event, decode_request, encode

T = TypeVar("T")
logger = logging.getLogger(__name__)

_BATCH: Final = 256
"""Writes that share one commit at the most: past this, waiting for the batch costs more than the next fsync."""
_READERS: Final = 4
"""Reading threads; SQLite's readers never wait for the writer (WAL)."""
_BUSY_MS: Final = 5_000
"""How long a connection waits for a lock that a backup or a shell holds."""

_ORIGIN: Final = "origin"

_Q: Final = queries("sqlite")


class SQLiteStore:
    """The Store protocol on the file `path`, which is made, with its folder, when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # one file has one lock, whatever links lead to it
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)  # taken and released by whichever thread is free
        self._writer: _Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._changes = Changes()

    async def open(self) -> None:
        db = await asyncio.to_thread(self._own)
        self._changes = Changes()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="sayso-read")
        self._writer = _Writer(db, asyncio.get_running_loop(), self._changes)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        if writer is None or readers is None:
            return
        await asyncio.shield(asyncio.to_thread(self._let_go, writer, readers))
        self._changes.end()

    async def put(self, request: Request, fact: InputRequired) -> Put:
        def write(db: sqlite3.Connection) -> _Written[Put]:
            if stored := _get(db, request.request_id):
                return Put(stored, created=False), None
            row = _row(request) | {"position": _append(db, fact)}
            db.execute(_Q["insert_request"], row)
            return Put(request, created=True), request.execution_id

        return await self._write(write)

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        def write(db: sqlite3.Connection) -> _Written[Settled]:
            if db.execute(_Q["settle_request"], _row(request)).rowcount:
                _append(db, fact)
                return Settled(request, won=True), request.execution_id
            stored = _get(db, request.request_id)
            if stored is None:
                raise NotFound
            return Settled(stored, won=False), None

        return await self._write(write)

    async def get(self, request_id: str) -> Request | None:
        return await self._read(lambda db: _get(db, request_id))

    async def list(self, filter: Filter, *, after: int = 0, limit: int, newest: bool = False) -> Page:
        return await self._read(lambda db: _list(db, filter, after, limit, newest))

    async def locate(self, event_id: str) -> Located | None:
        def find(db: sqlite3.Connection) -> Located | None:
            row = db.execute(_Q["locate_event"], {"event_id": event_id}).fetchone()
            if row is None and event_id == _origin(db):
                return Located(None, 0)
            return Located(*row) if row else None

        return await self._read(find)

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        name = f"read_{'open_' if open_only else ''}{'all' if execution_id is None else 'execution'}"
        asked = {"execution_id": execution_id, "after": after, "limit": limit}
        return await self._read(lambda db: list(within_batch(Event(*row) for row in db.execute(_Q[name], asked))))

    async def keep(self, execution_id: str, request_id: str, data: bytes, now: datetime) -> None:
        def write(db: sqlite3.Connection) -> _Written[None]:
            row = {"execution_id": execution_id, "request_id": request_id, "kept_at": _time(now), "data": data}
            db.execute(_Q["make_stream"], row)
            db.execute(_Q["keep_resume"], row)
            return None, None

        await self._write(write)

    async def kept(self, request_id: str) -> bytes | None:
        def find(db: sqlite3.Connection) -> bytes | None:
            row = db.execute(_Q["get_resume"], {"request_id": request_id}).fetchone()
            return row[0] if row else None

        return await self._read(find)

    async def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        def write(db: sqlite3.Connection) -> _Written[bool]:
            row = {"name": name, "holder": holder, "until": _time(until), "now": _time(now)}
            taken = db.execute(_Q["take_lease"], row)
            return bool(taken.rowcount), None

        return await self._write(write)

    async def release(self, name: str, holder: str) -> None:
        def write(db: sqlite3.Connection) -> _Written[None]:
            db.execute(_Q["release_lease"], {"name": name, "holder": holder})
            return None, None

        await self._write(write)

    def changes(self) -> AsyncIterator[frozenset[str] | None]:
        return self._changes.follow()

    async def prune(self, before: datetime, *, limit: int) -> int:
        def write(db: sqlite3.Connection) -> _Written[int]:
            gone = db.execute(_Q["prunable"], {"before": _time(before), "limit": limit}).fetchall()
            for (execution_id,) in gone:
                for name in ("prune_events", "prune_requests", "prune_resumes", "prune_stream"):
                    db.execute(_Q[name], {"execution_id": execution_id})
            return len(gone), None

        return await self._write(write)

    async def secret(self, name: str) -> bytes:
        def write(db: sqlite3.Connection) -> _Written[bytes]:
            db.execute(_Q["make_meta"], {"key": f"secret:{name}", "value": secrets.token_hex(SECRET_BYTES)})
            (kept,) = db.execute(_Q["get_meta"], {"key": f"secret:{name}"}).fetchone()
            return bytes.fromhex(kept), None

        return await self._write(write)

    async def _write(self, work: _Work[T]) -> T:
        if self._writer is None:
            raise StoreFailed("the store is closed")
        return await self._writer.submit(work)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._readers is None:
            raise StoreFailed("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, work)

    def _read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _failures():
            try:
                db = self._idle.get_nowait()
            except queue.Empty:
                db = _connect(self.path, read_only=True)
            try:
                return work(db)
            finally:
                self._idle.put(db)

    def _let_go(self, writer: _Writer, readers: ThreadPoolExecutor) -> None:
        readers.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
        writer.close()
        self._lock.release()

    def _own(self) -> sqlite3.Connection:
        """Takes the file for this process, brings its schema up to date, and gives the connection that writes."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
            self.path.touch(mode=0o600)  # before SQLite makes it for all to read
        except Timeout:
            raise StoreInUse(
                f"{self.path} is open in another process ({self._owner()}); stop that one, choose another file with "
                "store='sqlite:///…', or share one database between processes"
            ) from None
        except OSError as exc:
            self._lock.release()
            raise StoreFailed(f"cannot use {self.path}: {exc.strerror}; choose another file with store=") from exc
        try:
            with _failures(f"{self.path} cannot be used"), ExitStack() as on_failure:
                db = on_failure.enter_context(closing(_connect(self.path)))
                _migrate(db, self.path)
                db.execute(_Q["set_meta"], {"key": "owner", "value": f"process {os.getpid()}"})
                db.execute(_Q["make_meta"], {"key": _ORIGIN, "value": str(uuid.uuid4())})
                on_failure.pop_all()
                return db
        except BaseException:
            self._lock.release()
            raise

    def holder(self) -> str | None:
        """Who has the file open, another process or this one; None when nobody has. Changes nothing."""
        if not Path(self._lock.lock_file).exists():
            return None
        try:
            with FileLock(self._lock.lock_file, blocking=False):
                return None
        except Timeout:
            return self._owner()
        except OSError:
            return None

    def _owner(self) -> str:
        try:
            with closing(_connect(self.path, read_only=True)) as db:
                row = db.execute(_Q["get_meta"], {"key": "owner"}).fetchone()
                return str(row[0]) if row else "just starting"
        except sqlite3.Error:
            return "just starting"


class _Writer:
    """The one thread that writes. Whatever waits in its queue when it is free becomes one transaction, one fsync."""

    def __init__(self, db: sqlite3.Connection, loop: asyncio.AbstractEventLoop, changes: Changes) -> None:
        self._db = db
        self._loop = loop
        self._changes = changes
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sayso-write", daemon=True)
        self._thread.start()

    async def submit(self, work: _Work[T]) -> T:
        job = _Job(work, self._loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Finishes what is queued."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with closing(self._db):
            while batch := self._next_batch():
                outcomes = self._commit(self._db, batch)
                self._loop.call_soon_threadsafe(self._finish, batch, outcomes)

    def _next_batch(self) -> list[_Job]:
        job = self._jobs.get()
        batch: list[_Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == _BATCH:
                return batch
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._jobs.put(None)
        return batch

    def _commit(self, db: sqlite3.Connection, batch: list[_Job]) -> list[Any]:
        """What became of each job: its result, or the exception it raised. One failed job leaves the others whole."""
        try:
            with _failures():
                db.execute("BEGIN IMMEDIATE")
                outcomes = [self._attempt(db, job) for job in batch]
                db.execute("COMMIT")
                return outcomes
        except Exception as exc:
            logger.exception("commit failed", extra={"writes": len(batch)})
            with suppress(sqlite3.Error):
                db.rollback()
            return [exc] * len(batch)

    def _attempt(self, db: sqlite3.Connection, job: _Job) -> Any:
        db.execute("SAVEPOINT job")
        try:
            return job.work(db)
        except sqlite3.IntegrityError as exc:
            db.execute("ROLLBACK TO job")
            return StoreFailed(f"the store refused this write: {exc}")
        except sqlite3.Error:
            raise  # the storage failed, not the job: nothing of this batch may be acknowledged
        except Exception as exc:
            db.execute("ROLLBACK TO job")
            return exc
        finally:
            if db.in_transaction:
                db.execute("RELEASE job")

    def _finish(self, batch: list[_Job], outcomes: list[Any]) -> None:
        changed = set()
        for job, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if not job.future.done():
                    job.future.set_exception(outcome)
                continue
            result, execution_id = outcome
            if execution_id is not None:
                changed.add(execution_id)
            if not job.future.done():
                job.future.set_result(result)
        if changed:
            self._changes.update(changed)


_Written = tuple[T, str | None]
"""What a write gives back, and the execution that got an event by it."""
_Work = Callable[[sqlite3.Connection], _Written[T]]


class _Job(NamedTuple):
    """One write and who waits for it."""

    work: _Work[Any]
    future: asyncio.Future[Any]


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(target, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1_000)
    try:
        db.create_function("mentions", 2, _mentions, deterministic=True)
        if not read_only:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    steps = migrations("sqlite")
    exists = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    meta = dict(db.execute("SELECT key, value FROM meta")) if exists else {}
    newest = steps[-1][0]
    if int(meta.get("readable_from", 0)) > newest:
        raise StoreTooNew(f"{path} was written by a newer sayso; upgrade this one: pip install -U sayso")
    version = int(meta.get("schema_version", 0))
    for number, script in steps:
        if number > version:
            db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


@contextmanager
def _failures(what: str = "the store could not be used") -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise StoreFailed(f"{what}: {exc}") from exc


def _append(db: sqlite3.Connection, fact: Fact) -> int:
    """Writes `fact` as the next event of its execution and says its position."""
    (seq,) = db.execute(_Q["next_seq"], {"execution_id": fact.execution_id}).fetchone()
    event = Event.of(fact, position=0, seq=seq)
    row = {name: getattr(event, name) for name in ("execution_id", "seq", "event_id", "type", "request_id", "data")}
    position = db.execute(_Q["append_event"], row).lastrowid
    assert position is not None  # noqa: S101 - an INSERT has one
    return position


def _origin(db: sqlite3.Connection) -> str:
    (origin,) = db.execute(_Q["get_meta"], {"key": _ORIGIN}).fetchone()
    return str(origin)


class _Searched(Struct):
    """As much of a stored request as a search looks at."""

    title: str
    prompt: str
    execution_id: str
    context_data: dict[str, Any] | None = None


_searched: Final = msgspec.json.Decoder(_Searched)


def _mentions(data: bytes, text: str) -> bool:
    try:
        return mentions(text, **structs.asdict(_searched.decode(data)))
    except ValueError:
        return False  # damaged; `_readable` says so where it is listed


def _get(db: sqlite3.Connection, request_id: str) -> Request | None:
    row = db.execute(_Q["get_request"], {"request_id": request_id}).fetchone()
    try:
        return decode_request(row[0]) if row else None
    except ValueError as exc:
        raise StoreFailed(f"request {request_id} is damaged: {exc}") from exc


def _readable(rows: list[tuple[int, bytes]]) -> Iterator[Request]:
    """One damaged request must not hide the others, nor keep their deadlines from being kept."""
    for position, data in rows:
        try:
            yield decode_request(data)
        except ValueError:
            logger.exception("a damaged request was passed over", extra={"position": position})


def _list(db: sqlite3.Connection, filter: Filter, after: int, limit: int, newest: bool) -> Page:
    conditions = ["(position < :after OR :after = 0)" if newest else "position > :after"]
    values: dict[str, Any] = {"after": after, "limit": limit + 1}
    named: dict[str, Any] = {"execution_id": filter.execution_id, "durable": filter.durable}
    for name, value in named.items():
        if value is not None:
            conditions.append(f"{name} = :{name}")
            values[name] = value
    if filter.status is not None:
        names = {f"status_{number}": status for number, status in enumerate(sorted(filter.status))}
        conditions.append(f"status IN ({', '.join(f':{name}' for name in names)})")
        values |= names
    if filter.due_before is not None:
        conditions.append("deadline_at IS NOT NULL AND deadline_at < :due_before")
        values["due_before"] = _time(filter.due_before)
    if filter.text is not None:
        conditions.append("mentions(data, :text)")
        values["text"] = filter.text
    order = "position DESC" if newest else "position"
    statement = " ".join(
        ["SELECT position, data FROM requests WHERE", " AND ".join(conditions), f"ORDER BY {order} LIMIT :limit"]
    )
    head = "head_all" if filter.execution_id is None else "head_execution"
    db.execute("BEGIN")  # one snapshot, so that the list and its head belong together
    try:
        rows = db.execute(statement, values).fetchall()
        last = db.execute(_Q[head], {"execution_id": filter.execution_id}).fetchone() or (_origin(db), 0)
    finally:
        db.execute("COMMIT")
    return Page(
        requests=tuple(_readable(rows[:limit])),
        next=rows[limit - 1][0] if len(rows) > limit else None,
        head_event_id=last[0],
        head=last[1],
    )


def _row(request: Request) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "execution_id": request.execution_id,
        "status": request.status,
        "durable": request.durable,
        "deadline_at": request.deadline and _time(request.deadline),
        "settled_at": request.settled_at and _time(request.settled_at),
        "data": encode(request),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
