"""How the followers on one node hear of what was done on another: by a notification, and by looking where none came."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.nodes.balancer import balancer
from tests.nodes.doubles import AWAY
from tests.nodes.load import load
from tests.nodes.node import Node, ask, callers, nodes
from tests.postgres import Cluster

SOON = 10.0
"""Seconds in which news comes, however it comes."""
LONG = 4.0
"""Seconds after which it will not come: several times the pause between two looks."""
LISTENING = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
"""Which connections listen: each node's holds the lock that says it lives."""
EVERY = "application_name = 'sayso'"


async def wait_for_news(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The events of run-1, once there are some."""
    reply = await api.get("/poll/human-input/run-1", params={"wait": "50"}, timeout=60)
    events: list[dict[str, Any]] = reply.json()["events"]
    return events


def cut(cluster: Cluster, which: str) -> int:
    """Ends the connections that fit this condition, and says how many there were."""
    return len(cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {which}"))  # noqa: S608


async def is_waited_for(cluster: Cluster, url: str) -> None:
    """A moment later than whatever was sent to a node before: it has looked, and waits."""
    await asyncio.sleep(1)
    assert cluster.sql("SELECT count(*) FROM sayso.events", url) == ["0"]


async def heard(
    cluster: Cluster, url: str, teller: Node, hearer: Node, *, within: float, strike: Callable[[], Any] = lambda: None
) -> bool:
    """Whether a follower on `hearer` hears of what is asked on `teller`, which dies right after it told the asker."""
    async with callers(teller.url, hearer.url) as (asker, follower):
        waiting = asyncio.create_task(wait_for_news(follower))
        try:
            await is_waited_for(cluster, url)
            await asyncio.to_thread(strike)
            asked = await ask(asker)
            await teller.kill()
            done, _ = await asyncio.wait([waiting], timeout=within)
            return bool(done) and [event["request_id"] for event in waiting.result()] == [asked["request_id"]]
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.promise("STREAM-1")
async def test_what_a_node_committed_and_told_nobody_is_found_by_looking(
    durable: Cluster, log: str, tmp_path: Path
) -> None:
    async with asyncio.timeout(90), nodes(log, tmp_path, "mute", "") as (teller, hearer):
        assert await heard(durable, log, teller, hearer, within=SOON)


async def test_a_node_that_does_not_look_hears_of_it_never(durable: Cluster, log: str, tmp_path: Path) -> None:
    """The control of the one above, and of the one below."""
    async with asyncio.timeout(90), nodes(log, tmp_path, "mute", "blind") as (teller, hearer):
        assert not await heard(durable, log, teller, hearer, within=LONG)


async def test_a_notification_is_enough(durable: Cluster, log: str, tmp_path: Path) -> None:
    async with (
        asyncio.timeout(90),
        nodes(log, tmp_path, "", "blind") as (teller, hearer),
        callers(teller.url, hearer.url) as (asker, follower),
    ):
        waiting = asyncio.create_task(wait_for_news(follower))
        await is_waited_for(durable, log)
        asked = await ask(asker)
        async with asyncio.timeout(SOON):
            assert [event["request_id"] for event in await waiting] == [asked["request_id"]]


@pytest.mark.parametrize(("double", "hears"), [("blind,late", True), ("blind,late,indifferent", False)])
async def test_whoever_could_not_listen_wakes_everybody_once_it_can(
    durable: Cluster, log: str, tmp_path: Path, double: str, hears: bool
) -> None:
    """The second is the control: another node that comes back, and wakes nobody."""

    async with asyncio.timeout(90), nodes(log, tmp_path, "mute", double) as (teller, hearer):
        within = SOON if hears else LONG
        assert await heard(durable, log, teller, hearer, within=within, strike=lambda: cut(durable, LISTENING)) is hears
    assert AWAY < LONG


@pytest.mark.promise("STREAM-1", "ANSWER-1")
async def test_connections_are_cut_again_and_again_and_everybody_goes_on(
    durable: Cluster, log: str, tmp_path: Path
) -> None:
    chance = random.Random(1)  # noqa: S311 - moments, not secrets
    async with (
        asyncio.timeout(120),
        nodes(log, tmp_path, "slow", "slow") as two,
        balancer(*(node.url for node in two)) as front,
        load(front.url, followed=[node.url for node in two]) as loaded,
    ):
        for which in (LISTENING, EVERY, LISTENING, EVERY, LISTENING):
            await loaded.some_moment(chance)
            while not await asyncio.to_thread(cut, durable, which):  # noqa: ASYNC110 - they come back from the last time
                await asyncio.sleep(0.05)
        await loaded.come_on(40)

    print(f"connections cut: {loaded}")
    loaded.check(asks=10)
