"""What the rows of the SQLite store mean: requests and events, with the checksum that each carries."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from sayso.errors import StoreDamaged
from sayso.keys import Key
from sayso.model import Fact, InputCompleted, InputRequired, Request
from sayso.store import Kept, mentions
from sayso.store.sql import queries
from sayso.store.sqlite.sums import row_sum
from sayso.subscription import Subscription
from sayso.wire import Event, decode_kept_subscription, decode_key, decode_request, encode

logger = logging.getLogger(__name__)

_Q: Final = queries("sqlite")
_REQUEST: Final = ("request_id", "execution_id", "status", "durable", "deadline_at", "settled_at")
"""In the order of their checksum."""
_EVENT: Final = ("execution_id", "seq", "event_id", "type", "request_id")
REQUEST_COLUMNS: Final = ", ".join((*_REQUEST, "data", "crc"))
"""In the order in which `request_of` takes them."""
ORIGIN: Final = "origin"
"""Where the meta table keeps the cursor that lies before every event that is there."""
PRUNED_TO: Final = "pruned_to"
"""Where it keeps the highest position of a pruned event."""


def row_of_request(request: Request) -> dict[str, Any]:
    data = encode(request)
    columns = {
        "request_id": request.request_id,
        "execution_id": request.execution_id,
        "status": request.status,
        "durable": int(request.durable),
        "deadline_at": request.deadline and time_text(request.deadline),
        "settled_at": request.settled_at and time_text(request.settled_at),
    }
    return columns | {"data": data, "crc": row_sum(data, *columns.values())}


def request_of(row: Sequence[Any]) -> Request:
    """Raises StoreDamaged."""
    *columns, data, crc = row
    try:
        if crc not in (None, row_sum(data, *columns)):
            raise ValueError("its checksum does not fit")
        return decode_request(data)
    except (ValueError, TypeError) as exc:
        raise StoreDamaged(f"request {columns[0]} is damaged: {exc}") from exc


def row_of_kept(request_id: str, execution_id: str, now: datetime, data: bytes) -> dict[str, Any]:
    columns = {"request_id": request_id, "execution_id": execution_id, "kept_at": time_text(now)}
    return columns | {"data": data, "crc": row_sum(data, *columns.values())}


def kept_of(row: Sequence[Any]) -> Kept:
    """Raises StoreDamaged."""
    *columns, data, crc = row
    if not isinstance(data, bytes) or crc not in (None, row_sum(data, *columns)):
        raise StoreDamaged(f"what was kept for request {columns[0]} is damaged")
    return Kept(columns[1], data)


def row_of_key(key: Key) -> dict[str, Any]:
    """But for its last use, which changes too often to be summed up."""
    data = encode(structs.replace(key, last_used_at=None))
    return {"id": key.id, "data": data, "crc": row_sum(data, key.id)}


def key_of(row: Sequence[Any]) -> Key:
    """Raises StoreDamaged."""
    id, last_used_at, data, crc = row
    try:
        if crc != row_sum(data, id):
            raise ValueError("its checksum does not fit")
        return structs.replace(decode_key(data), last_used_at=last_used_at and datetime.fromisoformat(last_used_at))
    except (ValueError, TypeError) as exc:
        raise StoreDamaged(f"key {id} is damaged: {exc}") from exc


def row_of_subscription(one: Subscription) -> dict[str, Any]:
    data = encode(one)
    return {"id": one.id, "data": data, "crc": row_sum(data, one.id)}


def subscription_of(row: Sequence[Any]) -> Subscription:
    """Raises StoreDamaged."""
    id, data, crc = row
    try:
        if crc != row_sum(data, id):
            raise ValueError("its checksum does not fit")
        return decode_kept_subscription(data)
    except (ValueError, TypeError) as exc:
        raise StoreDamaged(f"device {id} is damaged: {exc}") from exc


def row_of_event(event: Event) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in _EVENT}
    return row | {"data": event.data, "crc": _sum(event)}


def event_of(db: sqlite3.Connection, row: Sequence[Any]) -> Event:
    """A damaged event is read from its request. Raises StoreDamaged where that is damaged too."""
    *columns, crc = row
    event = Event(*columns)
    return event if _is_as_written(event, crc) else _from_request(db, event, crc)


def get_request(db: sqlite3.Connection, request_id: str) -> Request | None:
    """Raises StoreDamaged."""
    row = db.execute(_Q["get_request"], {"request_id": request_id}).fetchone()
    return request_of(row) if row else None


def meta(db: sqlite3.Connection, key: str, default: str = "") -> str:
    """What the store knows of itself."""
    row = db.execute(_Q["get_meta"], {"key": key}).fetchone()
    return str(row[0]) if row else default


def pruned_position(db: sqlite3.Connection) -> int:
    """The highest position of a pruned event. Raises StoreDamaged."""
    try:
        return int(meta(db, PRUNED_TO, "0"))
    except ValueError:
        raise StoreDamaged("it is not known what was pruned") from None


def time_text(moment: datetime) -> str:
    """Of one width, so that the order of texts is that of moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class _Searched(Struct):
    """As much of a stored request as a search looks at."""

    title: str
    prompt: str
    execution_id: str
    context_data: dict[str, Any] | None = None


_searched: Final = msgspec.json.Decoder(_Searched)


def mentioned(data: bytes, text: str) -> bool:
    """Whether the stored request mentions the text: a function of SQL."""
    try:
        return mentions(text, **structs.asdict(_searched.decode(data)))
    except (ValueError, TypeError):
        return False  # damaged; whoever lists it is told


def _is_as_written(event: Event, crc: int | None) -> bool:
    try:
        return crc in (None, _sum(event))
    except TypeError:  # bytes have become text
        return False


def _sum(event: Event) -> int:
    return row_sum(event.data, *(getattr(event, name) for name in _EVENT))


def _from_request(db: sqlite3.Connection, damaged: Event, crc: int) -> Event:
    """The event as it was written: its request holds all that it said, and the checksum proves it."""
    logger.error("an event is damaged", extra={"position": damaged.position, "execution_id": damaged.execution_id})
    request = get_request(db, damaged.request_id)
    if request is not None:
        facts: list[Fact] = [InputRequired.of(request)]
        if not request.is_open:
            facts.append(InputCompleted.of(request))
        for fact in facts:
            event = Event.of(fact, position=damaged.position, seq=damaged.seq)
            if _sum(event) == crc:
                return event
    raise StoreDamaged(f"the event at position {damaged.position} is damaged")
