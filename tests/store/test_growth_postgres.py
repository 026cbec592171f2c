"""What a call of the PostgreSQL store costs does not grow with what it holds: counted in pages that are looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from sayso.model import Request
from sayso.store.postgres import PostgresStore, connection
from tests.postgres import Cluster
from tests.store.test_growth import CALLS, LARGE, SMALL, fill

ALLOWED = 2.0
"""A tree that holds twenty times as much has a level more, so a call looks at some more pages."""
Filled = dict[int, tuple[str, list[Request]]]


class Pages:
    """How many pages the statements looked at since it was set to 0, those of functions included."""

    def __init__(self) -> None:
        self.seen = 0


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Each statement is run twice: explained, and taken back; then for good."""
    pages = Pages()
    fetch = asyncpg.Connection.fetch

    async def counting(self: Any, query: str, *values: Any, **how: Any) -> Any:
        if query.startswith(("LISTEN", "SET", "BEGIN", "SHOW")):
            return await fetch(self, query, *values, **how)
        transaction = self.transaction()
        await transaction.start()
        (row,) = await fetch(self, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *values)
        await transaction.rollback()
        plan = json.loads(row[0])[0]["Plan"]
        pages.seen += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return await fetch(self, query, *values, **how)

    monkeypatch.setattr(asyncpg.Connection, "fetch", counting)
    return pages


@pytest.fixture(scope="module")
def filled(cluster: Cluster) -> Iterator[Filled]:
    """By how much they hold: databases, and what is in them."""

    async def fill_one(url: str, count: int) -> list[Request]:
        store = PostgresStore(url)
        await store.open()
        there = await fill(store, count)
        await store.close()
        database = await asyncpg.connect(cluster.url(url.rpartition("/")[2], user="postgres"))
        await database.execute("VACUUM ANALYZE")
        await database.close()
        return there

    urls = {count: cluster.database() for count in (SMALL, LARGE)}
    yield {count: (url, asyncio.run(fill_one(url, count))) for count, url in urls.items()}
    for url in urls.values():
        cluster.drop(url)


async def costs(filled: Filled, pages: Pages) -> dict[str, tuple[int, int]]:
    """How many pages each call looks at, in the small store and in the large one."""
    found: dict[int, dict[str, int]] = {}
    for count, (url, there) in filled.items():
        store = PostgresStore(url)
        await store.open()
        found[count] = {}
        assert store._watcher is not None
        for task in store._watcher._tasks:  # it looks, too
            task.cancel()
        for name, call in CALLS.items():
            pages.seen = 0
            await call(store, there)
            found[count][name] = pages.seen
        await store.close()
    return {name: (found[SMALL][name], found[LARGE][name]) for name in CALLS}


def dearer(costs: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {name: (small, large) for name, (small, large) in costs.items() if large > ALLOWED * small + 4}


async def test_no_call_costs_more_on_a_store_that_is_twenty_times_as_large(filled: Filled, pages: Pages) -> None:
    found = await costs(filled, pages)

    assert min(small for small, _ in found.values()) > 0
    assert dearer(found) == {}


async def test_a_store_that_reads_its_tables_whole_is_found_out(
    filled: Filled, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same calls, without the indexes."""
    options = connection._options

    def without_indexes(**how: Any) -> dict[str, Any]:
        settings = {"enable_indexscan": "off", "enable_indexonlyscan": "off", "application_name": "sayso"}
        return options(**how) | {"server_settings": settings | {"enable_bitmapscan": "off"}}

    monkeypatch.setattr(connection, "_options", without_indexes)

    found = dearer(await costs(filled, pages))

    assert {"get", "list what is due", "read a run"} <= found.keys()
