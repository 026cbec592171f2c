"""Nodes and their PostgreSQL end, are killed and start again while agents, people and followers go on: what was
acknowledged is there, once, and no follower has a gap or a repeat.

SAYSO_ROUNDS says how often each is harmed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.nodes.balancer import balancer
from tests.nodes.load import Load, load
from tests.nodes.node import nodes
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster

_ROUNDS = os.environ.get("SAYSO_ROUNDS")
ENDS: dict[str, Callable[[Cluster], None]] = {"stopped": Cluster.stop, "killed": Cluster.kill}


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """PostgreSQL that acknowledges early whatever does not ask for more, and takes long to write that to the disk."""
    cluster = Cluster(synchronous_commit="off", wal_writer_delay="10s")
    yield cluster
    cluster.close()


@contextmanager
def reached(cluster: Cluster, database: str, way: str) -> Iterator[str]:
    """The store's URL, where nodes reach that database in this way."""
    if way == "straight":
        yield database
        return
    pgbouncer = PgBouncer(cluster)
    yield f"{pgbouncer.url(database)}?pgbouncer=true&direct=127.0.0.1:{cluster.port}"
    pgbouncer.close()


async def harmed_postgres(
    cluster: Cluster, url: str, folder: Path, end: str, rounds: int, *, followed: bool = True
) -> Load:
    """What comes of it when PostgreSQL ends so often, and starts again."""
    chance = random.Random(end)  # noqa: S311 - moments, not secrets
    async with (
        asyncio.timeout(60 + 20 * rounds),
        nodes(url, folder, "slow", "slow") as two,
        balancer(*(node.url for node in two)) as front,
        load(front.url, followed=[node.url for node in two if followed]) as loaded,
    ):
        for _ in range(rounds):
            await loaded.some_moment(chance)
            await asyncio.to_thread(ENDS[end], cluster)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await asyncio.to_thread(cluster.start)
        await loaded.come_on(40)
    print(f"PostgreSQL {end} {rounds} times: {loaded}")
    return loaded


async def killed_nodes(url: str, folder: Path, double: str, rounds: int) -> Load:
    """What comes of it when one of two nodes is killed so often, and starts again."""
    chance = random.Random(rounds)  # noqa: S311 - moments, not secrets
    async with (
        asyncio.timeout(60 + 10 * rounds),
        nodes(url, folder, double, double) as two,
        balancer(*(node.url for node in two)) as front,
        load(front.url, followed=[front.url, *(node.url for node in two)]) as loaded,
    ):
        for _ in range(rounds):
            await loaded.some_moment(chance)
            node = chance.choice(two)
            await node.kill()
            await node.start()
        await loaded.come_on(40)
    print(f"a node killed {rounds} times: {loaded}")
    return loaded


@pytest.mark.promise("ASK-1", "ANSWER-1", "ANSWER-2", "STREAM-1", "STREAM-2")
@pytest.mark.parametrize(
    ("end", "way"), [("stopped", "straight"), ("killed", "straight"), ("killed", "through PgBouncer")]
)
async def test_postgres_starts_again_and_everybody_goes_on(
    durable: Cluster, log: str, tmp_path: Path, end: str, way: str
) -> None:
    rounds = int(_ROUNDS or 3)
    with reached(durable, log, way) as url:
        (await harmed_postgres(durable, url, tmp_path, end, rounds)).check(asks=2 * rounds)


@pytest.mark.promise("ASK-1", "ANSWER-1", "ANSWER-2", "STREAM-1", "STREAM-2")
async def test_nodes_are_killed_one_after_the_other_and_everybody_goes_on(log: str, tmp_path: Path) -> None:
    rounds = int(_ROUNDS or 5)
    (await killed_nodes(log, tmp_path, "slow", rounds)).check(asks=2 * rounds)


@pytest.mark.promise("STREAM-2", "STREAM-9")
@pytest.mark.parametrize("way", ["straight", "through PgBouncer"])
async def test_a_rolling_restart_is_noticed_by_nobody(durable: Cluster, log: str, tmp_path: Path, way: str) -> None:
    with reached(durable, log, way) as url:
        async with (
            asyncio.timeout(120),
            nodes(url, tmp_path, "", "", "") as three,
            balancer(*(node.url for node in three)) as front,
            load(front.url, followed=[front.url, front.url, *(node.url for node in three)]) as loaded,
        ):
            for node in three:
                await loaded.come_on(60)
                await node.stop()
                await loaded.come_on(60)
                await node.start()
            await loaded.come_on(60)

    print(f"three nodes restarted one after the other: {loaded}")
    loaded.check(asks=50)


# Controls: the same, where something is acknowledged too early


async def test_a_postgres_that_is_not_asked_to_write_at_once_is_found_out(
    durable: Cluster, log: str, tmp_path: Path
) -> None:
    async with nodes(log, tmp_path, ""):
        pass  # which makes the tables
    durable.sql(
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('sayso.append_2'::regproc), '''off''', '''never'''); END $$",
        log,
    )
    durable.sql("CHECKPOINT")
    # Whoever followed what is lost then is told nothing more, or a reset: the log goes back.
    assert (await harmed_postgres(durable, log, tmp_path, "killed", 3, followed=False)).lost


async def test_nodes_that_acknowledge_before_they_commit_are_found_out(log: str, tmp_path: Path) -> None:
    assert (await killed_nodes(log, tmp_path, "hasty", 5)).lost
