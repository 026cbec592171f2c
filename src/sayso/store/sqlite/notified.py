"""How far each notifier has come, in the SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sayso.store import Owed, Standing
from sayso.store.sql import queries
from sayso.store.sqlite.rows import time_text

_Q: Final = queries("sqlite")


def standing(db: sqlite3.Connection, name: str) -> Standing | None:
    """Where it stands; None for one that has not begun."""
    row = db.execute(_Q["get_notifier"], {"name": name}).fetchone()
    return Standing(*row) if row else None


def begin(db: sqlite3.Connection, name: str) -> Standing:
    """See `Notified.begin_notifier`."""
    db.execute(_Q["begin_notifier"], {"name": name})
    return Standing(*db.execute(_Q["get_notifier"], {"name": name}).fetchone())


def owed_of(db: sqlite3.Connection, name: str, executions: Sequence[str]) -> Sequence[Owed]:
    """See `Notified.owed`."""
    found = (db.execute(_Q["owed_of"], {"name": name, "execution_id": id}).fetchone() for id in executions)
    return [_owed(row) for row in found if row]


def owed_soon(db: sqlite3.Connection, name: str, limit: int) -> Sequence[Owed]:
    """See `Notified.owed`."""
    return [_owed(row) for row in db.execute(_Q["owed_by_time"], {"name": name, "limit": limit})]


def advance(db: sqlite3.Connection, name: str, now: Standing, owed: Sequence[Owed], done: Sequence[str]) -> bool:
    """See `Notified.advance_notifier`."""
    step = {"name": name, "version": now.version, "position": now.position, "off": now.off}
    if not db.execute(_Q["advance_notifier"], step).rowcount:
        return False
    db.executemany(_Q["remove_owed"], [{"name": name, "execution_id": id} for id in done])
    db.executemany(_Q["put_owed"], [one._asdict() | {"name": name, "due_at": time_text(one.due_at)} for one in owed])
    return True


def replay(db: sqlite3.Connection, name: str, position: int, now: datetime) -> None:
    """See `Notified.replay_notifier`."""
    step = {"name": name, "since": position, "now": time_text(now)}
    db.execute(_Q["replay_notifier"], step)
    db.execute(_Q["replay_owed"], step)


def _owed(row: Any) -> Owed:
    execution_id, position, attempts, due_at, why = row
    return Owed(execution_id, position, attempts, datetime.fromisoformat(due_at), why)
