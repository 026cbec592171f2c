"""Everyone who is at the server during the soak, how often they come, and how all of them leave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import httpx

from tests.soak import visitors
from tests.soak.following import ROADS, follow
from tests.soak.people import Clerk, ask_much, ask_one, ask_some
from tests.soak.world import END, PATIENCE, World

_VISITORS: Final = {
    visitors.keys: 15.0,
    visitors.tickets: 5.0,
    visitors.invited: 3.0,
    visitors.lost: 2.0,
    visitors.clumsy: 10.0,
    visitors.looks: 5.0,
    visitors.stalled: 10.0,
    visitors.slow: 5.0,
    visitors.passing: 3.0,
    ask_much: 45.0,
}
"""Mean seconds between two visits."""
_RUSH: Final = 100
"""Calls at once: more than a store has readers."""
_BREAKS: Final = (8.0, 30.0)
"""Mean seconds after which those break off who follow all executions, on each road."""


@asynccontextmanager
async def world_of(url: str, rate: float, name: str) -> AsyncIterator[World]:
    """A server, and who may do what there: `crew` asks, `ann` answers."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=20)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits, verify=False) as api:  # noqa: S501
        world = World(name, url, random.Random(name), rate, api)  # noqa: S311 - hides nothing
        for role, scopes in (("crew", ["ask"]), ("ann", ["read", "answer"])):
            made = await world.call("POST", "/keys", 201, json={"name": f"{role}-{name}", "scopes": scopes})
            world.keys[role] = made.json()["secret"]
        yield world


async def rush(world: World) -> None:
    """Many look at once: what a server makes when it is needed (threads, connections, what writes metrics) it has from
    now on."""
    await world.call("GET", "/metrics", 200)
    await asyncio.gather(*(world.call("GET", "/requests?limit=1", 200) for _ in range(_RUSH)))


async def live(world: World, seconds: float) -> None:
    """So long; returns when everyone has left. What went wrong is in `world.faults`."""
    world.enough.clear()
    async with asyncio.TaskGroup() as everyone:
        clerk = Clerk(world, everyone)
        everyone.create_task(clerk.work())  # without it nothing goes on
        for road in ROADS:
            for breaks in _BREAKS:
                everyone.create_task(world.watched(follow(world, road, None, breaks)))
        await clerk.is_there.wait()
        async with asyncio.TaskGroup() as coming:
            for visit, pause in _VISITORS.items():
                coming.create_task(world.again_and_again(partial(visit, world), pause))
            coming.create_task(_ask(world, coming))
            await asyncio.sleep(seconds)
            world.end()
        await world.watched(ask_one(world, END, fate="by HTTP"))
    assert world.faults or not world.cases, world.cases


async def _ask(world: World, tasks: asyncio.TaskGroup) -> None:
    """Executions begin, each on its own."""
    while not world.enough.is_set():
        tasks.create_task(world.watched(ask_some(world)))
        await world.rest(world.chance.expovariate(world.rate))
