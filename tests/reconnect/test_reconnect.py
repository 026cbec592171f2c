"""Whatever client follows, and wherever its connections are cut: no event is missing, and none comes twice."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

import httpx
import pytest
import pytest_asyncio

from sayso import AsyncClient, HumanInputServer
from tests.builders import question
from tests.conftest import KEY
from tests.fault_proxy import Fault, Way, fault_proxy
from tests.reconnect import elsewhere, following
from tests.reconnect.following import END, Message, Stream
from tests.reconnect.trial import OF_ALL, Fact, Follow, Result, Trial, dense, log_of

ROUNDS: Final = int(os.environ.get("SAYSO_ROUNDS", "4"))
_RIGHT: Final = {"Authorization": f"Bearer {KEY}"}

OURS: Final[dict[str, Follow]] = {
    "sayso.Client": following.in_thread(following.sayso_client),
    "sayso.AsyncClient": following.sayso_async_client,
    "clients/js": elsewhere.in_node("sayso.js"),
}
FOREIGN: Final[dict[str, Follow]] = {
    "httpx-sse": following.httpx_sse,
    "httpx, polling": following.httpx_poll,
    "requests, polling": following.in_thread(following.requests_poll),
    "websockets": following.websockets_client,
    "aiohttp, WebSocket": following.aiohttp_websocket,
    "eventsource, Node": elsewhere.in_node("eventsource.js"),
    "undici, Node": elsewhere.in_node("undici.js"),
    "ws, Node": elsewhere.in_node("ws.js"),
    "EventSource, Chromium": elsewhere.in_chromium(elsewhere.EVENT_SOURCE),
    "WebSocket, Chromium": elsewhere.in_chromium(elsewhere.WEB_SOCKET),
}
KINDS: Final = OURS | FOREIGN
NAMES: Final = [*KINDS, *(name + OF_ALL for name in [*OURS, "httpx-sse"])]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trials(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Task[Result]]]:
    """Those that were chosen, all at once: most of a trial is waiting."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [params["name"] for params in calls if params.get("name") in NAMES]
    folder = tmp_path_factory.mktemp("trials")
    tasks = {}
    for number, name in enumerate(chosen):
        trial = Trial(name, KINDS[name.removesuffix(OF_ALL)], rounds=ROUNDS, store=f"sqlite:///{folder}/{number}.db")
        tasks[name] = asyncio.create_task(trial.run())
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.promise("STREAM-1", "STREAM-2")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_no_cut_makes_a_gap_or_a_repeat_for(trials: dict[str, asyncio.Task[Result]], name: str) -> None:
    result = await trials[name]
    assert (result.gaps, result.repeats) == ([], [])
    assert result.told == result.log
    assert dense(result.log)
    assert result.cuts >= ROUNDS
    assert result.connections >= result.cuts  # it came back after each
    print(f"{name}: {len(result.log)} events, {result.cuts} cuts, {result.connections} connections")


# Controls


def by_lines(keeps: str) -> Follow:
    """Reads the stream's lines as the seed proposal's client does; `keeps`: what it takes for its cursor."""

    async def follow(stream: Stream) -> AsyncIterator[Message]:
        cursor: dict[str, str] = {}
        async with httpx.AsyncClient(headers=_RIGHT) as client:
            while True:
                with suppress(httpx.TransportError):
                    async with client.stream("GET", f"{stream.url}/events{stream.path}", headers=cursor) as response:
                        async for line in response.aiter_lines():
                            name, _, value = line.partition(": ")
                            if name == "id" and keeps == "the id of what is coming":
                                cursor = {"Last-Event-ID": value}
                            if name == "data":
                                event = json.loads(value)
                                if keeps == "the id of what has come":
                                    cursor = {"Last-Event-ID": event["event_id"]}
                                yield event

    return follow


@pytest.mark.parametrize(
    ("keeps", "gaps", "repeats"),
    [("the id of what has come", [], []), ("the id of what is coming", [2, 4], []), ("nothing", [], [1, 2, 3])],
)
async def test_a_client_that_resumes_wrongly_is_found_out(
    server: HumanInputServer, keeps: str, gaps: list[int], repeats: list[int]
) -> None:
    async with AsyncClient(server.url, KEY) as asker:
        for _ in range(3):
            asked = await asker.ask(question())
            await asker.answer(asked.request_id, text="yes")
        await asker.ask(question(prompt=END))
    told: list[Fact] = []
    cuts = [Fault(Way(after=20, since=f'"seq":{seq},'.encode())) for seq in (2, 4)]
    async with asyncio.timeout(10), fault_proxy(server.url, cuts) as proxy:
        async with aclosing(by_lines(keeps)(Stream(proxy.url, "run-1"))) as events:
            async for event in events:
                told.append((event["execution_id"], event["seq"]))
                if event.get("prompt") == END:
                    break
        result = Result(told, await log_of(server.url, "run-1"), proxy.struck, proxy.used)
    assert result.gaps == [("run-1", seq) for seq in gaps]
    assert result.repeats == [("run-1", seq) for seq in repeats]
    assert (result.cuts, result.connections) == (2, 3)
