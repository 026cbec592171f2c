"""The one thread that writes to a SQLite file. Whatever waits in its queue when it is free becomes one commit."""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, Final, NamedTuple, TypeVar

from sayso.audit import Draft
from sayso.errors import StoreFailed
from sayso.store.changes import Changes
from sayso.store.commits import Commits
from sayso.store.sql import queries
from sayso.store.sqlite.entries import append_entries
from sayso.store.sqlite.file import failures
from sayso.store.sqlite.mark import Mark
from sayso.wire import Event

T = TypeVar("T")
logger = logging.getLogger(__name__)

_BATCH: Final = 256
"""Writes that share one commit at the most: past this, waiting for the batch costs more than the next fsync."""

_Q: Final = queries("sqlite")


class Writer:
    """Owns `db` and `mark` until it is closed; what it acknowledges, it acknowledges on `loop`."""

    def __init__(
        self, db: sqlite3.Connection, mark: Mark, loop: asyncio.AbstractEventLoop, changes: Changes, commits: Commits
    ) -> None:
        self._db = db
        self._mark = mark
        self._loop = loop
        self._changes = changes
        self._commits = commits
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sayso-write", daemon=True)
        self._thread.start()

    async def submit(self, work: Work[T]) -> T:
        job = Job(work, self._loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Finishes what is queued."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        with closing(self._mark), closing(self._db):
            while batch := self._next_batch():
                outcomes = self._commit(self._db, batch)
                self._loop.call_soon_threadsafe(self._finish, batch, outcomes)

    def _next_batch(self) -> list[Job]:
        job = self._jobs.get()
        batch: list[Job] = []
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

    def _commit(self, db: sqlite3.Connection, batch: list[Job]) -> list[Any]:
        """What became of each job: its result, or the exception it raised. One failed job leaves the others whole."""
        began = time.perf_counter()
        try:
            with failures():
                db.execute("BEGIN IMMEDIATE")
                outcomes = [self._attempt(db, job) for job in batch]
                append_entries(db, [one.note for one in _appended(outcomes)])
                (position,) = db.execute(_Q["last_position"]).fetchone()
                db.execute("COMMIT")
            self._mark.raise_to(position)
            self._commits.done(time.perf_counter() - began, len(batch))
            return outcomes
        except Exception as exc:
            self._commits.failed()
            logger.exception("commit failed", extra={"writes": len(batch)})
            with suppress(sqlite3.Error):
                db.rollback()
            self._loop.call_soon_threadsafe(self._changes.add_any)  # it may have been the last step that failed
            return [exc] * len(batch)

    def _attempt(self, db: sqlite3.Connection, job: Job) -> Any:
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

    def _finish(self, batch: list[Job], outcomes: list[Any]) -> None:
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome[0])
        self._changes.append([one.event for one in _appended(outcomes)])


def _appended(outcomes: list[Any]) -> Iterator[Appended]:
    for outcome in outcomes:
        if not isinstance(outcome, BaseException) and outcome[1] is not None:
            yield outcome[1]


class Appended(NamedTuple):
    """An event that a write has appended, and the note of the change that it made."""

    event: Event
    note: Draft


Written = tuple[T, Appended | None]
"""What a write gives back, and what it appended."""
Work = Callable[[sqlite3.Connection], Written[T]]


class Job(NamedTuple):
    """One write and who waits for it."""

    work: Work[Any]
    future: asyncio.Future[Any]
