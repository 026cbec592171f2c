"""Writers of a store that leave more time for a kill; and one that acknowledges too early, which a test must notice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from sayso.store.sqlite.writer import Job, Writer

WINDOW: Final = 0.03
"""Seconds before a commit, and between a commit and its acknowledgement."""


class _Around:
    """A connection whose commits go another way."""

    def __init__(self, db: sqlite3.Connection, commit: Callable[[sqlite3.Connection], object]) -> None:
        self._db = db
        self._commit = commit

    def execute(self, statement: str, *values: Any) -> object:
        return self._commit(self._db) if statement == "COMMIT" else self._db.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class SlowWriter(Writer):
    """The real one, with the windows widened."""

    def _commit(self, db: Any, batch: list[Job]) -> list[Any]:
        outcomes = super()._commit(_Around(db, self._take_time), batch)  # type: ignore[arg-type]  # it stands in for one
        time.sleep(WINDOW)
        return outcomes

    @staticmethod
    def _take_time(db: sqlite3.Connection) -> None:
        time.sleep(WINDOW)
        db.execute("COMMIT")


class HastyWriter(Writer):
    """Acknowledges before it commits."""

    def _run(self) -> None:
        while batch := self._next_batch():
            self._db.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(self._db, job) for job in batch]
            self._loop.call_soon_threadsafe(self._finish, batch, outcomes)
            time.sleep(WINDOW)
            self._db.execute("COMMIT")
        self._db.close()
        self._mark.close()


class CarelessWriter(Writer):
    """Acknowledges whatever becomes of the commit."""

    def _commit(self, db: Any, batch: list[Job]) -> list[Any]:
        return super()._commit(_Around(db, self._try), batch)  # type: ignore[arg-type]  # it stands in for one

    @staticmethod
    def _try(db: sqlite3.Connection) -> None:
        try:
            db.execute("COMMIT")
        except sqlite3.Error:
            db.rollback()


WRITERS: Final[dict[str, type[Writer]]] = {
    "slow": SlowWriter,
    "hasty": HastyWriter,
    "careless": CarelessWriter,
    "real": Writer,
}
