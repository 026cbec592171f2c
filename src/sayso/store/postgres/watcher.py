"""What other processes do to the same database, and which work is this one's: one connection that lives as long as the
store is open."""

from __future__ import annotations

import asyncio
import logging
import secrets
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from sayso.store.changes import Changes
from sayso.store.postgres.address import Address
from sayso.store.postgres.connection import CONNECT, Own, connect, statement
from sayso.store.postgres.hints import read, written
from sayso.store.sql import queries

logger = logging.getLogger(__name__)

CHANNEL: Final = "sayso"
_POLL: Final = 1.0
"""Seconds between two looks at how far the log has come, whatever was told meanwhile."""
_ANSWER: Final = 5.0
"""Seconds until a look that is not answered counts as a lost connection."""
IDLE: Final = 15
"""Seconds after which PostgreSQL ends a session that has not looked: its process stands still, or is out of reach. Its
locks are free then. Longer than this process goes on believing in them (_POLL + _ANSWER)."""
_PAUSE: Final = 0.5
"""Seconds between two attempts to connect again."""
_CHANGED: Final = 10_000
"""Executions named one by one after a look; with more, everyone is woken."""
_SHOWN: Final = 1_000
"""Events that were shown between two looks, and are looked for: the first ones, which a fail-over loses last."""
_DUTIES: Final = 0x5341_5953
NODES: Final = 0x5341_5954
"""The spaces of the advisory locks: what is one process's to do, and which processes live."""

_Q: Final = queries("postgres")
_Lock = tuple[int, int]
"""An advisory lock: its space, and its number there."""


class Watcher:
    """Hears of other processes' commits and tells them of this one's; holds the locks of what this process does.

    `node`: this process among those on the database. What came is told to `changes`.
    """

    def __init__(self, address: Address, changes: Changes) -> None:
        self._address = address
        self._url = address.session
        self._changes = changes
        self.node: Final = secrets.randbelow(2**31 - 1) + 1
        self._connection: Own | None = None
        self._in_use = asyncio.Lock()
        self._looked_at = float("-inf")
        self._position = 0
        self._shown: dict[int, str] = {}
        self.era = 0
        """Grows when the log is found to have gone back, as after a fail-over to a database that lacked its end."""
        self._told: dict[str, int] = {}
        self._unsaid: dict[str, int] = {}
        self._news = asyncio.Event()
        self._look_now = asyncio.Event()
        self._wanted: set[_Lock] = {(NODES, self.node)}
        self._held: set[_Lock] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Raises what PostgreSQL does."""
        await self._connect()
        self._position = await self._fetchval("last_position")
        self._tasks = [
            asyncio.create_task(self._watch(), name="sayso-watch"),
            asyncio.create_task(self._notify(), name="sayso-notify"),
        ]

    async def close(self) -> None:
        """What was committed is still told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Exception):
            while self._unsaid:
                await self._say()
        await self._let_go()

    def committed(self, came: Mapping[str, int]) -> None:
        """This process has appended to these executions, up to these positions."""
        self._changes.add(*came)
        self._told.update(came)
        self._unsaid.update(came)
        self._news.set()

    def saw(self, position: int, event_id: str) -> None:
        """Somebody was shown this event, or told that it is the last: it is looked for, once more at least."""
        if len(self._shown) < _SHOWN:
            self._shown.setdefault(position, event_id)

    def holds(self, duty: str) -> bool:
        """Whether the work called `duty` is this process's at present; from the first time on it tries to have it."""
        if self._url is None:
            return True  # no lock lasts there: everyone does everything, and what is done twice takes effect once
        lock = (_DUTIES, _key(duty))
        if lock not in self._wanted:
            self._wanted.add(lock)
            self._look_now.set()
        looked_ago = asyncio.get_running_loop().time() - self._looked_at
        return lock in self._held and looked_ago < _POLL + _ANSWER

    async def _watch(self) -> None:
        while True:
            try:
                if self._connection is None:
                    await self._connect()
                    self._changes.add_any()  # whatever was told meanwhile
                await self._look()
                await self._take_locks()
            except Exception as exc:
                logger.warning("PostgreSQL cannot be watched, trying again: %r", exc)
                await self._let_go()
                await asyncio.sleep(_PAUSE)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await self._look_now.wait()
                self._look_now.clear()

    async def _connect(self) -> None:
        connection = await connect(self._url or self._address.url, is_pooled=self._url is None)
        self._connection = connection
        if self._url is None:
            return
        await connection.execute(f"SET idle_session_timeout = '{IDLE}s'")
        connection.add_termination_listener(self._lost)
        await connection.add_listener(CHANNEL, self._hear)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            with suppress(Exception):
                await connection.close(timeout=CONNECT)
            connection.terminate()

    async def _fetch(self, name: str, *values: Any) -> list[Any]:
        """One statement on the connection, which takes one at a time. Raises ConnectionError where there is none."""
        async with self._in_use:
            if self._connection is None:
                raise ConnectionError("the connection to PostgreSQL is lost")
            async with asyncio.timeout(_ANSWER), statement(self._connection, is_pooled=self._url is None):
                return await self._connection.fetch(_Q[name], *values)

    async def _fetchval(self, name: str, *values: Any) -> Any:
        return (await self._fetch(name, *values))[0][0]

    async def _look(self) -> None:
        """The log is the truth: what was committed and not told is found here."""
        shown = dict(self._shown)
        position = await self._fetchval("last_position")
        self._looked_at = asyncio.get_running_loop().time()
        there = dict(await self._fetch("ids_at", list(shown)))
        furthest = max(shown, default=0)
        if position < furthest or any(there.get(one, event_id) != event_id for one, event_id in shown.items()):
            logger.error("the log has gone back; followers are told to begin anew", extra={"position": position})
            self.era += 1
            self._shown.clear()
            self._told.clear()
            self._changes.add_any()
        elif position > self._position:
            rows = await self._fetch("changed", self._position, position, _CHANGED + 1)
            if len(rows) > _CHANGED:
                self._changes.add_any()
            else:
                self._changes.add(*(id for id, last in rows if last > self._told.get(id, 0)))
            self._told = {id: last for id, last in self._told.items() if last > position}
        self._position = position
        for one in shown:
            if one < furthest:
                self._shown.pop(one, None)

    async def _take_locks(self) -> None:
        for lock in sorted(self._wanted - self._held):
            if self._url is not None and await self._fetchval("try_lock", *lock):
                self._held.add(lock)

    def _lost(self, connection: object) -> None:
        """Called by asyncpg on this loop."""
        if connection is self._connection:
            self._connection = None
            self._held.clear()
            self._look_now.set()

    def _hear(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        """Called by asyncpg on this loop."""
        node, came = read(str(payload))
        if node == self.node:
            return
        if came is None:
            self._changes.add_any()
        else:
            self._told.update(came)
            self._changes.add(*came)

    async def _notify(self) -> None:
        """Says what was committed, gathered while the last notification was on its way."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._say()
            except Exception as exc:  # others find it by looking
                logger.warning("other processes were not notified: %r", exc)

    async def _say(self) -> None:
        came, self._unsaid = self._unsaid, {}
        for payload in written(self.node, came):
            await self._fetch("notify", payload)


def _key(duty: str) -> int:
    """A signed 32-bit number, as PostgreSQL's advisory locks have them."""
    return zlib.crc32(duty.encode()) - 2**31
