"""The stores that keep the same promises: a new one is one more row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sayso.store import Store
from sayso.store.memory import MemoryStore
from sayso.store.postgres import PostgresStore
from sayso.store.sqlite import SQLiteStore
from tests.pgbouncer import PgBouncer


def _in_memory(_request: pytest.FixtureRequest) -> Store:
    return MemoryStore()


def _in_sqlite(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path")
    return SQLiteStore(folder / "contract.db")


def _in_postgres(request: pytest.FixtureRequest) -> Store:
    return PostgresStore(request.getfixturevalue("database"))


def _through_pgbouncer(request: pytest.FixtureRequest) -> Store:
    """With nothing beside it: LISTEN and locks that last are not to be had, and the store looks instead."""
    pgbouncer: PgBouncer = request.getfixturevalue("pgbouncer")
    return PostgresStore(f"{pgbouncer.url(request.getfixturevalue('database'))}?pgbouncer=true")


@pytest.fixture(autouse=True)
def _whole(whole_reads: None) -> None:
    """Where a test is about pages, it says how large they are."""


STORES: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "memory": _in_memory,
    "sqlite": _in_sqlite,
    "postgres": _in_postgres,
    "pgbouncer": _through_pgbouncer,
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each store in turn, open and empty."""
    opened = STORES[request.param](request)
    await opened.open()
    yield opened
    await opened.close()
