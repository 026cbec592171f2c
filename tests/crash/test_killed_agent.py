"""SIGKILL of an agent that waits for a person: its questions are given up when the store is opened again, and nobody's
list fills with what nobody waits for; what was asked of a server elsewhere stays."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from sayso import HumanInputServer, create_app
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, Program, program, python

_RIGHT = {"Authorization": f"Bearer {KEY}"}
ROUNDS = 3

_AGENT = """
import sys
from sayso import HumanInputServer, Question
from sayso.orphans import Orphans

if sys.argv[3] == "careless":
    async def give_up_first(orphans):
        orphans._others = None
    Orphans.give_up_first = give_up_first
server = HumanInputServer(port=0, api_key=sys.argv[1], store=sys.argv[2], adapters=False, quiet=True).__enter__()
asked = [server.submit(Question(execution_id="run-1", prompt=f"Ship it? {n}")) for n in range(2)]
for one in asked:
    one.stored.result(10)
print("listens", server.url, flush=True)
for one in asked:
    one.settled.result()
"""

_AGENT_ELSEWHERE = """
import sys
import sayso

asker = sayso.connect(sys.argv[2], api_key=sys.argv[1])
asked = asker.submit(sayso.Question(execution_id="run-1", request_id="remote", prompt="Ship it?"))
print("asked", asked.stored.result(10).request_id, flush=True)
asked.settled.result()
"""


async def pending(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/requests", params={"status": "pending"})).json()["requests"]
    events = (await api.get("/poll/human-input")).json()["events"]
    assert [one["request_id"] for one in events] == [one["request_id"] for one in found]
    return found


async def killed_agents(store: str, *, writer: str) -> list[dict[str, Any]]:
    """What is open after some agents were killed, each on the store of the one before, as the next server tells it."""
    for number in range(ROUNDS):
        async with program(*python(_AGENT, KEY, store, writer)) as agent:
            url = (await agent.line("listens")).split()[-1]
            async with httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30) as api:
                body = {"execution_id": "run-1", "request_id": f"http-{number}", "prompt": "Ship it?"}
                assert (await api.post("/requests", json=body)).status_code == 201
                if writer != "careless":
                    assert len(await pending(api)) == 2 + number + 1
            await kill(agent)
    if writer == "careless":
        async with program(*python(_AGENT, KEY, store, writer)) as agent:
            url = (await agent.line("listens")).split()[-1]
            async with httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30) as api:
                return await pending(api)
    async with program(SAYSO, "serve", "--port", "0", "--store", store, SAYSO_API_KEY=KEY) as server:
        url = (await server.line("sayso listens on")).split()[-1]
        async with httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30) as api:
            ended = (await api.get("/requests", params={"status": "cancelled"})).json()["requests"]
            assert {(one["reason"], one["settled_by"]) for one in ended} == {("asker-gone", "system:asker")}
            assert len(ended) == 2 * ROUNDS
            return await pending(api)


async def kill(agent: Program) -> None:
    agent.send(signal.SIGKILL)
    assert await agent.end() == -signal.SIGKILL


@pytest.mark.promise("SETTLE-4")
async def test_agents_that_are_killed_leave_no_question_that_nobody_waits_for(tmp_path: Path) -> None:
    left = await killed_agents(f"sqlite:///{tmp_path / 'a.db'}", writer="real")

    assert [one["request_id"] for one in left] == [f"http-{number}" for number in range(ROUNDS)]


async def test_a_server_that_gives_nothing_up_is_found_out(tmp_path: Path) -> None:
    """The control: the same agents, and servers that leave the questions of the former ones open."""
    left = await killed_agents(f"sqlite:///{tmp_path / 'a.db'}", writer="careless")

    assert [one["request_id"] for one in left] != [f"http-{number}" for number in range(ROUNDS)]
    assert len(left) == ROUNDS + 2 * (ROUNDS + 1)


@pytest.mark.promise("SETTLE-4")
async def test_a_mounted_server_shows_nothing_of_an_agent_that_was_killed(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'a.db'}"
    async with program(*python(_AGENT, KEY, store, "real")) as agent:
        await agent.line("listens")
        await kill(agent)
    server = HumanInputServer(api_key=KEY, store=store, quiet=True, adapters=False)
    host = Starlette(routes=[Mount("/sayso", create_app(server))])
    try:
        transport = httpx.ASGITransport(app=host, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/sayso", headers=_RIGHT) as api:
            assert await pending(api) == []
            ended = (await api.get("/requests")).json()["requests"]
            assert [(one["status"], one["reason"]) for one in ended] == [("cancelled", "asker-gone")] * 2
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.promise("SETTLE-4")
async def test_what_a_killed_agent_asked_a_server_elsewhere_is_kept_over_that_servers_death_too(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'a.db'}"
    serve = (SAYSO, "serve", "--port", "0", "--store", store)
    async with program(*serve, SAYSO_API_KEY=KEY) as server:
        url = (await server.line("sayso listens on")).split()[-1]
        async with program(*python(_AGENT_ELSEWHERE, KEY, url)) as agent:
            await agent.line("asked")
            await kill(agent)
        await kill(server)
    async with program(*serve, SAYSO_API_KEY=KEY) as server:
        url = (await server.line("sayso listens on")).split()[-1]
        async with httpx.AsyncClient(base_url=url, headers=_RIGHT, timeout=30) as api:
            assert [one["request_id"] for one in await pending(api)] == ["remote"]
            answered = await api.post("/requests/remote/answer", json={"human_feedback": "yes"})
            assert answered.status_code == 200
