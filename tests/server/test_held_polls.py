"""Polls that are held one after the other on one connection: each waits for its own time, whatever was asked before."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.server.lane.connection import Connection
from sayso.server.lane.later import GRAIN
from tests.builders import new_id
from tests.conftest import KEY


@pytest.fixture
async def api(server: HumanInputServer) -> Any:
    """Asks on one connection and polls on another."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
        yield client


async def _ask(api: httpx.AsyncClient, execution_id: str) -> str:
    reply = await api.post("/requests", json={"execution_id": execution_id, "prompt": "Ship it?"})
    return str(reply.json()["request_id"])


async def _poll(api: httpx.AsyncClient, execution_id: str, cursor: str | None, wait: float) -> Any:
    params = {"wait": str(wait)} | ({"last_event_id": cursor} if cursor else {})
    return (await api.get(f"/poll/human-input/{execution_id}", params=params)).json()


@pytest.mark.promise("STREAM-8")
async def test_each_waits_for_its_own_time(server: HumanInputServer, api: httpx.AsyncClient) -> None:
    execution_id, loop = new_id(), asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=1)
    async with (
        asyncio.timeout(30),
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, limits=limits) as polls,
    ):
        cursor = None
        for wait, pause in (
            (50, 0.0),
            (2, 0.0),
            (50, 2.5),
        ):  # one that is answered leaves nothing of its time to the next
            held = asyncio.create_task(_poll(polls, execution_id, cursor, wait))
            await _until_held()
            await asyncio.sleep(pause)  # in which the time of the one before is over
            assert not held.done()
            asked = await _ask(api, execution_id)
            page = await held
            assert [event["request_id"] for event in page["events"]] == [asked]
            cursor = page["cursor"]
        began = loop.time()
        page = await _poll(polls, execution_id, cursor, 1.2)
        assert (page["events"], page["cursor"]) == ([], cursor)
        assert loop.time() - began >= 1.2 - GRAIN


@pytest.mark.promise("STREAM-8")
async def test_who_went_while_it_was_held_is_forgotten_at_once(server: HumanInputServer) -> None:
    """Its time would keep it in the server's memory for as long as it wanted to wait."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    head = f"GET /poll/human-input/{new_id()}?wait=50 HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY}"
    writer.write("\r\n".join((*head, "", "")).encode())
    async with asyncio.timeout(20):
        await _until_held()
        writer.close()
        await writer.wait_closed()
        while _polling():
            await asyncio.sleep(0.01)
            gc.collect()
    assert not await reader.read()


async def _until_held() -> None:
    """Returns when a poll is held; the server is in this process."""
    while not any(one.is_polling for one in _polling()):  # noqa: ASYNC110 - a count has no event
        await asyncio.sleep(0.01)


def _polling() -> list[Connection]:
    return [one for one in gc.get_objects() if isinstance(one, Connection) and one._poll is not None]
