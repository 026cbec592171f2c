"""`python -m tests.nodes.doubles DOUBLE[,…] serve …`: the command `sayso`, with one thing done otherwise.

Some widen the windows in which a test strikes; some leave out what the tests are to show, and must be found out.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

from sayso.store.changes import Changes
from sayso.store.postgres import connection as postgres_connection
from sayso.store.postgres import store as postgres_store
from sayso.store.postgres import writer as postgres_writer
from sayso.store.postgres.lane import Lane
from sayso.store.postgres.watcher import Watcher
from sayso.store.postgres.writer import Became, Writer
from sayso.store.sql import migrations
from sayso.store.sqlite import store as sqlite_store
from tests.crash.doubles import WINDOW

HELD: Final = 60.0
"""Seconds for which a transaction stays open of a node that writes in more than one step."""
AWAY: Final = 1.5
"""Seconds until a node listens again that has lost its connection."""


class SlowLane(Lane):
    """The real one, with time before a commit, and between a commit and its acknowledgement."""

    async def append(self, columns: list[list[Any]]) -> Any:
        await asyncio.sleep(WINDOW)
        rows = await super().append(columns)
        await asyncio.sleep(WINDOW)
        return rows


class HastyWriter(Writer):
    """Acknowledges long before it commits."""

    async def _commit(self, lane: Lane, batch: list[Any]) -> None:
        for item in batch:
            item.became.set_result(Became("done", None, None))
        await asyncio.sleep(10 * WINDOW)
        await super()._commit(lane, batch)


class HoldingLane(Lane):
    """Takes the lock of the feed in one step, and commits in another one."""

    async def append(self, columns: list[list[Any]]) -> Any:
        connection = await postgres_store.pool(self._address, 1)
        async with connection.acquire() as one, one.transaction():
            await one.execute("SELECT FROM sayso.feed FOR UPDATE")
            await asyncio.sleep(HELD)
        return await super().append(columns)


def _mute() -> None:
    """Commits, and tells no other process."""

    async def say(self: Watcher) -> None:
        self._unsaid = {}

    Watcher._say = say  # type: ignore[method-assign]


def _blind() -> None:
    """Never looks how far the log has come."""

    async def look(self: Watcher) -> None:
        self._looked_at = asyncio.get_running_loop().time()

    Watcher._look = look  # type: ignore[method-assign]


def _late() -> None:
    """Takes its time until it listens again."""
    connect = Watcher._connect

    async def late(self: Watcher) -> None:
        if self._tasks:
            await asyncio.sleep(AWAY)
        await connect(self)

    Watcher._connect = late  # type: ignore[method-assign]


def _indifferent() -> None:
    """Wakes nobody after it could not hear for a while."""
    Changes.add_any = lambda _self: None  # type: ignore[method-assign]


def _heedless() -> None:
    """Settles what is settled already: neither store looks whether it is pending when it writes."""
    one = "settle_request"
    sqlite_store._Q[one] = sqlite_store._Q[one].replace(" AND status = 'pending'", "")
    scripts = [(number, script.replace(" AND r.status = 'pending'", "")) for number, script in migrations("postgres")]
    postgres_connection.migrations = lambda _: scripts  # type: ignore[assignment]


def _appending_with(lane: type[Lane]) -> Callable[[], None]:
    def use() -> None:
        postgres_writer.Lane = lane  # type: ignore[misc]

    return use


def _hasty() -> None:
    postgres_store.Writer = HastyWriter  # type: ignore[misc]


DOUBLES: Final[dict[str, Callable[[], None]]] = {
    "slow": _appending_with(SlowLane),
    "hasty": _hasty,
    "holding": _appending_with(HoldingLane),
    "mute": _mute,
    "blind": _blind,
    "late": _late,
    "indifferent": _indifferent,
    "heedless": _heedless,
}

if __name__ == "__main__":
    from sayso.cli import main

    for name in sys.argv[1].split(","):
        DOUBLES[name]()
    main(sys.argv[2:])
