"""Lists of requests from the SQLite store. However many there are, a page costs what it holds."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from sayso.errors import StoreDamaged
from sayso.model import STATUSES, Request, Status
from sayso.store import Filter, Page, first_of
from sayso.store.sql import queries
from sayso.store.sqlite.rows import ORIGIN, REQUEST_COLUMNS, meta, request_of, time_text

logger = logging.getLogger(__name__)

_LAST: Final = 2**63 - 1
_Q: Final = queries("sqlite")
_ROW: Final = f"SELECT position, {REQUEST_COLUMNS} FROM requests WHERE position = ?"  # noqa: S608 - no input
_DATA: Final = -2
"""Where the contents lie in a row."""


def list_requests(db: sqlite3.Connection, filter: Filter, after: int, limit: int, *, newest: bool) -> Page:
    """See `Store.list`."""
    values = {
        "after": (after or _LAST) if newest else after,
        "limit": limit + 1,
        "execution_id": filter.execution_id,
        "until": filter.until,
        "due_before": filter.due_before and time_text(filter.due_before),
        "text": filter.text,
        **{f"pattern{number}": pattern for number, pattern in enumerate(filter.among or ())},
    }
    head = "head_all" if filter.execution_id is None else "head_execution"
    db.execute("BEGIN")  # one snapshot, so that the list and its head belong together
    positions = [position for (position,) in db.execute(_listing(filter, newest=newest), values)]
    rows = list(first_of((_row(db, position) for position in positions[:limit]), lambda row: len(row[_DATA])))
    last = db.execute(_Q[head], values).fetchone() or (meta(db, ORIGIN), 0)
    db.execute("COMMIT")
    return Page(
        requests=tuple(_readable(rows)),
        next=positions[len(rows) - 1] if len(positions) > len(rows) else None,
        head_event_id=last[0],
        head=last[1],
    )


def _listing(filter: Filter, *, newest: bool) -> str:
    """The statement that finds the places of what fits: each status has an index in asking order, several are merged.

    Only a text, and executions by their patterns, are looked for from request to request.
    """
    order = "position DESC" if newest else "position"
    after = "position < :after" if newest else "position > :after"
    if filter == Filter():
        positions = f"SELECT position FROM requests WHERE {after}"  # noqa: S608 - no input, here and below
    else:
        statuses = [one for one in STATUSES if filter.status is None or one in filter.status]
        each = [f"{_positions(filter, one)} AND {after} ORDER BY {order} LIMIT :limit" for one in statuses]
        positions = " UNION ALL ".join(f"SELECT * FROM ({one})" for one in each) or "SELECT NULL AS position"  # noqa: S608
    return f"SELECT position FROM ({positions} ORDER BY {order} LIMIT :limit) WHERE position IS NOT NULL"  # noqa: S608


def _row(db: sqlite3.Connection, position: int) -> tuple[Any, ...]:
    """One at a time: to put whole rows in order, SQLite would hold all of them."""
    row: tuple[Any, ...] = db.execute(_ROW, (position,)).fetchone()
    return row


def _positions(filter: Filter, status: Status) -> str:
    index = "requests_by_status" if filter.execution_id is None else "requests_of_execution"
    conditions = [f"status = '{status}'"]
    if filter.execution_id is not None:
        conditions.append("execution_id = :execution_id")
    if filter.durable is not None:
        conditions.append(f"durable = {int(filter.durable)}")
    if filter.due_before is not None:
        conditions.append("deadline_at < :due_before")
    if filter.until is not None:
        conditions.append("position <= :until")
    if filter.among is not None:  # a pattern of ours is one of SQLite's: it has neither ? nor [
        patterns = [f"execution_id GLOB :pattern{number}" for number in range(len(filter.among))]
        conditions.append(f"({' OR '.join(patterns) or 'false'})")
    if filter.text is not None:
        conditions.append("mentions(data, :text)")
    if status == "pending" and filter.execution_id is None:
        if filter.due_before is not None:
            index = "requests_due"
        elif filter.durable is False:
            index = "requests_of_process"
    return f"SELECT position FROM requests INDEXED BY {index} WHERE {' AND '.join(conditions)}"  # noqa: S608


def _readable(rows: list[tuple[Any, ...]]) -> Iterator[Request]:
    """One damaged request must not hide the others, nor keep their deadlines from being kept."""
    for position, *row in rows:
        try:
            yield request_of(row)
        except StoreDamaged:
            logger.exception("a damaged request was passed over", extra={"position": position})
