"""The server is started and the crew kicked off in the next line, as the seed proposal has it: it works every time."""

from __future__ import annotations

import asyncio
import io
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import redirect_stderr
from typing import Any

import httpx
import pytest
from crewai import Crew

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.crewai.person import LONGEST
from tests.crewai.scripted import ScriptedModel, a_crew

ROUNDS = range(int(os.environ.get("SAYSO_ROUNDS", "10")))
_LINK = re.compile(r"http://\S+/answer")


class Terminal(io.TextIOBase):
    """Stands in for stderr; hands the address of each open question to whoever reads."""

    def __init__(self) -> None:
        super().__init__()
        self.links: queue.Queue[str] = queue.Queue()

    def write(self, text: str, /) -> int:
        for link in _LINK.findall(text):
            self.links.put(link)
        return len(text)

    def answer(self, *feedback: str) -> list[str]:
        """Answers as a person does who reads the lines and runs the command they show; gives the decisions."""
        decisions = []
        for words in feedback:
            link = self.links.get(timeout=LONGEST)
            headers = {"Authorization": f"Bearer {KEY}"}
            settled = httpx.post(link, json={"human_feedback": words}, headers=headers, timeout=LONGEST)
            decisions.append(settled.raise_for_status().json()["answer"]["decision"])
        return decisions


@pytest.fixture
def server(tmp_path: Any) -> Iterator[HumanInputServer]:
    """Not started; stopped when a test takes far too long, so that no crew waits for ever."""
    server = HumanInputServer(port=0, api_key=KEY, store=f"sqlite:///{tmp_path / 'sayso.db'}")
    guard = threading.Timer(4 * LONGEST, server.stop)
    guard.start()
    yield server
    guard.cancel()
    server.stop()


@pytest.mark.parametrize("round", ROUNDS)
def test_a_crew_kicked_off_right_after_the_servers_thread_was_started_is_answered(
    server: HumanInputServer, aside: Callable[..., Future[Any]], round: int
) -> None:
    model, terminal = ScriptedModel(), Terminal()
    crew = a_crew(model)
    answers = aside(terminal.answer, "shorter", "")

    with redirect_stderr(terminal):
        threading.Thread(target=server.start, daemon=True).start()
        result = crew.kickoff()

    assert result.raw == "draft 2 with: shorter"
    assert answers.result(LONGEST) == ["respond", "approve"]
    assert model.calls == 2


@pytest.mark.parametrize("kickoff", [Crew.akickoff, Crew.kickoff_async], ids=["akickoff", "kickoff_async"])
async def test_a_crew_awaited_right_after_start_async_was_begun_is_answered(
    server: HumanInputServer, aside: Callable[..., Future[Any]], kickoff: Callable[[Crew], Any]
) -> None:
    model, terminal = ScriptedModel(), Terminal()
    crew = a_crew(model)
    answers = aside(terminal.answer, "shorter", "")

    with redirect_stderr(terminal):
        serving = asyncio.create_task(server.start_async())
        result = await kickoff(crew)

    assert result.raw == "draft 2 with: shorter"
    assert answers.result(LONGEST) == ["respond", "approve"]
    assert model.calls == 2
    await asyncio.to_thread(server.stop)
    async with asyncio.timeout(LONGEST):
        await serving
