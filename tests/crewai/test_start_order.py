"""The server is started and the crew kicked off in the next line, as the seed proposal has it: it works every time."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest
from crewai import Crew

from sayso import HumanInputServer
from sayso.errors import AlreadyStarted
from tests.conftest import KEY
from tests.crewai.person import LONGEST
from tests.crewai.scripted import ScriptedModel, a_crew, draft
from tests.crewai.terminal import Terminal

ROUNDS = range(int(os.environ.get("SAYSO_ROUNDS", "10")))


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


def test_the_start_order_works_in_a_process_that_has_not_loaded_the_adapter_yet() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.crewai.fresh_start"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.rpartition("RESULT ")[2].strip() == "draft 2 with: shorter"


@pytest.mark.parametrize("former", ["alone", "beside a server that stopped"])
def test_a_server_that_comes_up_while_the_agent_is_already_at_work_is_asked(
    server: HumanInputServer, aside: Callable[..., Future[Any]], former: str
) -> None:
    """A thread that was started is not yet a thread that runs: the crew may be further on than the server."""
    listening = threading.Event()

    def write(number: int, feedback: str) -> str:
        if not listening.is_set():
            threading.Thread(target=server.start, args=(listening.set,), daemon=True).start()
            assert listening.wait(LONGEST)
        return draft(number, feedback)

    if former == "beside a server that stopped":
        with HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True):
            pass
    terminal = Terminal()
    answers = aside(terminal.answer, "shorter", "")
    with redirect_stderr(terminal):
        assert a_crew(ScriptedModel(write)).kickoff().raw == "draft 2 with: shorter"
    assert answers.result(LONGEST) == ["respond", "approve"]


def test_starting_a_server_twice_is_refused_and_leaves_nothing_open(
    server: HumanInputServer, recwarn: pytest.WarningsRecorder
) -> None:
    with server:
        with pytest.raises(AlreadyStarted):
            server.start()
        gc.collect()
    assert [str(one.message) for one in recwarn if one.category is ResourceWarning] == []
