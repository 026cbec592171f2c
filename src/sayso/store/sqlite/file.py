"""How the SQLite file is opened and brought up to date, and what its errors mean to a caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sayso.errors import StoreDamaged, StoreFailed, StoreFull, StoreTooNew
from sayso.store.sql import migrations
from sayso.store.sqlite.rows import mentioned

_BUSY_MS: Final = 5_000
"""How long a connection waits for a lock that a backup or a shell holds."""
_CACHE_KIB: Final = 32 * 1024
"""Pages the writer keeps: the upper levels of every index of a large store, which each write goes through."""

_ERRORS: Final[dict[int, type[StoreFailed]]] = {
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_CORRUPT: StoreDamaged,
    sqlite3.SQLITE_NOTADB: StoreDamaged,
}
_NO_TEXT: Final = "there is text in it that is none"
"""Python's own error quotes the text, which is somebody's."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that commits only what it is told to; the writing one commits to the disk itself."""
    target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(target, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1_000)
    try:
        db.create_function("mentions", 2, mentioned, deterministic=True)
        if not read_only:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def version(db: sqlite3.Connection, path: Path) -> int:
    """The newest migration that the file has had; 0 for an empty one. Raises StoreTooNew."""
    exists = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
    meta = dict(db.execute("SELECT key, value FROM meta")) if exists else {}
    try:
        reached, readable_from = (int(meta.get(name, 0)) for name in ("schema_version", "readable_from"))
    except ValueError:
        raise StoreDamaged(f"{path} is damaged: it does not say which version wrote it") from None
    if readable_from > migrations("sqlite")[-1][0]:
        raise StoreTooNew(f"{path} was written by a newer sayso; upgrade this one: pip install -U sayso")
    return reached


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Brings the file up to date, each migration whole or not at all."""
    reached = version(db, path)
    for number, script in migrations("sqlite"):
        if number > reached:
            db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


@contextmanager
def failures(what: str = "the store could not be used") -> Iterator[None]:
    """SQLite's errors as StoreFailed, or the class under it that says what to do."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", None)
        if code is None and "decode" in str(exc):
            raise StoreDamaged(f"{what}: {_NO_TEXT}") from exc
        raise _ERRORS.get((code or sqlite3.SQLITE_ERROR) & 0xFF, StoreFailed)(f"{what}: {exc}") from exc
    except UnicodeDecodeError as exc:
        raise StoreDamaged(f"{what}: {_NO_TEXT}") from exc
