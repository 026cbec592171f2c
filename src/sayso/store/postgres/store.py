"""The store in a PostgreSQL database: any number of processes append to one log and hear of each other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

import asyncpg

from sayso import limits
from sayso.audit import Entry
from sayso.errors import NotFound, RequestMismatch, StoreFailed
from sayso.keys import Change, Key
from sayso.meters import Metric
from sayso.model import InputCompleted, InputRequired, Request
from sayso.store import SECRET_BYTES, TAKEN, AuditPlace, Filter, Hear, Kept, Located, Owed, Page, Put, Settled, Standing
from sayso.store.changes import Changes
from sayso.store.commits import Commits
from sayso.store.postgres.address import Address
from sayso.store.postgres.connection import (
    CONNECT,
    STATEMENT,
    Connection,
    failures,
    pool,
    prepare,
    statement,
    through_outages,
)
from sayso.store.postgres.gone import Gone
from sayso.store.postgres.keys import change_keys, keys_of
from sayso.store.postgres.lists import list_requests
from sayso.store.postgres.subscriptions import change_subscriptions, subscriptions_of
from sayso.store.postgres.watcher import NODES, Watcher
from sayso.store.postgres.writer import Item, Writer
from sayso.store.sql import queries
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange
from sayso.wire import Event, decode_request

T = TypeVar("T")

_READERS: Final = 8
"""Connections for reads and small writes, made when they are wanted. With those that append and the watcher's, a
process has eleven at the most."""

_Q: Final = queries("postgres")


class PostgresStore:
    """The Store and Shared protocols on the database at `url`, for which `Address.of` has the form; its tables are made
    when they are not there."""

    def __init__(self, url: str) -> None:
        self._address = Address.of(url)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._writer: Writer | None = None
        self._watcher: Watcher | None = None
        self._changes = Changes()
        self._gone = Gone()
        self._commits = Commits()

    async def open(self) -> None:
        await prepare(self._address)
        self._watcher = Watcher(self._address, self._changes)
        with failures(f"{self._address.shown} cannot be used"):
            try:
                self._pool = await pool(self._address, _READERS)
                await self._watcher.open()
            except BaseException:
                await self._let_go()
                raise
        self._writer = Writer(self._address, self._watcher.committed, self._changes.add_any, self._commits)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.shield(self._finish(writer))

    async def put(self, request: Request, fact: InputRequired) -> Put:
        became = await self._append(request, fact)
        if became.outcome == "removed":
            raise RequestMismatch(TAKEN)
        if became.stored is None:
            return Put(request, created=True)
        stored = decode_request(became.stored)
        # The same event: it was stored the first time, and an outage swallowed the word of it.
        return Put(stored, created=stored.asked_event_id == request.asked_event_id)

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        became = await self._append(request, fact)
        if became.outcome == "unknown":
            raise NotFound
        if became.stored is None:
            return Settled(request, won=True)
        stored = decode_request(became.stored)
        return Settled(stored, won=stored.settled_event_id == request.settled_event_id)

    async def get(self, request_id: str) -> Request | None:
        data = await self._value("get_request", request_id)
        return None if data is None else decode_request(data)

    async def list(self, filter: Filter, *, after: int = 0, limit: int, newest: bool = False) -> Page:
        page = await self._with(
            lambda connection: list_requests(connection, filter, after, limit, newest=newest),
            is_one=filter.text is None,
        )
        if self._watcher is not None:
            self._watcher.saw(page.head, page.head_event_id)
        return page

    async def locate(self, event_id: str) -> Located | None:
        rows = await self._rows("locate", event_id)
        return Located(*rows[0]) if rows else None

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        which, *values = ("",) if execution_id is None else (_OF_EXECUTION[open_only], execution_id)
        text = _Q["read_open" if open_only else "read"].format(which=which)
        rows = await self._run(text, after, limit, limits.BATCH, *values)
        events = [Event(*row) for row in rows]
        if events and self._watcher is not None:
            self._watcher.saw(events[-1].position, events[-1].event_id)
        return events

    async def audit(self, execution_id: str | None, *, after: AuditPlace, limit: int) -> Sequence[Entry]:
        if execution_id is None:
            rows = await self._rows("audit_all", after.execution_id, after.number, limit)
        else:
            rows = await self._rows("audit_execution", execution_id, after.number, limit)
        return [Entry(*row) for row in rows]

    async def keep(self, execution_id: str, request_id: str, data: bytes, now: datetime) -> None:
        await self._rows("keep", request_id, execution_id, now, data)

    async def kept(self, request_id: str) -> Kept | None:
        rows = await self._rows("get_resume", request_id)
        return Kept(*rows[0]) if rows else None

    async def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        return bool(await self._rows("take_lease", name, holder, until, now))

    async def release(self, name: str, holder: str) -> None:
        await self._rows("release_lease", name, holder)

    def listen(self, hear: Hear) -> None:
        self._changes.hear = hear

    def metrics(self) -> Iterator[Metric]:
        return self._commits.read()

    async def prune(self, before: datetime, *, limit: int) -> int:
        return int(await self._value("prune", before, limit))

    async def pending(self) -> Mapping[tuple[str, str], int]:
        return {(by, execution_id): number for by, execution_id, number in await self._rows("count_pending")}

    async def count_open(self, most: int) -> int:
        return int(await self._value("count_open", most))

    async def remains(self, request_id: str) -> Request | None:
        rows = await self._rows("get_tombstone", request_id)
        return Request.removed(*rows[0]) if rows else None

    async def secret(self, name: str) -> bytes:
        key = f"secret:{name}"
        await self._rows("make_secret", key, secrets.token_hex(SECRET_BYTES))
        return bytes.fromhex(await self._value("get_meta", key))

    async def keys(self) -> Sequence[Key]:
        return keys_of(await self._rows("keys"))

    async def change_keys(self, change: Callable[[Sequence[Key]], Change]) -> Change:
        return await self._with(lambda connection: change_keys(connection, change), is_one=False)

    async def used_keys(self, last: Mapping[str, datetime]) -> None:
        await self._rows("use_keys", list(last), list(last.values()))

    async def redeem(self, ticket_id: str, until: datetime, now: datetime) -> bool:
        return bool(await self._rows("redeem", ticket_id, until, now))

    async def begin_notifier(self, name: str) -> Standing:
        rows = await self._rows("get_notifier", name)
        if not rows:
            await self._rows("begin_notifier", name)
            rows = await self._rows("get_notifier", name)
        return Standing(*rows[0])

    async def owed(self, name: str, executions: Sequence[str] | None = None, *, limit: int = 0) -> Sequence[Owed]:
        if executions is None:
            rows = await self._rows("owed_by_time", name, limit)
        else:
            rows = await self._rows("owed_of", name, list(executions))
        return [Owed(*row) for row in rows]

    async def advance_notifier(
        self, name: str, now: Standing, *, owed: Sequence[Owed] = (), done: Sequence[str] = ()
    ) -> bool:
        columns = [list(column) for column in zip(*owed, strict=True)] or [[]] * len(Owed._fields)
        step = (name, now.version, now.position, now.off, list(done))
        return bool(await self._value("advance_notifier", *step, *columns))

    async def replay_notifier(self, name: str, position: int, now: datetime) -> None:
        await self._rows("replay_notifier", name, position, now)

    async def subscriptions(self) -> Sequence[Subscription]:
        return subscriptions_of(await self._rows("subscriptions"))

    async def change_subscriptions(self, change: SubscriptionsChange) -> SubscriptionChange:
        return await self._with(lambda connection: change_subscriptions(connection, change), is_one=False)

    def holds(self, duty: str) -> bool:
        return self._watcher is not None and self._watcher.holds(duty)

    @property
    def era(self) -> int:
        return 0 if self._watcher is None else self._watcher.era

    async def orphans(self, limit: int) -> Sequence[Request]:
        if self._address.session is None:
            return []  # no process has a lock there
        rows = await self._rows("gone_nodes", NODES)
        gone = self._gone.seen((row["node"] for row in rows), asyncio.get_running_loop().time())
        return [decode_request(row["data"]) for row in await self._rows("orphans", gone, limit)] if gone else []

    async def _append(self, request: Request, fact: InputRequired | InputCompleted) -> Any:
        if self._writer is None or self._watcher is None:
            raise StoreFailed("the store is closed")
        node = None if self._address.session is None else self._watcher.node
        return await self._writer.append(Item.of(request, fact, node))

    async def _value(self, name: str, *values: Any) -> Any:
        rows = await self._rows(name, *values)
        return rows[0][0] if rows else None

    async def _rows(self, name: str, *values: Any) -> Sequence[Any]:
        return await self._run(_Q[name], *values)

    async def _run(self, text: str, *values: Any) -> Sequence[Any]:
        return await self._with(lambda connection: connection.fetch(text, *values))

    async def _with(self, use: Callable[[Connection], Awaitable[T]], *, is_one: bool = True) -> T:
        """What `use`, which is safe to repeat, gives on a connection of the pool. `is_one`: it is a single statement;
        otherwise it makes a transaction of its own."""
        if self._writer is None or self._pool is None:
            raise StoreFailed("the store is closed")
        idle = self._pool

        async def once() -> T:
            async with (
                idle.acquire(timeout=STATEMENT) as connection,
                statement(connection, is_pooled=is_one and self._address.is_pooled),
            ):
                return await use(connection)

        with failures():
            return await through_outages(once)

    async def _finish(self, writer: Writer) -> None:
        await writer.close()
        await self._let_go()

    async def _let_go(self) -> None:
        if self._watcher is not None:
            await self._watcher.close()
        if self._pool is not None:
            with suppress(Exception):
                async with asyncio.timeout(CONNECT):
                    await self._pool.close()
            self._pool.terminate()


_OF_EXECUTION: Final = {False: "execution_id = $4 AND", True: "r.execution_id = $4 AND"}
