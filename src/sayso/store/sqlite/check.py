"""Whether a SQLite file is whole: looked at before it is written to, and when a copy of it was made."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sayso.errors import StoreDamaged
from sayso.store.sql import queries
from sayso.store.sqlite.entries import check_entries
from sayso.store.sqlite.mark import Mark
from sayso.store.sqlite.rows import (
    REQUEST_COLUMNS,
    event_of,
    kept_of,
    key_of,
    pruned_position,
    request_of,
    subscription_of,
)

logger = logging.getLogger(__name__)

_Q: Final = queries("sqlite")
WITH_SUMS: Final = 3
"""The migration that gave rows their checksums."""
_WITH_KEYS: Final = 4
"""The migration that gave the store keys."""
_WITH_AUDIT: Final = 5
"""The migration that gave it an audit."""
_WITH_DEVICES: Final = 7
"""The migration that gave it devices."""
WHOLE: Final = 256 * 1024 * 1024
"""Bytes up to which a file is checked whole when it is opened: a second or two, for who asks waits meanwhile. A larger
one is checked row by row as it is read, and whole by `sayso backup`."""


def check_file(db: sqlite3.Connection, path: Path, version: int) -> None:
    """Raises StoreDamaged when the file is not sound, lacks an event, or has lost what was acknowledged last.

    A single damaged row is logged: it harms only itself, and is told whenever it is asked for. A file of more than
    WHOLE bytes is only asked for its last event.
    """
    if path.stat().st_size <= WHOLE:
        _read_through(path)
        for what in check_whole(db, path, version):
            logger.error("%s: %s; restore a backup, or see docs/operations.md", path, what)
    if version >= WITH_SUMS:
        check_end(db, path)


def check_whole(db: sqlite3.Connection, path: Path, version: int) -> list[str]:
    """What single rows are damaged. Raises StoreDamaged when the file itself is not sound, or an event is missing."""
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found)
    if version < WITH_SUMS:
        return []
    try:
        faults = [*_damaged_rows(db, version), *_check_events(db)]
        if version >= _WITH_AUDIT:
            faults += check_entries(db)
        _check_streams(db)
    except StoreDamaged as exc:
        raise damaged(path, exc.detail) from exc
    return faults


def damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"{path} is damaged: {what}. Nothing was changed in it; restore a backup, or see docs/operations.md"
    )


def _read_through(path: Path) -> None:
    """Brings the file into memory in one sweep; the checks jump about in it."""
    with path.open("rb", buffering=0) as file:
        while file.read(1024 * 1024):
            pass


def _damaged_rows(db: sqlite3.Connection, version: int) -> Iterator[str]:
    kinds: list[tuple[str, Callable[[Sequence[Any]], object]]] = [
        (f"SELECT {REQUEST_COLUMNS} FROM requests", request_of),  # noqa: S608 - a constant
        ("SELECT request_id, execution_id, kept_at, data, crc FROM resumes", kept_of),
    ]
    if version >= _WITH_KEYS:
        kinds.append((_Q["keys"], key_of))
    if version >= _WITH_DEVICES:
        kinds.append((_Q["subscriptions"], subscription_of))
    for statement, read in kinds:
        for row in db.execute(statement):
            try:
                read(row)
            except StoreDamaged as exc:
                yield exc.detail


def _check_events(db: sqlite3.Connection) -> Iterator[str]:
    """None is missing: positions leave out what was pruned alone, `seq` nothing."""
    pruned_to = pruned_position(db)
    last, seqs = 0, dict[str, int]()
    for position, execution_id, seq, *rest in db.execute(_Q["read_all"], {"after": 0, "limit": -1}):
        before = seqs.get(execution_id)
        if (position != last + 1 and position > pruned_to + 1) or before not in (None, seq - 1):
            raise StoreDamaged(f"events before position {position} are missing")
        last, seqs[execution_id] = position, seq
        try:
            event_of(db, (position, execution_id, seq, *rest))
        except StoreDamaged as exc:
            yield exc.detail
    if seqs != dict(db.execute("SELECT execution_id, last_seq FROM streams WHERE last_seq > 0")):
        raise StoreDamaged("the last events of an execution are missing")


def _check_streams(db: sqlite3.Connection) -> None:
    """What retention goes by."""
    if odd := db.execute(_Q["odd_stream"]).fetchone():
        raise StoreDamaged(f"what is known of execution {odd[0]} does not fit its requests")


def check_end(db: sqlite3.Connection, path: Path) -> None:
    """Raises StoreDamaged when the file has lost what was acknowledged last, by the mark beside it."""
    lineage = db.execute(_Q["get_meta"], {"key": "lineage"}).fetchone() or ("",)
    (position,) = db.execute(_Q["last_position"]).fetchone()
    missing = Mark.read(mark_of(path), str(lineage[0])) - position
    if missing > 0:
        raise StoreDamaged(
            f"{path} has lost its last {missing} events, which had been acknowledged: {path}-wal was removed, cut or "
            f"damaged, or an older copy of the file was put in its place. Restore what belongs there, or remove "
            f"{mark_of(path)} to go on without them"
        )


def mark_of(path: Path) -> Path:
    """Where the mark of the file lies."""
    return Path(f"{path}.mark")
