"""What a move from one engine to another takes along, and how both ends know that it is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sayso import limits

Row = tuple[Any, ...]
Told = Callable[[str, int, int], None]
"""Hears how far it has come: what is being done, how many rows are through, and of how many; 0: that is not known."""

MOVED_FROM: Final = "moved_from"
"""Where `meta` keeps which store was moved here: its lineage."""
OF_ITS_OWN: Final = frozenset(
    {"schema_version", "readable_from", "owner", "lineage", "origin", "pruned_to", MOVED_FROM}
)
"""What `meta` says of the store it lies in alone. The origin, and what was pruned, go along in the table `feed`."""
GONE: Final = 0
"""The process of every question whose own did not come along. Those that live are numbered from 1."""
_ROWS: Final = 1_000
"""Rows handed over at once, or fewer where they are large."""
_BYTES: Final = 1024 * limits.KIB
"""As large as that: much more than a row, little for a machine."""


class Table(NamedTuple):
    """`columns` as they are called where it arrives; its rows are given out in the order of `key`."""

    name: str
    key: str
    columns: tuple[str, ...]

    def takes(self, row: Sequence[Any]) -> bool:
        """Whether the row goes along."""
        return self.name != "meta" or row[0] not in OF_ITS_OWN


TABLES: Final = (
    Table("meta", "key", ("key", "value")),
    Table("feed", "position", ("position", "pruned_to", "origin")),
    Table("streams", "execution_id", ("execution_id", "last_seq", "pending", "quiet_since")),
    Table("events", "position", ("position", "execution_id", "seq", "event_id", "type", "request_id", "data")),
    Table(
        "requests",
        "position",
        (
            *("position", "request_id", "execution_id", "status", "durable"),
            *("deadline_at", "settled_at", "settled_by", "node", "data"),
        ),
    ),
    Table("tombstones", "request_id", ("request_id", "execution_id", "status", "settled_by", "settled_at")),
    Table("resumes", "request_id", ("request_id", "execution_id", "kept_at", "data")),
    Table("leases", "name", ("name", "holder", "until")),
    Table("keys", "id", ("id", "last_used_at", "data")),
    Table("tickets", "id", ("id", "until")),
    Table("audit", "execution_id, number", ("execution_id", "number", "hash", "data")),
    Table("notifiers", "name", ("name", "position", "version", "off")),
    Table("subscriptions", "id", ("id", "data")),
    Table("owed", "name, execution_id", ("name", "execution_id", "position", "attempts", "due_at", "why")),
)
"""Everything that a store holds. A migration that adds a table, or a column, adds it here, and to the statement
`move_<table>` of SQLite; a test compares this with both schemas."""


class Outgoing(Protocol):
    """A store that is given out, while nobody else has it open. `lineage`: which one it is."""

    lineage: str

    async def check(self) -> None:
        """Looks at it from end to end. Raises StoreDamaged."""

    def count(self) -> int:
        """How many rows there are, but for a few."""

    def rows(self, table: Table) -> Iterator[Row]:
        """In the order of the key, times with their zone, in the form that PostgreSQL takes. Raises StoreDamaged."""


class Moved(NamedTuple):
    """What was moved; `already`: it was there, by an earlier run."""

    executions: int
    requests: int
    pending: int
    events: int
    already: bool


class Sum:
    """What rows come to: equal for the same ones in the same order, and for no others."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()

    def add(self, row: Row) -> None:
        """`row`, with SHA-256 digests in place of its bytes."""
        self.rows += 1
        self._digest.update(repr(row).encode())

    @property
    def value(self) -> tuple[int, bytes]:
        return self.rows, self._digest.digest()


def digested(row: Row) -> Row:
    """`row` as a sum takes it."""
    return tuple(hashlib.sha256(value).digest() if isinstance(value, bytes) else value for value in row)


def in_chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Some at a time, so that many, or large ones, need little memory."""
    chunk, size = list[Row](), 0
    for row in rows:
        chunk.append(row)
        size += len(row[-1]) if isinstance(row[-1], bytes) else 0
        if len(chunk) == _ROWS or size >= _BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
