"""Many write at once, think while they do, and some take it back; whoever reads on from where it was misses nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
import pytest

from sayso.store.postgres import PostgresStore
from sayso.store.postgres.writer import Item
from sayso.store.sql import queries
from tests.builders import asked, request

pytestmark = pytest.mark.usefixtures("whole_reads")

WRITERS: Final = 50
EACH: Final = 20
"""Transactions of each writer."""
LIMIT: Final = 7
"""Rows that a reader takes at once."""
BACK: Final = 0.2
"""The share of what is taken back."""

TRIES: Final = 5
"""A machine with much else to do may let one reader be so late that it misses nothing."""

Write = Callable[["asyncpg.Connection[asyncpg.Record]", str], Awaitable[object]]
Read = Callable[[int], Awaitable[Sequence[tuple[int, str]]]]
"""The next rows after a position: where each lies, and its name."""


async def seen_and_kept(url: str, write: Write, read: Read) -> tuple[list[str], set[str]]:
    """What a reader saw, row by row, while everyone wrote; and what was committed."""
    kept: set[str] = set()
    seen: list[str] = []
    over = asyncio.Event()

    async def writer(number: int, stack: AsyncExitStack) -> None:
        chance = random.Random(number)  # noqa: S311 - moments, not secrets
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        for turn in range(EACH):
            name = f"{number}-{turn}"
            transaction = connection.transaction()
            await transaction.start()
            await write(connection, name)
            await asyncio.sleep(chance.expovariate(1_000))
            if chance.random() < BACK:
                await transaction.rollback()
            else:
                await transaction.commit()
                kept.add(name)
            await asyncio.sleep(chance.uniform(0, 0.02))

    async def reader() -> None:
        position = 0
        while True:
            was_over = over.is_set()
            rows = await read(position)
            if not rows and was_over:
                return
            seen.extend(name for _, name in rows)
            position = rows[-1][0] if rows else position
            await asyncio.sleep(0)

    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        tasks.create_task(reader())
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(writer(number, stack) for number in range(WRITERS)))
        over.set()
    return seen, kept


@pytest.mark.promise("STREAM-1")
async def test_no_tail_of_the_log_misses_what_fifty_writers_commit(database: str) -> None:
    store, other = PostgresStore(database), PostgresStore(database)
    append = queries("postgres")["append"]

    async def write(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
        one = request(request_id=name, execution_id=f"run-{name[-1]}")
        await connection.fetch(append, *([value] for value in Item.of(one, asked(one), 0).row))

    async def read(position: int) -> Sequence[tuple[int, str]]:
        return [(event.position, event.request_id) for event in await store.read(None, after=position, limit=LIMIT)]

    async def put(number: int) -> None:
        for turn in range(EACH):
            one = request(request_id=f"store-{number}-{turn}", execution_id=f"run-{turn % 10}")
            await (store, other)[number % 2].put(one, asked(one))

    await store.open()
    await other.open()
    try:
        async with asyncio.TaskGroup() as tasks:
            putting = [tasks.create_task(put(number)) for number in range(4)]
            watched = tasks.create_task(seen_and_kept(database, write, read))
            await asyncio.gather(*putting)
        seen, kept = watched.result()
        seen = [name for name in seen if not name.startswith("store-")]
        assert len(seen) == len(set(seen))
        assert set(seen) == kept
        assert 0.7 * WRITERS * EACH < len(kept) < WRITERS * EACH
        log = await store.read(None, after=0, limit=10_000)
        assert [event.position for event in log] == list(range(1, len(kept) + 4 * EACH + 1))
    finally:
        await store.close()
        await other.close()


async def test_a_reader_of_numbers_from_a_sequence_is_found_out(database: str) -> None:
    """The control: the same writers and reader, and a column that counts by itself."""
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE naive (position bigserial PRIMARY KEY, name text NOT NULL)")

    async def write(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
        await connection.execute("INSERT INTO naive (name) VALUES ($1)", name)

    async def read(position: int) -> Sequence[tuple[int, str]]:
        rows = await connection.fetch(
            "SELECT position, name FROM naive WHERE position > $1 ORDER BY position LIMIT $2", position, LIMIT
        )
        return [(row["position"], row["name"]) for row in rows]

    for _ in range(TRIES):
        seen, kept = await seen_and_kept(database, write, read)
        missed = kept - set(seen)
        print(f"a sequence: {len(missed)} of {len(kept)} missed")
        if missed:
            break
        await connection.execute("TRUNCATE naive RESTART IDENTITY")
    await connection.close()
    assert missed
