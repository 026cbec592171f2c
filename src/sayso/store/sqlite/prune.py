"""Removes what fell silent long ago from the SQLite store, a little at a time."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Final

from sayso.store.sql import queries
from sayso.store.sqlite.rows import ORIGIN, PRUNED_TO, pruned_position

_Q: Final = queries("sqlite")


def prune(db: sqlite3.Connection, before: str, limit: int) -> int:
    """See `Store.prune`; in a transaction of the caller's."""
    left, pruned_to = limit, 0
    while left and (quiet := db.execute(_Q["prunable"], {"before": before}).fetchone()):
        execution = {"execution_id": quiet[0]}
        left -= db.execute(_Q["prune_resumes"], execution | {"limit": left}).rowcount
        count, position = db.execute(_Q["prune_to"], execution | {"limit": left}).fetchone()
        for name in ("bury", "prune_requests", "prune_events", "prune_stream"):
            db.execute(_Q[name], execution | {"position": position})
        left -= count
        pruned_to = max(pruned_to, position or 0)
    if pruned_to:
        pruned_to = max(pruned_to, pruned_position(db))
        db.execute(_Q["set_meta"], {"key": PRUNED_TO, "value": str(pruned_to)})
        db.execute(_Q["set_meta"], {"key": ORIGIN, "value": str(uuid.uuid4())})  # the old one lies before what is gone
    if left:
        db.execute(_Q["prune_leases"], {"before": before})
    return limit - left
