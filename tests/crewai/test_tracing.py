"""A flow that pauses in one process and is gone on with in another one: one trace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sayso import Client, HumanInputServer
from tests.conftest import KEY
from tests.runtime.programs import program, python
from tests.runtime.test_tracing import TRACED

_FLOW = (
    TRACED
    + """
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence
from sayso import Client, connect
from sayso.adapters.crewai import Pause, install, resume

class Review(Flow[dict]):
    @start()
    @human_feedback(message="Is it good?", provider=Pause())
    def write(self):
        return "draft"

    @listen(write)
    def publish(self, result):
        with trace.get_tracer("flow").start_as_current_span("publish"):
            return result.feedback

url, key, database, what = sys.argv[1:]
if what == "kickoff":
    install(connect(url, api_key=key))
    with trace.get_tracer("flow").start_as_current_span("flow"):
        Review(persistence=SQLiteFlowPersistence(database)).kickoff()
else:
    with Client(url, key) as client:
        print([one.end for one in resume(Review, client=client, persistence=SQLiteFlowPersistence(database))])
tell()
"""
)


@pytest.mark.promise("TRACE-1")
async def test_what_a_flow_does_after_its_pause_is_part_of_the_trace_in_which_it_asked(
    server: HumanInputServer, tmp_path: Path
) -> None:
    async def spans(what: str) -> dict[str, dict[str, Any]]:
        arguments = (server.url, KEY, str(tmp_path / "flows.db"), what)
        async with program(*python(_FLOW, *arguments), OTEL_SDK_DISABLED="false") as running:
            assert await running.end() == 0, running.output
        lines = (line for line in running.output.splitlines() if line.startswith("span "))
        return {span["name"]: span for span in (json.loads(line.removeprefix("span ")) for line in lines)}

    asked = await spans("kickoff")
    assert asked["sayso.ask"]["parent"] == asked["flow"]["id"]
    assert asked["sayso.ask"]["attributes"]["sayso.status"] == "left"  # the flow does not wait

    def answer() -> None:
        with Client(server.url, KEY) as client:
            (waiting,) = client.list(status=["pending"])
            client.answer(waiting.request_id, text="good")

    await asyncio.to_thread(answer)
    went_on = await spans("resume")
    assert went_on["sayso.resume"]["parent"] == asked["sayso.ask"]["id"]
    assert went_on["publish"]["parent"] == went_on["sayso.resume"]["id"]
    assert {span["trace"] for span in (*asked.values(), *went_on.values())} == {asked["flow"]["trace"]}
    assert went_on["sayso.resume"]["attributes"]["sayso.decision"] == "respond"
