"""The seed proposal's own clients, letter for letter, against a real server.

Only the address, the execution and the key are put in; the SSE client is also given the `import asyncio` it lacks.
"""

from __future__ import annotations

import ast
import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from tests.builders import new_id
from tests.conftest import KEY
from tests.runtime.programs import Program, program
from tests.server import shapes

_SNIPPETS = Path(__file__).parent / "snippets"
_SILENCE = 15.5
"""Seconds; three times what httpx waits for a byte when nobody tells it otherwise."""


def _command(name: str, url: str, execution_id: str) -> tuple[str, ...]:
    code = (_SNIPPETS / f"{name}.py").read_text()
    for theirs, ours in (
        ("localhost:8000", url.removeprefix("http://")),
        ('"execution-id"', f'"{execution_id}"'),
        ('"api-key"', f'"{KEY}"'),
    ):
        assert theirs in code
        code = code.replace(theirs, ours)
    return (sys.executable, "-c", "import asyncio\n" + code)


def _events(output: str, mark: str, read: Callable[[str], Any]) -> list[dict[str, Any]]:
    return [read(line.removeprefix(mark)) for line in output.splitlines() if line.startswith(mark)]


@pytest.mark.promise("STREAM-1", "STREAM-6", "STREAM-8", "EVENT-1")
async def test_the_seeds_clients_see_both_events_with_a_long_silence_between(server: HumanInputServer) -> None:
    execution_id = new_id()
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"})
        )

        async def run(*command: str) -> Program:
            return await stack.enter_async_context(program(*command))

        websocket = await run(*_command("websocket_client", server.url, execution_id))
        sse = await run(*_command("sse_client", server.url, execution_id))
        polling = await run(*_command("polling_client", server.url, execution_id))
        address = f"{server.url}/events/human-input/{execution_id}"
        curl = await run("curl", "-sN", "-H", f"Authorization: Bearer {KEY}", address)

        question = {"execution_id": execution_id, "prompt": "Ship it?", "context": "the draft"}
        asked = (await api.post("/requests", json=question)).json()
        assert await websocket.line("Human input needed") == "Human input needed: Ship it?\n"
        assert await websocket.line("Context") == "Context: the draft\n"
        for client in (sse, polling):
            await client.line("Received")
        await curl.line("data: ")

        await asyncio.sleep(_SILENCE)

        answer = {"human_feedback": "yes, ship it"}
        assert (await api.post(f"/requests/{asked['request_id']}/answer", json=answer)).status_code == 200
        assert await websocket.line("Input completed") == "Input completed: yes, ship it\n"
        for client in (sse, polling):
            await client.line("human_input_completed")
        await curl.line("human_input_completed")

        told = (await api.get(f"/poll/human-input/{execution_id}")).json()["events"]
        for event in told:
            shapes.check(event)
        assert [event["type"] for event in told] == ["human_input_required", "human_input_completed"]
        assert _events(sse.output, "Received: ", ast.literal_eval) == told
        assert _events(polling.output, "Received: ", ast.literal_eval) == told
        last = {"last_event_id": told[-1]["event_id"]}
        assert (await api.get(f"/poll/human-input/{execution_id}", params=last)).json()["events"] == []


async def test_the_seeds_health_check_is_answered_as_it_says(server: HumanInputServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as api:
        health = (await api.get("/health")).json()
    assert set(health) == {"status", "timestamp"}
    assert health["status"] == "healthy"


def test_the_seeds_server_is_made_as_it_says() -> None:
    server = HumanInputServer(host="localhost", port=8000, api_key="your-api-key")
    assert (server.host, server.port) == ("localhost", 8000)
    defaults = HumanInputServer()
    assert (defaults.host, defaults.port) == ("localhost", 8000)
