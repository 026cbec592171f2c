"""One trace from who asks, by way of who answers, to who goes on: with the real SDK, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.tracing import ids_in
from tests.conftest import KEY
from tests.runtime.programs import Program, program, python

Span = dict[str, Any]

TRACED = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

def tell():
    for span in exporter.get_finished_spans():
        print("span", json.dumps({
            "name": span.name, "trace": f"{span.context.trace_id:032x}", "id": f"{span.context.span_id:016x}",
            "parent": span.parent and f"{span.parent.span_id:016x}", "attributes": dict(span.attributes),
            "links": [f"{link.context.span_id:016x}" for link in span.links], "status": span.status.status_code.name,
            "events": [event.name for event in span.events],
        }), flush=True)
"""
_SERVER = (
    TRACED
    + """
from sayso import HumanInputServer
server = HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False)
server.start(on_listening=lambda: print("listens", server.url, flush=True))
tell()
"""
)
_AGENT = (
    TRACED
    + """
import sayso
asker = sayso.connect(sys.argv[1], api_key=sys.argv[2])
with trace.get_tracer("agent").start_as_current_span("agent"):
    try:
        reply = sayso.ask("Ship it?", asker=asker, execution_id="run-1", request_id="order-42")
        print("told", reply.text)
    except Exception as error:
        print("ended", type(error).__name__)
asker.close()
tell()
"""
)
_ON = {"OTEL_SDK_DISABLED": "false", "SAYSO_API_KEY": KEY}
_PERSON = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def served() -> AsyncIterator[tuple[Program, httpx.AsyncClient]]:
    """A server that makes traces, and a client of it that makes none."""
    async with program(*python(_SERVER), **_ON) as running:
        url = (await running.line("listens")).split()[1]
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            yield running, client


def _spans(output: str) -> list[Span]:
    return [json.loads(line.removeprefix("span ")) for line in output.splitlines() if line.startswith("span ")]


async def _ended(running: Program) -> dict[str, Span]:
    """What it made, by name; each once."""
    assert await running.end() == 0, running.output
    found = _spans(running.output)
    assert len({span["name"] for span in found}) == len(found), found
    return {span["name"]: span for span in found}


async def _waiting(client: httpx.AsyncClient) -> dict[str, Any]:
    """The question, once it is asked."""
    async with asyncio.timeout(60):
        while not (events := (await client.get("/poll/human-input/run-1?wait=50")).json()["events"]):
            pass
    event: dict[str, Any] = events[0]
    return event


async def _answer(client: httpx.AsyncClient, text: str = "a secret of the company", **headers: str) -> None:
    response = await client.post("/requests/order-42/answer", json={"human_feedback": text}, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.promise("TRACE-1")
async def test_one_trace_reaches_from_the_agent_over_the_server_to_the_answer(
    served: tuple[Program, httpx.AsyncClient],
) -> None:
    running, client = served
    async with program(*python(_AGENT, str(client.base_url), KEY), **_ON) as agent:
        event = await _waiting(client)
        await _answer(client, traceparent=_PERSON)
        mine = await _ended(agent)
    running.send(signal.SIGINT)
    theirs = await _ended(running)

    assert set(mine) == {"agent", "sayso.ask"}
    assert set(theirs) == {"sayso.asked", "sayso.settled"}
    trace = mine["agent"]["trace"]
    assert {span["trace"] for span in (*mine.values(), *theirs.values())} == {trace}
    assert mine["sayso.ask"]["parent"] == mine["agent"]["id"]
    assert {span["parent"] for span in theirs.values()} == {mine["sayso.ask"]["id"]}
    assert list(event["metadata"]) == ["traceparent"]
    assert ids_in(event["metadata"]["traceparent"]) == (trace, mine["sayso.ask"]["id"])
    assert theirs["sayso.settled"]["links"] == [_PERSON.split("-")[2]]
    became = {
        "sayso.execution_id": "run-1",
        "sayso.request_id": "order-42",
        "sayso.kind": "question",
        "sayso.status": "answered",
        "sayso.decision": "respond",
        "sayso.channel": "http",
    }
    assert mine["sayso.ask"]["attributes"] == theirs["sayso.settled"]["attributes"] == became
    assert "secret" not in json.dumps([mine, theirs])


@pytest.mark.promise("TRACE-1")
async def test_who_goes_on_after_the_agent_died_is_part_of_the_first_ones_trace(
    served: tuple[Program, httpx.AsyncClient],
) -> None:
    running, client = served
    async with program(*python(_AGENT, str(client.base_url), KEY), **_ON) as first:
        event = await _waiting(client)
        first.send(signal.SIGKILL)
        assert await first.end() == -signal.SIGKILL
    asked = ids_in(event["metadata"]["traceparent"])
    assert asked is not None
    await _answer(client)
    async with program(*python(_AGENT, str(client.base_url), KEY), **_ON) as second:
        mine = await _ended(second)
    assert set(mine) == {"agent", "sayso.ask", "sayso.resume"}
    assert mine["agent"]["trace"] != asked.trace_id
    resume = mine["sayso.resume"]
    assert (resume["trace"], resume["parent"]) == (asked.trace_id, asked.span_id)
    assert resume["links"] == [mine["sayso.ask"]["id"]]
    assert resume["attributes"]["sayso.status"] == "answered"
    running.send(signal.SIGINT)
    theirs = _spans(running.output) if await running.end() == 0 else []
    assert [span["name"] for span in theirs if span["trace"] == asked.trace_id] == ["sayso.asked", "sayso.settled"]


async def test_a_wait_that_fails_says_so_without_a_word_of_why(served: tuple[Program, httpx.AsyncClient]) -> None:
    running, client = served
    await client.post("/requests", json={"execution_id": "run-1", "request_id": "order-42", "prompt": "Another?"})
    async with program(*python(_AGENT, str(client.base_url), KEY), **_ON) as agent:
        mine = await _ended(agent)
    assert "ended RequestMismatch" in agent.output
    ask = mine["sayso.ask"]
    assert (ask["status"], ask["attributes"]["sayso.error"], ask["events"]) == ("ERROR", "request-mismatch", [])
    running.send(signal.SIGINT)
    assert [span["name"] for span in (await _ended(running)).values()] == ["sayso.asked"]


@pytest.mark.promise("TRACE-2")
def test_the_context_comes_by_header_or_in_the_metadata(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    headers = {"Authorization": f"Bearer {KEY}"}
    other = _PERSON.replace("b7ad", "c7ad")

    def metadata_of(traceparent: str, **members: Any) -> dict[str, Any]:
        question = {"execution_id": "run-1", "prompt": "Ship it?"} | members
        sent = headers | {"traceparent": traceparent}
        asked: dict[str, Any] = httpx.post(f"{server.url}/requests", json=question, headers=sent).json()
        return dict(asked["metadata"])

    assert metadata_of(_PERSON) == {"traceparent": _PERSON}
    assert metadata_of(_PERSON, metadata={"a": 1}) == {"a": 1, "traceparent": _PERSON}
    assert metadata_of(_PERSON, metadata={"traceparent": other}) == {"traceparent": other}
    for none in ("", "x", _PERSON.replace("00-", "ff-", 1), f"00-{'0' * 32}-b7ad6b7169203331-01", _PERSON.upper()):
        assert metadata_of(none) == {}


_PLAIN = """
import sys
import sayso
from sayso import HumanInputServer
with HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False) as server:
    client = sayso.Client(server.url)
    import threading
    def answer():
        event = next(iter(client.follow("run-1")))
        client.answer(event.request_id, text="yes")
    threading.Thread(target=answer).start()
    reply = sayso.ask("Ship it?", execution_id="run-1")
    print("metadata", reply.request.metadata)
print("loaded", sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


@pytest.mark.promise("TRACE-2")
async def test_where_nobody_traces_nothing_is_loaded_and_nothing_is_added() -> None:
    async with program(sys.executable, "-c", _PLAIN) as running:
        assert await running.end() == 0, running.output
    assert "metadata {}\n" in running.output
    assert "loaded []\n" in running.output
