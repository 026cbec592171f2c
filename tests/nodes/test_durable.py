"""What a store in PostgreSQL acknowledged is on the disk, whatever the database's own setting is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sayso.keys import KeyWanted, created
from sayso.store import Kept
from sayso.store.postgres import PostgresStore
from tests.builders import NOW, answered, asked, completed, request
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster


@pytest.fixture
def hasty() -> Iterator[Cluster]:
    """PostgreSQL that acknowledges early whatever does not ask for more, and takes long to write that to the disk."""
    cluster = Cluster(synchronous_commit="off", wal_writer_delay="10s")
    yield cluster
    cluster.close()


@pytest.fixture(params=["straight", "through PgBouncer"])
def url(request: pytest.FixtureRequest, hasty: Cluster) -> Iterator[str]:
    database = hasty.database()
    if request.param == "straight":
        yield database
        return
    pgbouncer = PgBouncer(hasty)
    yield f"{pgbouncer.url(database)}?pgbouncer=true"
    pgbouncer.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    async with asyncio.timeout(60):
        await store.open()
        try:
            yield store
        finally:
            await store.close()


AGENT = KeyWanted(name="agent", scopes=("ask",), executions=("run-*",))


async def test_each_thing_outlives_a_kill_right_after_it(hasty: Cluster, url: str) -> None:
    pending = request()
    async with opened(url) as store:
        hasty.kill()  # whoever makes the tables waits for the disk, too
        hasty.start()
        await store.put(pending, asked(pending))
        hasty.kill()
        hasty.start()
        assert await store.get(pending.request_id) == pending

        done = answered(pending)
        await store.settle(done, completed(done))
        hasty.kill()
        hasty.start()
        assert await store.get(pending.request_id) == done

        await store.keep("run-1", "draft", b"kept", NOW)
        hasty.kill()
        hasty.start()
        assert await store.kept("draft") == Kept("run-1", b"kept")

        await store.change_keys(lambda there: created(there, AGENT, id="id", hash="hash", now=NOW))
        hasty.kill()
        hasty.start()
        assert [key.name for key in await store.keys()] == ["agent"]

        assert await store.redeem("ticket", NOW + timedelta(minutes=1), NOW)
        hasty.kill()
        hasty.start()
        assert not await store.redeem("ticket", NOW + timedelta(minutes=1), NOW)

        secret = await store.secret("session")
        hasty.kill()
        hasty.start()
        assert await store.secret("session") == secret


async def test_this_postgres_forgets_what_does_not_ask_to_be_written(hasty: Cluster) -> None:
    """The control."""
    url = hasty.database()
    hasty.sql("CREATE TABLE facts (number integer)", url)
    hasty.sql("CHECKPOINT")
    hasty.sql("INSERT INTO facts VALUES (1)", url)

    hasty.kill()
    hasty.start()

    assert hasty.sql("SELECT * FROM facts", url) == []
