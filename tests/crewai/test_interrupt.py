"""Control-C while a crew waits for a person: the question is given up, and the program ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.conftest import KEY
from tests.runtime.programs import program, python

_WAIT = """
import sys
import httpx
from sayso import HumanInputServer

key, store, root = sys.argv[1:]
sys.path.append(root)
from tests.crewai.scripted import ScriptedModel, a_crew

with HumanInputServer(port=0, api_key=key, store=store) as server:
    crew = a_crew(ScriptedModel())
    try:
        crew.kickoff()
    except KeyboardInterrupt:
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as api:
            (asked,) = api.get("/requests").json()["requests"]
            outcome = api.get(f"/requests/{asked['request_id']}?wait=10").json()
        print("OUTCOME", outcome["status"], outcome["reason"], flush=True)
        raise
"""


@pytest.mark.promise("EVENT-3")
async def test_an_interrupt_gives_the_question_up_and_ends_the_program(tmp_path: Path) -> None:
    root, store = str(Path(__file__).parents[2]), f"sqlite:///{tmp_path / 'a.db'}"
    async with program(*python(_WAIT, KEY, store, root)) as running:
        await running.line("an agent waits for your answer")
        running.send(signal.SIGINT)
        assert (await running.line("OUTCOME")).split() == ["OUTCOME", "cancelled", "asker-gone"]
        assert await running.end() == -signal.SIGINT
        assert "KeyboardInterrupt" in running.output
