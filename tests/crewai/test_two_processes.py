"""A crew in this process and its server in another, which is killed: each question is asked once, and answered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso.adapters.crewai import install
from tests.client.askers import connecting
from tests.client.relay import free_port
from tests.conftest import KEY
from tests.crewai.scripted import ScriptedModel, a_crew
from tests.fault_proxy import Fault, FaultProxy, Way, fault_proxy
from tests.runtime.programs import SAYSO, program

Aside = Callable[..., Future[Any]]
PATIENCE = 60.0
"""Seconds; a server in a process of its own takes one or two to start."""
REQUIRED, COMPLETED = "human_input_required", "human_input_completed"
_LOOK = re.compile(rb"GET /requests/(\S+) HTTP")


class Server:
    """`sayso serve`, however often it is started, on the same port and file; and a person who calls it directly."""

    def __init__(self, file: Path) -> None:
        self._port = free_port()
        self._store = f"sqlite:///{file}"
        self.url = f"http://localhost:{self._port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Killed on leaving, with SIGKILL."""
        command = (SAYSO, "serve", "--port", str(self._port), "--store", self._store)
        async with program(*command, SAYSO_API_KEY=KEY) as process:
            await process.line("sayso listens on")
            yield

    async def answer(self, feedback: str) -> None:
        """To the one question that is open."""
        (open_,) = (await self._call("GET", "/requests?status=pending"))["requests"]
        await self._call("POST", f"/requests/{open_['request_id']}/answer", json={"human_feedback": feedback})

    async def history(self) -> tuple[list[str], list[str]]:
        """The drafts in the list of requests, and the types of all events."""
        requests = (await self._call("GET", "/requests"))["requests"]
        (execution_id,) = {one["execution_id"] for one in requests}
        events = (await self._call("GET", f"/poll/human-input/{execution_id}"))["events"]
        return [one["context"] for one in requests], [one["type"] for one in events]

    async def _call(self, method: str, path: str, **members: Any) -> Any:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            return (await client.request(method, path, **members)).raise_for_status().json()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "questions.db")


@asynccontextmanager
async def asking(server: Server, *faults: Fault) -> AsyncIterator[FaultProxy]:
    """Every crew of this process asks the server, through a proxy."""
    async with asyncio.timeout(PATIENCE), fault_proxy(server.url, faults) as proxy:
        with connecting() as connect:
            undo = install(connect(proxy.url, KEY))
            try:
                yield proxy
            finally:
                undo()


async def until_it_waits(proxy: FaultProxy, questions: int) -> None:
    """Returns when the crew's side looks for the answer to this many questions."""
    await proxy.until(lambda it: len({id for one in it.connections for id in _LOOK.findall(one.up)}) == questions)


def times_sent(proxy: FaultProxy) -> int:
    """How often the crew's side has sent a question."""
    return sum(one.up.count(b"POST /requests ") for one in proxy.connections)


@pytest.mark.promise("ASK-1", "ANSWER-1", "SETTLE-1", "SETTLE-4")
async def test_a_crew_that_waits_outlives_its_servers_crashes(server: Server, aside: Aside) -> None:
    model = ScriptedModel()
    async with asking(server) as proxy:
        result = asyncio.wrap_future(aside(a_crew(model).kickoff))
        async with server.running():
            await until_it_waits(proxy, 1)
        async with server.running():
            await server.answer("shorter")
            await until_it_waits(proxy, 2)
        async with proxy.refusing(), server.running():
            await server.answer("")  # and killed again, before the crew could hear of it
        async with server.running():
            assert (await result).raw == "draft 2 with: shorter"
            drafts, events = await server.history()
    assert drafts == ["draft 1", "draft 2 with: shorter"]
    assert events == [REQUIRED, COMPLETED] * 2
    assert model.calls == times_sent(proxy) == 2


LOST = {
    "is cut off": Fault(down=Way(after=0, then="reset")),
    "is on its way while the server is killed": Fault(down=Way(after=0, then="hush")),
}


@pytest.mark.promise("ASK-1", "ASK-2")
@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_a_crew_whose_question_was_stored_asks_once_although_the_reply(
    server: Server, aside: Aside, fault: Fault
) -> None:
    model = ScriptedModel()
    async with asking(server, fault) as proxy:
        async with server.running():
            result = asyncio.wrap_future(aside(a_crew(model).kickoff))
            await proxy.until(lambda it: it.struck == 1)
            assert await server.history() == (["draft 1"], [REQUIRED])
        await proxy.cut()
        async with server.running():
            await until_it_waits(proxy, 1)
            assert times_sent(proxy) >= 2
            await server.answer("")
            assert (await result).raw == "draft 1"
            assert await server.history() == (["draft 1"], [REQUIRED, COMPLETED])
    assert model.calls == 1
