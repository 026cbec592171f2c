"""The audit in the SQLite store: appends entries to their chains, and reads them back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from sayso.audit import FIRST, Draft, Entry
from sayso.store import AuditPlace
from sayso.store.sql import queries

_Q: Final = queries("sqlite")


def append_entries(db: sqlite3.Connection, notes: Sequence[Draft]) -> None:
    """Puts each note at the end of its chain, in a transaction of the caller's.

    However many there are, their chains are looked up at once: a statement for each would cost more than all the rest.
    """
    if not notes:
        return
    ids = json.dumps([*{note.execution_id for note in notes}])
    last: dict[str, tuple[int, bytes | None]]
    last = {id: (number, hash) for id, number, hash in db.execute(_Q["last_entries"], {"execution_ids": ids})}
    entries = []
    for note in notes:
        entry = note.after(*last.get(note.execution_id, (0, None)))
        last[note.execution_id] = (entry.number, entry.hash)
        entries.append(vars(entry))
    db.executemany(_Q["append_entry"], entries)


def read_entries(db: sqlite3.Connection, execution_id: str | None, after: AuditPlace, limit: int) -> Sequence[Entry]:
    """See `Store.audit`."""
    place = {"execution_id": after.execution_id, "number": after.number, "limit": limit}
    if execution_id is None:
        return [Entry(*row) for row in db.execute(_Q["audit_all"], place)]
    return [Entry(*row) for row in db.execute(_Q["audit_execution"], place | {"execution_id": execution_id})]


def check_entries(db: sqlite3.Connection) -> Iterator[str]:
    """What is wrong in the audit: of each chain, the first entry that changed, or is missing before others."""
    chain, number, previous, is_whole = "", 0, FIRST, True
    for row in db.execute(_Q["audit_all"], {"execution_id": "", "number": 0, "limit": -1}):
        entry = Entry(*row)
        if entry.execution_id != chain:
            chain, number, previous, is_whole = entry.execution_id, 0, FIRST, True
        if is_whole and not entry.follows(number + 1, previous):
            is_whole = False
            yield f"the audit of execution {chain} is damaged: entry {entry.number} does not follow on entry {number}"
        number, previous = entry.number, entry.hash.hex()
