"""A node behind a proxy dies, or is told to end: whoever follows goes on, and in an orderly end no call fails."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import httpx
import psutil
import pytest

from sayso import AsyncClient
from sayso.model import Question
from tests.builders import new_id
from tests.conftest import KEY
from tests.deploy.conftest import Node, Site

_FOLLOWERS = 8
_QUESTIONS = 120


def carries(node: Node) -> bool:
    """Whether a connection to that node is open."""
    return any(
        one.laddr.port == node.port and one.status == psutil.CONN_ESTABLISHED for one in psutil.net_connections("tcp4")
    )


async def follow(client: AsyncClient, execution_id: str, last: int) -> list[int]:
    """The numbers of the events up to `last`, as they came."""
    seen: list[int] = []
    events = client.follow(execution_id)
    async for event in events:
        seen.append(event.seq)
        if event.seq == last:
            break
    await events.aclose()
    return seen


async def ask_all(client: AsyncClient, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Asks one question after the other; `meanwhile` comes in between."""
    for number in range(_QUESTIONS):
        if number == _QUESTIONS // 3:
            await meanwhile()
        await client.ask(Question(execution_id="run-1", prompt=f"question {number}"))


@pytest.mark.promise("STREAM-1", "STREAM-2")
async def test_followers_miss_nothing_and_see_nothing_twice_when_a_node_is_killed(site: Site) -> None:
    async def kill() -> None:
        assert all(carries(node) for node in site.nodes)
        site.nodes[0].kill()

    async with asyncio.timeout(120), AsyncClient(site.proxy.url, KEY, patience=60) as client:
        followers = [asyncio.create_task(follow(client, "run-1", _QUESTIONS)) for _ in range(_FOLLOWERS)]
        await ask_all(client, kill)
        assert await asyncio.gather(*followers) == [list(range(1, _QUESTIONS + 1))] * _FOLLOWERS


async def call_until(site: Site, over: asyncio.Event, call: Callable[[], Awaitable[httpx.Response]]) -> list[int]:
    """The statuses of one call after the other until then, and of some more."""
    statuses, left = [], 20
    while left:
        left -= over.is_set()
        statuses.append((await call()).status_code)
    return statuses


@pytest.mark.promise("READY-2", "STREAM-9")
async def test_no_call_fails_while_a_node_ends_in_order(site: Site) -> None:
    """By clients that try nothing again."""

    async def ask() -> httpx.Response:
        return await site.api.post("/requests", json={"execution_id": new_id(), "prompt": "Ship it?"})

    async def look() -> httpx.Response:
        return await site.api.get("/requests", params={"limit": 1})

    async def poll() -> httpx.Response:
        return await site.api.get("/poll/human-input/run-1", params={"wait": 0.5})

    over = asyncio.Event()
    async with asyncio.timeout(120), AsyncClient(site.proxy.url, KEY, patience=60) as client:
        followers = [asyncio.create_task(follow(client, "run-1", _QUESTIONS)) for _ in range(_FOLLOWERS)]
        callers = [asyncio.create_task(call_until(site, over, call)) for call in (ask, ask, look, poll)]

        async def end() -> None:
            ending = site.nodes[0]
            ending.program.send(signal.SIGTERM)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ending.port}") as direct:
                while (await direct.get("/ready")).status_code == 200:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0)
            assert await ending.program.end() == 0

        await ask_all(client, end)
        over.set()
        for statuses in await asyncio.gather(*callers):
            assert len(statuses) > 20
            assert set(statuses) <= {200, 201}
        assert await asyncio.gather(*followers) == [list(range(1, _QUESTIONS + 1))] * _FOLLOWERS
