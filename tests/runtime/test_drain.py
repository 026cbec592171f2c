"""A server that is told to end, and goes on for a while so that load balancers look away first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import KEY
from tests.runtime.programs import SAYSO, Program, program

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_FOR_EVER = "3600"


@asynccontextmanager
async def node(tmp_path: Path, drain: str) -> AsyncIterator[tuple[Program, httpx.AsyncClient]]:
    store = f"sqlite:///{tmp_path / 'node.db'}"
    async with program(
        SAYSO, "serve", "--port", "0", "--store", store, SAYSO_API_KEY=KEY, SAYSO_DRAIN=drain
    ) as running:
        url = (await running.line("sayso listens on")).split()[-1]
        async with httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30) as api, asyncio.timeout(60):
            yield running, api


async def until_draining(api: httpx.AsyncClient) -> httpx.Response:
    while (response := await api.get("/ready")).status_code == 200:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    return response


@pytest.mark.promise("READY-2")
async def test_a_server_that_drains_is_not_ready_and_goes_on_with_everything_else(tmp_path: Path) -> None:
    async with node(tmp_path, _FOR_EVER) as (running, api):
        async with api.stream("GET", "/events/human-input") as stream:
            lines = stream.aiter_lines()
            running.send(signal.SIGTERM)
            refused = await until_draining(api)
            assert (refused.status_code, refused.json()["not_ready"]) == (503, ["draining"])
            assert (await api.get("/health")).status_code == 200
            asked = await api.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
            assert asked.status_code == 201
            while "human_input_required" not in await anext(lines):
                pass
            answer = f"/requests/{asked.json()['request_id']}/answer"
            assert (await api.post(answer, json={"human_feedback": "yes"})).status_code == 200
            while "human_input_completed" not in await anext(lines):
                pass
        running.send(signal.SIGTERM)
        assert await running.end() == 0


@pytest.mark.promise("READY-2")
async def test_a_connection_is_not_kept_once_the_server_drains(tmp_path: Path) -> None:
    async with node(tmp_path, _FOR_EVER) as (running, api):
        assert "connection" not in (await api.get("/requests")).headers
        running.send(signal.SIGTERM)
        await until_draining(api)
        for path in ("/requests", "/requests/unknown", "/ready"):
            assert (await api.get(path)).headers["connection"] == "close"
        assert (await api.get("/requests", headers={"Authorization": ""})).headers["connection"] == "close"


@pytest.mark.promise("READY-2")
async def test_when_the_time_is_over_the_server_ends_and_with_it_every_stream(tmp_path: Path) -> None:
    async with node(tmp_path, "0.2") as (running, api), api.stream("GET", "/events/human-input") as stream:
        running.send(signal.SIGTERM)
        async for _ in stream.aiter_lines():
            pass  # it ends as a whole, or this raises
        assert await running.end() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_server_that_drains_at_once(tmp_path: Path, second: signal.Signals) -> None:
    async with node(tmp_path, _FOR_EVER) as (running, api):
        running.send(signal.SIGTERM)
        await until_draining(api)
        running.send(second)
        assert await running.end() == 0


async def test_ctrl_c_waits_for_no_load_balancer(tmp_path: Path) -> None:
    async with node(tmp_path, _FOR_EVER) as (running, _):
        running.send(signal.SIGINT)
        assert await running.end() == 0
