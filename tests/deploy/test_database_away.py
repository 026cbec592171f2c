"""The database goes away and comes back: nodes say so, and go on by themselves."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from sayso import AsyncClient
from sayso.model import Question
from tests.conftest import KEY
from tests.postgres import Cluster
from tests.runtime.programs import SAYSO, program


async def until(api: httpx.AsyncClient, status: int) -> httpx.Response:
    while (response := await api.get("/ready")).status_code != status:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.05)
    return response


@pytest.mark.promise("READY-1")
async def test_a_node_is_not_ready_while_its_database_is_away_and_goes_on_when_it_is_back() -> None:
    cluster = Cluster(durable=False)
    try:
        settings = {"SAYSO_API_KEY": KEY, "SAYSO_STORE": cluster.database()}
        async with asyncio.timeout(120), program(SAYSO, "serve", "--port", "0", **settings) as node:
            url = (await node.line("sayso listens on")).split()[-1]
            async with httpx.AsyncClient(base_url=url, timeout=30) as api, AsyncClient(url, KEY, patience=60) as client:
                await until(api, 200)
                await asyncio.to_thread(cluster.stop)
                refused = await until(api, 503)
                assert refused.json()["not_ready"] == ["store"]
                assert cluster.password not in refused.text
                assert str(cluster.port) not in refused.text
                assert (await api.get("/health")).status_code == 200
                asking = asyncio.create_task(client.ask(Question(execution_id="run-1", prompt="Ship it?")))
                await asyncio.to_thread(cluster.start)
                await until(api, 200)
                assert (await asking).is_open
        assert cluster.password not in node.output
    finally:
        cluster.close()
