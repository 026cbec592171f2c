"""The lock beside a SQLite file: one process has the file at a time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from sayso.errors import StoreInUse
from sayso.store.sql import queries
from sayso.store.sqlite.file import connect

_Q: Final = queries("sqlite")


class Lock:
    """Of the store at `path`, by whatever name it is called."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # one file has one lock, whatever links lead to it
        self._file = FileLock(f"{self.path}.lock", thread_local=False)  # taken and released by whichever thread is free

    def take(self) -> None:
        """Raises StoreInUse, naming who has it; OSError."""
        try:
            self._file.acquire(blocking=False)
        except Timeout:
            raise StoreInUse(
                f"{self.path} is open in another process ({self._owner()}); stop that one, choose another file with "
                "store='sqlite:///…', or share one database between processes"
            ) from None

    def release(self) -> None:
        self._file.release()

    def holder(self) -> str | None:
        """Who has the file open, another process or this one; None when nobody has. Changes nothing."""
        if not Path(self._file.lock_file).exists():
            return None
        try:
            with FileLock(self._file.lock_file, blocking=False):
                return None
        except Timeout:
            return self._owner()
        except OSError:
            return None

    def _owner(self) -> str:
        try:
            with closing(connect(self.path, read_only=True)) as db:
                row = db.execute(_Q["get_meta"], {"key": "owner"}).fetchone()
                return str(row[0]) if row else "just starting"
        except sqlite3.Error:
            return "just starting"
