"""What must pass through a proxy, does: events as they come, in order, both ways, of any size, from either node."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
import websockets

from sayso.limits import RESUME
from tests.conftest import KEY
from tests.deploy.conftest import Site

_QUESTION = {"execution_id": "run-1", "prompt": "Ship it?"}


async def ask(site: Site) -> str:
    response = await site.api.post("/requests", json=_QUESTION)
    assert response.status_code == 201, response.text
    request_id: str = response.json()["request_id"]
    return request_id


@pytest.mark.promise("STREAM-6")
async def test_a_stream_is_carried_as_it_comes(site: Site) -> None:
    """Heartbeats of a quiet stream, and an event between them: a proxy that gathers bytes would hold both back."""
    async with asyncio.timeout(60), site.api.stream("GET", "/events/human-input/run-1") as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        seen = []
        for _ in range(2):
            while not (await anext(lines)).startswith(":"):
                pass
        request_id = await ask(site)
        while not (line := await anext(lines)).startswith("data:"):
            seen.append(line[:1])
        assert json.loads(line.removeprefix("data:"))["request_id"] == request_id
        assert seen.count(":") <= 1  # the one that may have been on its way
        while not (await anext(lines)).startswith(":"):
            pass


@pytest.mark.promise("STREAM-7")
async def test_a_socket_is_carried_both_ways(site: Site) -> None:
    address = site.proxy.url.replace("http", "ws", 1) + f"/ws/human-input/run-1?token={KEY}"
    async with asyncio.timeout(30), websockets.connect(address) as socket:
        request_id = await ask(site)
        asked = json.loads(await socket.recv())
        assert (asked["type"], asked["request_id"]) == ("human_input_required", request_id)
        await socket.send(json.dumps({"type": "answer", "request_id": request_id, "human_feedback": "yes"}))
        assert {json.loads(await socket.recv())["type"] for _ in range(2)} == {
            "answer_accepted",
            "human_input_completed",
        }


@pytest.mark.promise("DOOR-1")
async def test_a_wrong_key_at_a_socket_is_told_by_its_status(site: Site) -> None:
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        async with websockets.connect(site.proxy.url.replace("http", "ws", 1) + "/ws/human-input?token=wrong"):
            pass
    assert refused.value.response.status_code == 401


@pytest.mark.promise("STREAM-8")
async def test_a_held_poll_is_carried_when_there_is_news(site: Site) -> None:
    async with asyncio.timeout(30):
        quiet = (await site.api.get("/poll/human-input/run-1", params={"wait": 0.1})).json()
        assert quiet["events"] == []
        held = asyncio.create_task(site.api.get("/poll/human-input/run-1", params={"wait": 25}))
        await site.api.get("/health")  # the poll is on its way before this
        request_id = await ask(site)
        (event,) = (await held).json()["events"]
        assert event["request_id"] == request_id


@pytest.mark.promise("SETTLE-1", "ANSWER-2")
async def test_an_answer_reaches_whoever_waits_and_the_first_one_counts_at_either_node(site: Site) -> None:
    async with asyncio.timeout(30):
        request_id = await ask(site)
        waiting = asyncio.create_task(site.api.get(f"/requests/{request_id}", params={"wait": 25}))
        answers = await asyncio.gather(
            *(site.api.post(f"/requests/{request_id}/answer", json={"human_feedback": str(n)}) for n in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
        (first,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert (await waiting).json()["answer"] == first["answer"]


@pytest.mark.promise("KEEP-1")
async def test_the_largest_thing_that_is_kept_passes(site: Site) -> None:
    address = "/requests/draft/resume"
    kept = await site.api.put(address, params={"execution_id": "run-1"}, content=b"x" * RESUME)
    assert kept.status_code == 204
    assert len((await site.api.get(address)).content) == RESUME


@pytest.mark.promise("SESSION-1", "SESSION-2")
async def test_a_session_of_the_inbox_counts_at_every_node(site: Site) -> None:
    page = {"Origin": site.proxy.url, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=site.proxy.url, headers=page, timeout=30) as browser:
        assert (await browser.get("/")).status_code == 200
        begun = await browser.post("/session", json={"key": KEY})
        assert begun.status_code == 200, begun.text
        looks = await asyncio.gather(*(browser.get("/requests") for _ in range(10)))
        assert {look.status_code for look in looks} == {200}


async def test_a_proxy_writes_no_key_down(site: Site) -> None:
    """Neither from addresses that it serves, nor from those that it cannot serve."""
    address = f"/events/human-input?token={KEY}"
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=site.proxy.url, timeout=30) as browser:
        async with browser.stream("GET", address) as stream:
            assert stream.status_code == 200
        for node in site.nodes:
            node.kill()
        assert (await browser.get(address)).status_code >= 500
    assert KEY not in site.proxy.logs
    assert "/events/human-input" in site.proxy.logs
