"""Takes what another engine's store gives out into an empty PostgreSQL database: all of it, or nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from sayso.errors import Misconfigured, StoreFailed
from sayso.store.moving import MOVED_FROM, TABLES, Moved, Outgoing, Row, Sum, Table, Told, digested, in_chunks
from sayso.store.postgres.address import Address
from sayso.store.postgres.connection import Connection, connected, migrate
from sayso.store.postgres.watcher import NODES
from sayso.store.sql import queries

_STEP: Final = 1_000
"""Rows read back at once; their contents stay where they are."""
_BYTES: Final = frozenset({"data", "hash"})
_Q: Final = queries("postgres")


async def move_in(url: str, source: Outgoing, told: Told) -> Moved:
    """Takes everything in, reads it back, and compares the two, in one transaction: whatever breaks it off leaves the
    database as it was. What was moved here by an earlier run is only compared.

    Raises Misconfigured when the database holds something else, or is in use; StoreTooNew, StoreDamaged, StoreFailed.
    """
    address = Address.of(url)
    what = f"the move to {address.shown} broke off; when what stopped it is mended, run it again"
    async with (
        connected(address, address.session or address.url, what, patience=0) as connection,
        connection.transaction(),
    ):
        await connection.execute(_Q["move_settings"])
        await migrate(connection, address)
        await connection.execute(_Q["move_lock"])
        already = await _is_here(connection, address, source.lineage)
        told("checking the store", 0, 0)
        await source.check()
        sums = await _take(connection, source, told, is_here=already)
        await _compare(connection, address, sums, told, already=already)
        return Moved(**(await connection.fetch(_Q["move_counts"]))[0], already=already)


async def _is_here(connection: Connection, address: Address, lineage: str) -> bool:
    """Whether an earlier run has moved this store here. Raises Misconfigured where there is anything else."""
    if await connection.fetchval(_Q["move_nodes"], NODES):
        raise Misconfigured(f"{address.shown} is open in a server; stop that one first")
    if lineage and await connection.fetchval(_Q["get_meta"], MOVED_FROM) == lineage:
        return True
    for table in TABLES:
        async with aclosing(_rows(connection, table)) as rows:
            async for row in rows:
                if table.name != "feed" or any(row[:2]):  # its one row is there from the beginning
                    raise Misconfigured(f"{address.shown} is not empty (see {table.name}); move to a database that is")
    return False


async def _take(connection: Connection, source: Outgoing, told: Told, *, is_here: bool) -> dict[Table, Sum]:
    """What each table comes to where it comes from, once it is here."""
    done, total, sums = 0, source.count(), {table: Sum() for table in TABLES}
    if not is_here:
        await connection.execute(_Q["move_clear"])
        await connection.execute(_Q["move_mark"], MOVED_FROM, source.lineage)
    for table in TABLES:
        for chunk in in_chunks(row for row in source.rows(table) if table.takes(row)):
            for row in chunk:
                sums[table].add(digested(row))
            if not is_here:
                await connection.copy_records_to_table(
                    table.name, schema_name="sayso", columns=table.columns, records=chunk
                )
            done += len(chunk)
            told("moving", done, max(done, total))
    return sums


async def _compare(
    connection: Connection, address: Address, sums: dict[Table, Sum], told: Told, *, already: bool
) -> None:
    done, total = 0, sum(one.rows for one in sums.values())
    for table, expected in sums.items():
        found = Sum()
        async with aclosing(_rows(connection, table)) as rows:
            async for row in rows:
                found.add(row)
                done += 1
                if done % _STEP == 0 or done == total:
                    told("checking the copy", done, total)
        if found.value != expected.value and already:
            raise Misconfigured(
                f"{address.shown} has what was moved there before, and one of the two was used since: they differ in "
                f"{table.name}. Start servers on the database; or, to move anew, use an empty one"
            )
        if found.value != expected.value:
            raise StoreFailed(f"{address.shown} gave {table.name} back otherwise than it was given; nothing was moved")


async def _rows(connection: Connection, table: Table) -> AsyncGenerator[Row, None]:
    """What is in the database, with digests in place of contents."""
    columns = ", ".join(f"sha256({name})" if name in _BYTES else name for name in table.columns)
    text = f"SELECT {columns} FROM sayso.{table.name} ORDER BY {table.key}"  # noqa: S608 - constants
    async for row in connection.cursor(text, prefetch=_STEP):
        if table.takes(values := tuple(row)):
            yield values
