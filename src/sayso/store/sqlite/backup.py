"""A copy of a SQLite store that is complete and sound, made while a server has the store open, or after it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from sayso.errors import Misconfigured, StoreFailed
from sayso.store.sql import queries
from sayso.store.sqlite.check import WITH_SUMS, check_whole, damaged, mark_of
from sayso.store.sqlite.file import connect, failures, version
from sayso.store.sqlite.mark import Mark

_Q: Final = queries("sqlite")


class Copy(NamedTuple):
    """What a backup holds; `size` in bytes."""

    executions: int
    requests: int
    pending: int
    events: int
    size: int


def backup(store: Path, to: Path) -> Copy:
    """Copies what is in `store` at this moment to the new file `to`, and checks the copy from end to end.

    Nothing is overwritten, and nothing is left behind that is not whole. Raises Misconfigured when there is no store,
    or something at `to`; StoreDamaged; StoreFailed.
    """
    if not store.is_file():
        raise Misconfigured(f"there is no store at {store}; name it with --store sqlite:///file.db, or --port")
    with _new_file(to) as partial, failures(f"{store} cannot be backed up"):
        with closing(connect(store, read_only=True)) as db:
            reached = version(db, store)
            acknowledged = Mark.read(mark_of(store), _lineage(db, reached))  # before the copy, which may be further on
            db.execute("VACUUM INTO ?", (str(partial),))
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            if faults := check_whole(copy, to, reached):
                raise damaged(store, "; ".join(faults))
            (position,) = copy.execute(_Q["last_position"]).fetchone()
            if position < acknowledged:
                raise damaged(store, f"its last {acknowledged - position} events are missing")
            if reached >= WITH_SUMS:
                copy.execute(_Q["new_lineage"])
            executions, requests, pending, events = copy.execute(_Q["counts"]).fetchone()
        return Copy(executions, requests, pending, events, partial.stat().st_size)


@contextmanager
def _new_file(to: Path) -> Iterator[Path]:
    """Where to write what will be at `to` once it is whole; nobody else may read either."""
    partial = to.with_name(f"{to.name}.partial")
    try:
        os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Misconfigured(f"{to} exists already; a backup overwrites nothing") from None
    except OSError as exc:
        raise StoreFailed(f"cannot write {to}: {exc.strerror}") from exc
    try:
        partial.unlink(missing_ok=True)  # of a backup that was killed
        partial.touch(mode=0o600)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(to)
    except BaseException as exc:
        for file_left in (partial, to):
            file_left.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise StoreFailed(f"cannot write {to}: {exc.strerror}") from exc
        raise


def _lineage(db: sqlite3.Connection, reached: int) -> str:
    row = db.execute(_Q["get_meta"], {"key": "lineage"}).fetchone() if reached >= WITH_SUMS else None
    return str(row[0]) if row else ""
