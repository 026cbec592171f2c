"""Nodes on one database: whichever an agent asks, a person may answer on another, once, and be who they are there."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sayso import HumanInputServer, connect
from tests.builders import question
from tests.conftest import KEY
from tests.nodes.node import Node, ask, callers, nodes
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster
from tests.server.test_session import Browser

ROUNDS = int(os.environ.get("SAYSO_ROUNDS", "5"))
RIVALS = 50
WAYS: dict[str, Callable[[str, PgBouncer], str]] = {
    "straight": lambda url, _pgbouncer: url,
    "through PgBouncer": lambda url, pgbouncer: f"{pgbouncer.url(url)}?pgbouncer=true",
    "through PgBouncer, LISTEN straight": lambda url, pgbouncer: (
        f"{pgbouncer.url(url)}?pgbouncer=true&direct=127.0.0.1:{url.partition('@')[2].split(':')[1].split('/')[0]}"
    ),
}


@pytest.fixture(params=WAYS, scope="module")
def address(request: pytest.FixtureRequest, cluster: Cluster, pgbouncer: PgBouncer) -> str:
    """How the nodes reach a database of their own."""
    return WAYS[request.param](cluster.database(), pgbouncer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Node]]:
    async with nodes(address, tmp_path_factory.mktemp("nodes"), "", "", "") as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.promise("ANSWER-2", "ANSWER-3")
async def test_of_fifty_answers_on_three_nodes_at_one_moment_one_wins(three: list[Node]) -> None:
    async with asyncio.timeout(30 + 5 * ROUNDS), callers(*(node.url for node in three)) as apis:
        for number in range(ROUNDS):
            asked = await ask(apis[number % 3], execution_id=f"race-{number}")
            path = f"/requests/{asked['request_id']}"
            bodies = [{"human_feedback": "yes", "answer_id": str(uuid.uuid4())} for _ in range(RIVALS)]

            replies = await asyncio.gather(
                *(apis[rival % 3].post(f"{path}/answer", json=body) for rival, body in enumerate(bodies))
            )

            assert Counter(reply.status_code for reply in replies) == {200: 1, 409: RIVALS - 1}
            (won,) = [body["answer_id"] for body, reply in zip(bodies, replies, strict=True) if reply.is_success]
            told = [reply.json() for reply in replies]
            assert {one.get("request", one)["answer"]["answer_id"] for one in told} == {won}
            for api in apis:
                assert (await api.get(path)).json()["answer"]["answer_id"] == won
                again = await api.post(f"{path}/answer", json={"human_feedback": "yes", "answer_id": won})
                assert again.status_code == 200
                log = (await api.get(f"/poll/human-input/race-{number}")).json()["events"]
                assert [event["type"] for event in log] == ["human_input_required", "human_input_completed"]


@pytest.mark.promise("ASK-2", "ASK-3")
async def test_one_question_asked_on_every_node_at_one_moment_is_one(three: list[Node]) -> None:
    body = {"execution_id": "asked", "request_id": str(uuid.uuid4()), "prompt": "Ship it?"}
    async with asyncio.timeout(30), callers(*(node.url for node in three)) as apis:
        replies = await asyncio.gather(*(apis[number % 3].post("/requests", json=body) for number in range(RIVALS)))

        assert Counter(reply.status_code for reply in replies) == {201: 1, 200: RIVALS - 1}
        assert len((await apis[0].get("/poll/human-input/asked")).json()["events"]) == 1
        assert (await apis[1].post("/requests", json=body | {"prompt": "Sink it?"})).status_code == 409


@pytest.mark.promise("SETTLE-1")
async def test_an_agent_on_one_node_gets_the_answer_of_a_person_on_another(three: list[Node]) -> None:
    asker = connect(three[0].url, api_key=KEY)
    try:
        asked = asker.submit(question(execution_id="elsewhere"))
        async with asyncio.timeout(30), callers(three[1].url) as (person,):
            request_id = (await asyncio.wrap_future(asked.stored)).request_id
            reply = await person.post(f"/requests/{request_id}/answer", json={"human_feedback": "yes"})
            assert reply.status_code == 200
            assert (await asyncio.wrap_future(asked.settled)).human_feedback == "yes"
    finally:
        await asyncio.to_thread(asker.close)


@pytest.mark.promise("SETTLE-1")
async def test_an_agent_with_a_server_of_its_own_is_answered_on_another(address: str, three: list[Node]) -> None:
    agent = HumanInputServer(port=0, api_key=KEY, store=address, quiet=True, adapters=False)
    await asyncio.to_thread(agent.__enter__)
    try:
        asked = agent.submit(question(execution_id="embedded"))
        async with asyncio.timeout(30), callers(three[2].url) as (person,):
            await asyncio.wrap_future(asked.stored)
            (open_one,) = (await person.get("/requests?execution_id=embedded")).json()["requests"]
            reply = await person.post(f"/requests/{open_one['request_id']}/answer", json={"human_feedback": "yes"})
            assert reply.status_code == 200
            assert (await asyncio.wrap_future(asked.settled)).human_feedback == "yes"
    finally:
        await asyncio.to_thread(agent.stop)


@pytest.mark.promise("STREAM-1", "STREAM-2", "STREAM-5")
async def test_a_cursor_of_one_node_is_good_on_every_other(three: list[Node]) -> None:
    async with asyncio.timeout(30), callers(*(node.url for node in three)) as apis:
        cursor = (await apis[0].get("/requests")).json()["cursor"]
        for number in range(9):
            await ask(apis[number % 3], execution_id=f"cursors-{number % 2}")

        told = list[dict[str, Any]]()
        for number in range(9):
            page = (await apis[number % 3].get("/poll/human-input", params={"last_event_id": cursor})).json()
            told.append(page["events"][0])
            cursor = told[-1]["event_id"]

        assert [(one["execution_id"], one["seq"]) for one in told] == [
            (f"cursors-{number % 2}", number // 2 + 1) for number in range(9)
        ]


@pytest.mark.promise("SESSION-1", "SESSION-2", "SESSION-4")
async def test_whoever_signed_in_on_one_node_is_known_on_every_other(three: list[Node]) -> None:
    def answer_on_another_node() -> tuple[httpx.Response, dict[str, Any]]:
        here, there = Browser(three[0].url), Browser(three[1].url)
        try:
            asked = here.http.post("/requests", json={"execution_id": "inbox", "prompt": "?"}, headers=_key()).json()
            assert here.sign_in().status_code == 200
            there.http.cookies, there.csrf = here.http.cookies, here.csrf
            assert there.call("GET", "/session").json()["by"] == "session:default"
            answered = there.call("POST", f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"})
            return answered, there.call("GET", "/poll/human-input/inbox").json()["events"][-1]
        finally:
            here.http.close()
            there.http.close()

    response, event = await asyncio.to_thread(answer_on_another_node)

    assert response.status_code == 200
    assert (event["by"], event["channel"]) == ("session:default", "inbox")


def _key() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}
