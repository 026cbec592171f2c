"""The keys of the SQLite store, and the tickets that were used."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sayso.errors import StoreDamaged
from sayso.keys import Change, Key, in_order
from sayso.store.sql import queries
from sayso.store.sqlite.rows import key_of, row_of_key, time_text

logger = logging.getLogger(__name__)

_Q: Final = queries("sqlite")


def all_keys(db: sqlite3.Connection) -> Sequence[Key]:
    """See `Keys.keys`."""
    found = []
    for row in db.execute(_Q["keys"]):
        try:
            found.append(key_of(row))
        except StoreDamaged:
            logger.exception("a damaged key opens nothing")
    return in_order(found)


def change_keys(db: sqlite3.Connection, change: Callable[[Sequence[Key]], Change]) -> Change:
    """See `Keys.change_keys`; what happens within the write transaction happens alone."""
    done = change(all_keys(db))
    db.executemany(_Q["put_key"], [row_of_key(key) for key in done.put])
    db.executemany(_Q["remove_key"], [{"id": id} for id in done.removed])
    return done


def used_keys(db: sqlite3.Connection, last: Mapping[str, datetime]) -> None:
    """See `Keys.used_keys`."""
    db.executemany(_Q["use_key"], [{"id": id, "at": time_text(moment)} for id, moment in last.items()])


def redeem(db: sqlite3.Connection, ticket_id: str, until: datetime, now: datetime) -> bool:
    """See `Keys.redeem`."""
    db.execute(_Q["forget_tickets"], {"now": time_text(now)})
    return bool(db.execute(_Q["redeem_ticket"], {"id": ticket_id, "until": time_text(until)}).rowcount)
