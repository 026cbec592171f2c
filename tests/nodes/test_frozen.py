"""A node that stands still (SIGSTOP) with every connection open: the others go on, and do what was its to do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.crash.doubles import WINDOW
from tests.nodes.load import load
from tests.nodes.node import Node, ask, callers, nodes
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster

WAYS: dict[str, Callable[[str, PgBouncer], str]] = {
    "straight": lambda url, _pgbouncer: url,
    "through PgBouncer": lambda url, pgbouncer: f"{pgbouncer.url(url)}?pgbouncer=true",
}
PATIENCE = 15.0
"""Seconds in which the others write again. Through PgBouncer a statement is several steps, and PostgreSQL ends a
transaction that stands still for five seconds."""
LEASE = 20.0
"""Seconds after which what one node alone does is another's, and as many again for a machine that has much to do."""


@pytest.mark.promise("ASK-1", "ANSWER-1", "STREAM-1")
@pytest.mark.parametrize("way", WAYS)
async def test_a_node_that_stands_still_while_it_writes_keeps_nobody_from_writing(
    cluster: Cluster, pgbouncer: PgBouncer, database: str, tmp_path: Path, way: str
) -> None:
    chance = random.Random(way)  # noqa: S311 - moments, not secrets
    async with (
        asyncio.timeout(180),
        nodes(WAYS[way](database, pgbouncer), tmp_path, "", "") as (still, other),
        callers(other.url) as (api,),
        load(still.url, followed=[still.url, other.url]) as loaded,
    ):
        for number in range(5):
            await loaded.come_on(20)
            await asyncio.sleep(chance.uniform(0, WINDOW))
            still.freeze()
            try:
                async with asyncio.timeout(PATIENCE):
                    for _ in range(5):
                        await ask(api, execution_id=f"meanwhile-{number}")
            finally:
                still.thaw()
        await loaded.come_on(20)

    print(f"a node stood still 5 times: {loaded}")
    loaded.check(asks=20)


async def test_a_node_that_writes_in_two_steps_is_found_out(cluster: Cluster, database: str, tmp_path: Path) -> None:
    """The control: it holds the log's lock from one step to the next, and stands still between them."""
    async with (
        asyncio.timeout(90),
        nodes(database, tmp_path, "holding", "") as (still, other),
        callers(still.url, other.url) as (first, second),
    ):
        begun = asyncio.create_task(ask(first))
        while not holds_the_log(cluster, database):  # noqa: ASYNC110 - only PostgreSQL can say
            await asyncio.sleep(0.05)
        still.freeze()
        try:
            with pytest.raises(httpx.ReadTimeout):
                await second.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"}, timeout=5)
        finally:
            await still.kill()
            await asyncio.gather(begun, return_exceptions=True)


def holds_the_log(cluster: Cluster, database: str) -> bool:
    """Whether some node is between two steps of a transaction."""
    name = database.rpartition("/")[2]
    states = cluster.sql(f"SELECT state FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
    return "idle in transaction" in states


def keeper(cluster: Cluster, made: list[Node]) -> Node | None:
    """The node that keeps the deadlines, if one of them does by now."""
    ports = cluster.sql(
        "SELECT client_port FROM pg_stat_activity JOIN pg_locks USING (pid) "
        "WHERE locktype = 'advisory' AND classid = x'53415953'::integer::oid"
    )
    return next((node for node in made for port in ports if node.owns(int(port))), None)


@pytest.mark.promise("SETTLE-3")
async def test_when_the_node_that_keeps_the_deadlines_stands_still_another_keeps_them(
    cluster: Cluster, database: str, tmp_path: Path
) -> None:
    async with asyncio.timeout(180), nodes(database, tmp_path, "", "") as two:
        while (still := keeper(cluster, two)) is None:  # noqa: ASYNC110 - only PostgreSQL can say
            await asyncio.sleep(0.1)
        (other,) = (node for node in two if node is not still)
        async with callers(still.url, other.url) as (here, there):
            early = await ask(here, execution_id="early", timeout=1)
            late = await ask(here, execution_id="late", timeout=3)
            still.freeze()
            try:
                async with asyncio.timeout(4 * LEASE):
                    for one in (early, late):
                        await runs_out(there, one["request_id"])
                assert keeper(cluster, two) is other
                assert not await is_running(still)
                soon = await ask(there, execution_id="soon", timeout=1)
                async with asyncio.timeout(2 * LEASE):
                    await runs_out(there, soon["request_id"])
            finally:
                still.thaw()
            for one in (early, late, soon):
                path = f"/poll/human-input/{one['execution_id']}"
                assert [event["seq"] for event in (await here.get(path)).json()["events"]] == [1, 2]


async def runs_out(api: httpx.AsyncClient, request_id: str) -> None:
    """Returns once that request has run out of time."""
    while True:
        reply = await api.get(f"/requests/{request_id}", headers={"Prefer": "wait=30"}, timeout=60)
        if (request := reply.json())["status"] != "pending":
            assert request["settled_by"] == "system:deadline"
            return


async def is_running(node: Node) -> bool:
    """Whether it answers."""
    async with httpx.AsyncClient(timeout=0.5) as api:
        try:
            return (await api.get(f"{node.url}/health")).is_success
        except httpx.TimeoutException:
            return False
