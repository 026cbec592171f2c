"""`GET /metrics`: that what it says is so, what it costs, and who may see it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import httpx
import pytest
import websockets
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sayso import HumanInputServer
from sayso.meters import Counter, Histogram, Metric
from tests.builders import new_id
from tests.conftest import KEY
from tests.promtool import promtool
from tests.server.followers import FOLLOWERS, take
from tests.server.keyholder import call, make_key
from tests.server.raw import call as call_raw
from tests.server.raw import say
from tests.server.scraped import samples, samples_of, scrape

Ask = Callable[..., dict[str, Any]]
_RIGHT = {"Authorization": f"Bearer {KEY}"}
_RUN = new_id()


async def _answer_by_socket(url: str, id: str, **members: Any) -> dict[str, Any]:
    address = url.replace("http", "ws", 1) + "/ws/human-input/other"
    async with asyncio.timeout(10), websockets.connect(address, additional_headers=_RIGHT) as socket:
        await socket.send(json.dumps({"type": "answer", "request_id": id} | members))
        told: dict[str, Any] = json.loads(await socket.recv())
        return told


@pytest.mark.promise("METRIC-1")
async def test_each_question_is_counted_as_what_it_was_and_became(server: HumanInputServer, ask: Ask) -> None:
    review = {"kind": "review", "context": "a draft"}
    by_http, by_socket, given_up, left = ask()["request_id"], ask()["request_id"], ask(**review)["request_id"], ask()
    expired = ask(timeout=0.01, on_timeout="reject", kind="approval")["request_id"]
    cancelled = ask(timeout=0.01, on_timeout="cancel")["request_id"]
    for _ in range(2):  # the same answer, counted once
        answer = {"human_feedback": "yes", "answer_id": "mine"}
        assert call("POST", f"{server.url}/requests/{by_http}/answer", KEY, json=answer).status_code == 200
    assert (await _answer_by_socket(server.url, by_socket, human_feedback="yes"))["type"] == "answer_accepted"
    call("POST", f"{server.url}/requests/{given_up}/cancel", KEY)
    for id, status in ((expired, "expired"), (cancelled, "cancelled")):
        assert call("GET", f"{server.url}/requests/{id}?wait=20", KEY).json()["status"] == status
    ask_again = {"execution_id": "run-1", "prompt": "Ship it?", "request_id": left["request_id"]}
    assert call("POST", f"{server.url}/requests", KEY, json=ask_again).status_code == 200
    seen = samples(server.url)
    assert {name: value for name, value in seen.items() if name.startswith("sayso_questions_") and value} == {
        'sayso_questions_asked_total{channel="http",kind="question"}': 4,
        'sayso_questions_asked_total{channel="http",kind="review"}': 1,
        'sayso_questions_asked_total{channel="http",kind="approval"}': 1,
        'sayso_questions_settled_total{kind="question",status="answered"}': 2,
        'sayso_questions_settled_total{kind="question",status="cancelled"}': 1,
        'sayso_questions_settled_total{kind="review",status="cancelled"}': 1,
        'sayso_questions_settled_total{kind="approval",status="expired"}': 1,
        'sayso_questions_timed_out_total{kind="question"}': 1,
        'sayso_questions_timed_out_total{kind="approval"}': 1,
        "sayso_questions_open": 1,
    }
    for channel in ("http", "websocket"):
        labels = f'channel="{channel}",kind="question"'
        assert seen[f"sayso_answer_seconds_count{{{labels}}}"] == 1
        assert seen[f'sayso_answer_seconds_bucket{{channel="{channel}",kind="question",le="+Inf"}}'] == 1
        assert seen[f"sayso_answer_seconds_sum{{{labels}}}"] > 0
    assert not any("expired" in name or "system" in name for name in seen if name.startswith("sayso_answer_seconds"))
    assert seen["sayso_oldest_question_seconds"] > 0
    assert seen["sayso_store_commit_writes_sum"] >= 9
    assert seen["sayso_store_commit_seconds_count"] == seen["sayso_store_commit_writes_count"] > 0


@pytest.mark.promise("METRIC-1")
async def test_followers_are_counted_while_they_follow(
    server: HumanInputServer, ask: Ask, lane: str, lost: threading.Semaphore
) -> None:
    ask(execution_id=_RUN)
    held = [follower(server.url).events(_RUN) for follower in FOLLOWERS for _ in range(2)]
    for stream in held:
        await take(stream, 1)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in held]
    await _until(server, ws=2, sse=2, poll=2)
    for task in waiting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for stream in held:
        await stream.aclose()  # type: ignore[attr-defined]  # they are generators
    await _until(server, ws=0, sse=0, poll=0)


async def _until(server: HumanInputServer, **followers: int) -> None:
    """Returns when so many follow."""
    async with asyncio.timeout(20):
        while True:
            seen = await asyncio.to_thread(samples, server.url)
            if all(seen[f'sayso_followers{{transport="{one}"}}'] == count for one, count in followers.items()):
                return


async def test_resumes_and_resets_are_counted(server: HumanInputServer, ask: Ask, lane: str) -> None:
    ask(execution_id=_RUN)
    ask(execution_id=_RUN)
    for follower in FOLLOWERS:
        async with aclosing(follower(server.url).events(_RUN)) as stream:
            first, _ = await take(stream, 2)
            async with aclosing(follower(server.url).events(_RUN, first["event_id"])) as other:
                await take(other, 1)  # what another one has just been told needs no look at the store
        async with aclosing(follower(server.url).events(_RUN, first["event_id"])) as stream:
            await take(stream, 1)
        async with aclosing(follower(server.url).events(_RUN, "unknown")) as stream:
            assert (await take(stream, 1))[0]["type"] == "reset"
        async with aclosing(follower(server.url).events(new_id(), first["event_id"])) as stream:
            assert (await take(stream, 1))[0]["type"] == "reset"
    seen = samples(server.url)
    assert seen["sayso_resumes_total"] == 4  # a poll is no stream: each goes on from a cursor
    assert seen['sayso_resets_total{reason="unknown-cursor"}'] == 3
    assert seen['sayso_resets_total{reason="foreign-cursor"}'] == 3


@pytest.mark.promise("METRIC-1")
async def test_each_refusal_is_counted_by_its_code(server: HumanInputServer, lane: str) -> None:
    def refused() -> dict[str, float]:
        seen = samples(server.url)
        found = {name: value for name, value in seen.items() if name.startswith("sayso_refusals") and value}
        return {re.findall('"(.*)"', name)[0]: value for name, value in found.items()}

    assert refused() == {}
    for road in ("requests", "poll/human-input", "events/human-input/run-1", "ws/human-input/run-1"):
        assert (await call_raw(server.url, f"/{road}")).status == 401
    assert refused() == {"unauthorised": 4}
    for path, status in (("/requests/none", 404), ("/requests?limit=x", 422), ("/nothing", 404), ("/metrics/x", 404)):
        assert call("GET", f"{server.url}{path}", KEY).status_code == status
    assert call("DELETE", f"{server.url}/requests", KEY).status_code == 405
    assert (await _answer_by_socket(server.url, "none", human_feedback="yes"))["type"] == "error"
    assert (await call_raw(server.url, "/poll/human-input/a?wait=x", ("Authorization", f"Bearer {KEY}"))).status == 422
    assert refused() == {"unauthorised": 4, "not-found": 4, "invalid": 2, "method-not-allowed": 1}
    assert (await say(server.url, b"nonsense\r\n\r\n")).status == 400
    assert (await call_raw(server.url, "/health", ("Host", "a"), ("Host", "b"))).status == 400
    assert refused()["malformed"] >= 1
    assert sum(refused().values()) == 13


@pytest.mark.promise("METRIC-2")
def test_metrics_take_a_key_of_their_own_and_hold_nothing_of_questions(server: HumanInputServer, ask: Ask) -> None:
    made = make_key(server.url, "metrics", name="the-prometheus-key")
    for scope in ("ask", "answer", "read", "admin"):
        other = make_key(server.url, scope)["secret"]
        assert call("GET", f"{server.url}/metrics", other).status_code == 403
    assert httpx.get(f"{server.url}/metrics").status_code == 401
    stored = ask(execution_id="run-canary", prompt="a canary", context_data={"agent": "agent-canary"}, title="canary")
    call("POST", f"{server.url}/requests/{stored['request_id']}/answer", KEY, json={"human_feedback": "canary"})
    for path in ("/requests", "/poll/human-input", "/audit", "/keys"):
        assert call("GET", server.url + path, made["secret"]).status_code == 403
    text = scrape(server.url, made["secret"]).text
    assert "sayso_questions_asked_total" in text
    for word in ("canary", "the-prometheus-key", stored["request_id"], made["key"]["id"], KEY):
        assert word not in text


def test_the_format_is_the_one_that_is_asked_for(server: HumanInputServer, ask: Ask) -> None:
    ask()
    plain, open_metrics = scrape(server.url), scrape(server.url, accept="application/openmetrics-text;version=1.0.0")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert plain.headers["cache-control"] == "no-store"
    for odd in ("application/openmetrics-text;version=x", "text/plain;version=x", ";,;", "*/*"):
        answered = call("GET", f"{server.url}/metrics", KEY, headers={"Accept": odd})
        assert answered.status_code == 200
        assert "version=x" not in answered.headers["content-type"]
    assert open_metrics.text.endswith("# EOF\n")
    named = {family.name for family in text_string_to_metric_families(open_metrics.text)}
    asked = {name for name in samples_of(plain.text) if "asked" in name}
    assert {name.partition("{")[0].removesuffix("_total") for name in asked} <= named


@pytest.mark.promise("METRIC-3")
def test_promtool_has_nothing_against_the_metrics(server: HumanInputServer, ask: Ask) -> None:
    call("POST", f"{server.url}/requests/{ask()['request_id']}/answer", KEY, json={"human_feedback": "yes"})
    checked = promtool("check", "metrics", text=scrape(server.url).text)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.promise("METRIC-3")
def test_promtool_sees_a_name_that_is_none() -> None:
    checked = promtool("check", "metrics", text="# TYPE sayso_questions counter\nsayso_questions 1\n")
    assert checked.returncode == 3
    assert "should have" in checked.stdout + checked.stderr


async def test_an_event_costs_the_metrics_the_same_however_many_follow(
    server: HumanInputServer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[object] = []
    for meter in (Counter, Histogram):
        own = meter.add
        monkeypatch.setattr(meter, "add", lambda self, *how, own=own: (added.append(self), own(self, *how))[1])
    ask(execution_id=_RUN)
    alone = len(added)
    assert alone > 0
    held = [follower(server.url).events(_RUN) for follower in FOLLOWERS for _ in range(10)]
    for stream in held:
        await take(stream, 1)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in held]
    await _until(server, ws=10, sse=10, poll=10)
    added.clear()
    await asyncio.to_thread(lambda: ask(execution_id=_RUN))
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
    assert len(added) == alone
    for stream in held:
        await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.promise("METRIC-1")
def test_each_node_counts_what_it_did_and_all_say_what_is_open(
    serve: Callable[..., HumanInputServer], database: str
) -> None:
    one, other = serve(store=database), serve(store=database)
    ids = [new_id() for _ in range(3)]
    for id in ids:
        question = {"execution_id": "run-1", "request_id": id, "prompt": "Ship it?"}
        assert call("POST", f"{one.url}/requests", KEY, json=question).status_code == 201
        assert call("POST", f"{other.url}/requests", KEY, json=question).status_code == 200
    for url, status in ((other.url, 200), (one.url, 409)):
        answer = {"human_feedback": "yes"}
        assert call("POST", f"{url}/requests/{ids[0]}/answer", KEY, json=answer).status_code == status
    first, second = samples(one.url), samples(other.url)
    asked, answered = (
        'sayso_questions_asked_total{channel="http",kind="question"}',
        'sayso_questions_settled_total{kind="question",status="answered"}',
    )
    assert (first[asked], first[answered]) == (3, 0)
    assert (second.get(asked, 0), second[answered]) == (0, 1)
    assert first["sayso_questions_open"] == second["sayso_questions_open"] == 2
    assert first["sayso_store_commit_writes_sum"] >= 3


async def test_whatever_runs_beside_the_gateway_adds_its_own(server: HumanInputServer) -> None:
    def read() -> list[Metric]:
        return [Metric(name="sayso_test_lag_seconds", help="A test's.", kind="gauge", samples=(((), 1.5),))]

    assert server._running is not None

    async def add(gateway: Any) -> None:
        gateway.meters.add(read)

    await server._running.call(add)
    assert samples(server.url)["sayso_test_lag_seconds"] == 1.5
