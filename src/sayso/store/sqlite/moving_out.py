"""A SQLite store as it is given out to another engine: whole, checked, and left as it was."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sayso.errors import Misconfigured, StoreDamaged, StoreFailed
from sayso.store.moving import GONE, Row, Table
from sayso.store.sql import migrations, queries
from sayso.store.sqlite.check import check_end, check_whole, damaged
from sayso.store.sqlite.file import connect, failures, version
from sayso.store.sqlite.lock import Lock
from sayso.store.sqlite.rows import (
    ORIGIN,
    event_of,
    kept_of,
    key_of,
    meta,
    pruned_position,
    request_of,
    subscription_of,
)

_TIMES: Final = frozenset({"quiet_since", "settled_at", "until", "due_at"})
"""Columns that hold a moment as text, of the tables that are read as they are."""
_Q: Final = queries("sqlite")


@contextmanager
def moving_out(path: Path) -> Iterator[Source]:
    """The store at `path`, which no server can open meanwhile; all that is read of it is of one moment.

    Raises Misconfigured when there is none, or one of an older sayso; StoreInUse, StoreTooNew, StoreFailed.
    """
    if not path.is_file():
        raise Misconfigured(f"there is no store at {path}")
    with _locked(path), failures(f"{path} cannot be read"), closing(connect(path, read_only=True)) as db:
        reached = version(db, path)
        if reached < migrations("sqlite")[-1][0]:
            raise Misconfigured(f"{path} was written by an older sayso; start and stop a server on it, then move it")
        db.execute("BEGIN")
        yield Source(db, path, reached)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = Lock(path)
    try:
        lock.take()
    except OSError as exc:
        raise StoreFailed(f"cannot use {path}: {exc.strerror}") from exc
    try:
        yield
    finally:
        lock.release()


class Source:
    """The Outgoing protocol on the connection `db`."""

    def __init__(self, db: sqlite3.Connection, path: Path, reached: int) -> None:
        self._db = db
        self._path = path
        self._reached = reached
        self.lineage = meta(db, "lineage")

    async def check(self) -> None:
        checking = asyncio.ensure_future(asyncio.to_thread(self._check))
        try:
            await asyncio.shield(checking)
        except asyncio.CancelledError:
            self._db.interrupt()
            await asyncio.wait([checking])  # it uses the connection
            raise

    def _check(self) -> None:
        with failures(f"{self._path} cannot be read"):
            if faults := check_whole(self._db, self._path, self._reached):
                raise damaged(self._path, "; ".join(faults))
            check_end(self._db, self._path)

    def count(self) -> int:
        return int(self._db.execute(_Q["move_count"]).fetchone()[0])

    def rows(self, table: Table) -> Iterator[Row]:
        try:
            if table.name == "feed":
                yield self._feed()
                return
            for row in self._db.execute(_Q[f"move_{table.name}"]):
                yield self._row(table, row)
        except (StoreDamaged, ValueError, TypeError) as exc:
            raise damaged(self._path, exc.detail if isinstance(exc, StoreDamaged) else f"{table.name}: {exc}") from exc

    def _feed(self) -> Row:
        (position,) = self._db.execute(_Q["last_position"]).fetchone()
        return position, pruned_position(self._db), meta(self._db, ORIGIN)

    def _row(self, table: Table, row: Row) -> Row:
        match table.name:
            case "events":
                event = event_of(self._db, row)
                return tuple(getattr(event, name) for name in table.columns)
            case "requests":
                return _request(row)
            case "resumes":
                request_id, execution_id, kept_at, *_ = row
                return request_id, execution_id, _moment(kept_at), kept_of(row).data
            case "keys":
                key_of(row)
                id, last_used_at, data, _ = row
                return id, _moment(last_used_at), data
            case "subscriptions":
                subscription_of(row)
                id, data, _ = row
                return id, data
            case _:
                return tuple(
                    _moment(value) if name in _TIMES else value for name, value in zip(table.columns, row, strict=True)
                )


def _request(row: Row) -> Row:
    position, *columns, data, _ = row
    request = request_of(row[1:])
    request_id, execution_id, status, durable, deadline_at, settled_at = columns
    return (
        *(position, request_id, execution_id, status, bool(durable)),
        *(_moment(deadline_at), _moment(settled_at), request.settled_by, None if durable else GONE, data),
    )


def _moment(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
