"""Asking a server elsewhere over HTTP: once, whatever gets lost on the way, and for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import sayso
from sayso import HumanInputServer, connect, create_app
from sayso.asker import Asked
from sayso.client import RemoteAsker, pauses, remote, transport
from sayso.errors import (
    Forbidden,
    Invalid,
    Misconfigured,
    NoAnswer,
    NotFound,
    RequestMismatch,
    SaysoError,
    TooLarge,
    Unauthorised,
    Unavailable,
)
from sayso.model import Request
from tests.builders import Even, new_id, question
from tests.client.askers import Connect, connecting
from tests.client.relay import free_port, relayed
from tests.client.relay import reply as _reply
from tests.conftest import KEY
from tests.crewai.person import LONGEST, Person, in_turn, leave

Serve = Callable[..., HumanInputServer]
_RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def reach() -> Iterator[Connect]:
    """`sayso.connect`, with an end."""
    with connecting() as connect:
        yield connect


@pytest.fixture
def asker(server: HumanInputServer, reach: Connect) -> RemoteAsker:
    return reach(server.url, KEY)


async def _soon(future: Future[Request]) -> Request:
    async with asyncio.timeout(LONGEST):
        return await asyncio.wrap_future(future)


async def _error(future: Future[Request]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        await _soon(future)
    assert not isinstance(caught.value, TimeoutError)
    return caught.value


def _answer(url: str, request_id: str, text: str = "yes") -> None:
    reply = httpx.post(f"{url}/requests/{request_id}/answer", json={"human_feedback": text}, headers=_RIGHT)
    assert reply.status_code == 200, reply.text


def _cancel(url: str, request_id: str) -> None:
    httpx.post(f"{url}/requests/{request_id}/cancel", json={"reason": "lunch"}, headers=_RIGHT).raise_for_status()


def _told(url: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = httpx.get(f"{url}/requests", params={"limit": 1000}, headers=_RIGHT).json()["requests"]
    return told


# The straight road


async def test_a_question_is_stored_and_its_answer_comes_back(server: HumanInputServer, asker: RemoteAsker) -> None:
    asked = asker.submit(question(prompt="Which colour?"))
    stored = await _soon(asked.stored)
    assert (stored.status, stored.prompt, stored.durable, stored.asked_by) == (
        "pending",
        "Which colour?",
        True,
        "key:default",
    )
    assert not asked.settled.done()
    _answer(server.url, stored.request_id, "Blue")
    settled = await _soon(asked.settled)
    assert (settled.request_id, settled.status, settled.words) == (stored.request_id, "answered", "Blue")


async def test_a_question_keeps_the_request_id_that_it_has(asker: RemoteAsker) -> None:
    assert (await _soon(asker.submit(question(request_id="mine")).stored)).request_id == "mine"


@pytest.mark.promise("ASK-1")
async def test_asking_again_under_the_same_id_after_a_crash_takes_the_answer_of_before(
    server: HumanInputServer, asker: RemoteAsker, reach: Connect
) -> None:
    before = asker.submit(question(request_id="mine"))
    _answer(server.url, (await _soon(before.stored)).request_id, "Blue")
    first = await _soon(before.settled)
    again = reach(server.url, KEY).submit(question(request_id="mine"))
    assert await _soon(again.settled) == first
    assert len(_told(server.url)) == 1


@pytest.mark.parametrize("ending", ["", "/"])
async def test_the_address_may_be_that_of_a_mounted_server_or_end_in_a_slash(
    server: HumanInputServer, ending: str, reach: Connect
) -> None:
    assert (await _soon(reach(server.url + ending, KEY).submit(question()).stored)).is_open


async def test_a_server_that_is_mounted_under_a_prefix_is_asked(reach: Connect) -> None:
    from fastapi import FastAPI

    from tests.crewai.test_reach import _served

    api, mounted = FastAPI(), HumanInputServer(api_key=KEY, store=":memory:", quiet=True, adapters=False)
    api.mount("/sayso", create_app(mounted))
    try:
        with _served(api) as url:
            asked = reach(f"{url}/sayso", KEY).submit(question())
            request_id = (await _soon(asked.stored)).request_id
            await asyncio.to_thread(_answer, f"{url}/sayso", request_id)
            assert (await _soon(asked.settled)).words == "yes"
    finally:
        mounted.stop()


async def test_sayso_ask_takes_a_connected_server_and_asks_a_form_again(
    server: HumanInputServer, asker: RemoteAsker
) -> None:
    with Person(server.url, in_turn([{"values": {"lines": 3}}, {"values": {"lines": 4}}]), gone=server.stop) as reader:
        reply = await asyncio.to_thread(sayso.ask, "How many lines?", response=Even, asker=asker)  # type: ignore[arg-type]
    assert reply.values == Even(lines=4)
    assert [one["round"] for one in reader.asked] == [1, 2]
    assert reader.asked[1]["previous"] == reader.asked[0]["request_id"]


async def test_a_deadline_is_kept_by_the_server(asker: RemoteAsker) -> None:
    reply = await sayso.aask("Which colour?", timeout=0.05, default="Blue", asker=asker)
    assert (reply.text, reply.request.status) == ("Blue", "expired")
    with pytest.raises(NoAnswer, match="deadline"):
        await sayso.aask("Which colour?", timeout=0.05, asker=asker)


async def test_fifty_questions_wait_at_once_in_one_thread_and_each_gets_its_own_answer(
    server: HumanInputServer, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        before = {thread for thread in threading.enumerate() if thread.name == "sayso-client"}
        asker = reach(relay.url, KEY)
        asked = [asker.submit(question(prompt=f"Number {number}?")) for number in range(50)]
        stored = [await _soon(one.stored) for one in asked]
        now = {thread for thread in threading.enumerate() if thread.name == "sayso-client"}
        assert len(now - before) == 1
        await relay.until(lambda it: sum(call.startswith("GET") for call in it.calls) >= 50)
        assert relay.most <= 100
        for one in reversed(stored):
            await asyncio.to_thread(_answer, server.url, one.request_id, one.prompt)
        assert [(await _soon(one.settled)).words for one in asked] == [f"Number {number}?" for number in range(50)]
        await relay.until(lambda it: it.open <= 16)
    assert len(_told(server.url)) == 50


# What gets lost


@pytest.mark.promise("ASK-1")
@pytest.mark.parametrize("times", [1, 3])
async def test_a_question_whose_reply_is_lost_is_asked_once(
    server: HumanInputServer, times: int, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        relay.lose = times
        asked = reach(relay.url, KEY).submit(question())
        stored = await _soon(asked.stored)
        assert relay.calls[: times + 1] == ["POST /requests"] * (times + 1)
        assert [one["request_id"] for one in _told(server.url)] == [stored.request_id]
        await asyncio.to_thread(_answer, server.url, stored.request_id)
        assert (await _soon(asked.settled)).words == "yes"


async def test_an_answer_whose_reply_is_lost_is_looked_for_again(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        asked = reach(relay.url, KEY).submit(question())
        stored = await _soon(asked.stored)
        await relay.until(lambda it: it.calls[-1].startswith("GET"))
        relay.lose = 2
        await asyncio.to_thread(_answer, server.url, stored.request_id)
        assert (await _soon(asked.settled)).words == "yes"
        assert len([call for call in relay.calls if call.startswith("GET")]) == 3
        assert relay.calls.count("POST /requests") == 1


PASSING = {
    "503 as ours": _reply(503, b'{"type":"urn:sayso:problem:unavailable","detail":"busy"}', Retry_After="0"),
    "500 as ours": _reply(500, b'{"type":"urn:sayso:problem:internal","detail":"oh"}'),
    "502 of a proxy": _reply(502, b"<html>bad gateway</html>", Content_Type="text/html"),
    "504 without a word": _reply(504),
    "429": _reply(429, b'{"type":"urn:sayso:problem:too-many"}', Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
    "408": _reply(408),
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.0\r\n",
    "half a reply": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "nothing": b"",
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
async def test_what_passes_is_tried_again_and_asked_once(
    server: HumanInputServer, caplog: pytest.LogCaptureFixture, reply: bytes, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [reply, reply]
        asked = reach(relay.url, KEY).submit(question())
        stored = await _soon(asked.stored)
        assert len(relay.calls) >= 3
        assert [one["request_id"] for one in _told(server.url)] == [stored.request_id]
    tries = [record for record in caplog.records if record.name == "sayso.client.remote"]
    assert [record.levelname for record in tries[:2]] == ["WARNING"] * 2
    assert relay.url in tries[0].getMessage()
    assert KEY not in caplog.text


PAGE = _reply(200, b"<html>Please log in</html>")


async def test_an_address_that_answers_as_something_else_is_told_at_once(
    server: HumanInputServer, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [PAGE]
        error = await _error(reach(relay.url, KEY).submit(question()).stored)
    assert isinstance(error, Misconfigured)
    assert relay.url in str(error)
    assert _told(server.url) == []


async def test_a_page_in_between_costs_no_waiting_agent_its_answer(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        asked = reach(relay.url, KEY).submit(question())
        stored = await _soon(asked.stored)
        await relay.until(lambda it: it.calls[-1].startswith("GET"))
        relay.lose, relay.replies = 1, [PAGE]
        await asyncio.to_thread(_answer, server.url, stored.request_id)
        assert (await _soon(asked.settled)).words == "yes"


class _Told(logging.Handler):
    """Is set when something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.set()


@pytest.fixture
def warned() -> Iterator[threading.Event]:
    """Is set when the asker has failed to reach its server."""
    handler = _Told()
    remote.logger.addHandler(handler)
    yield handler.told
    remote.logger.removeHandler(handler)


async def test_a_server_that_comes_up_after_the_question_is_asked(
    serve: Serve, warned: threading.Event, reach: Connect
) -> None:
    port = free_port()
    asked = reach(f"http://localhost:{port}", KEY).submit(question())
    assert await asyncio.to_thread(warned.wait, LONGEST)
    assert not asked.stored.done()
    server = await asyncio.to_thread(serve, port=port)
    stored = await _soon(asked.stored)
    await asyncio.to_thread(_answer, server.url, stored.request_id)
    assert (await _soon(asked.settled)).words == "yes"
    assert len(_told(server.url)) == 1


@pytest.mark.promise("ASK-1")
@pytest.mark.parametrize("answered", ["after it was back", "by somebody quicker than the asker"])
async def test_a_question_outlives_a_restart_of_its_server(
    serve: Serve, server: HumanInputServer, warned: threading.Event, answered: str, reach: Connect
) -> None:
    port = httpx.URL(server.url).port
    asked = reach(server.url, KEY).submit(question())
    stored = await _soon(asked.stored)
    await asyncio.to_thread(server.stop)
    assert await asyncio.to_thread(warned.wait, LONGEST)
    assert not asked.settled.done()
    if answered != "after it was back":
        aside = await asyncio.to_thread(serve, store=server._store)
        await asyncio.to_thread(_answer, aside.url, stored.request_id)
        await asyncio.to_thread(aside.stop)
    back = await asyncio.to_thread(serve, port=port, store=server._store)
    if answered == "after it was back":
        assert [one["status"] for one in _told(back.url)] == ["pending"]
        await asyncio.to_thread(_answer, back.url, stored.request_id)
    assert (await _soon(asked.settled)).words == "yes"
    assert [one["request_id"] for one in _told(back.url)] == [stored.request_id]


# How it waits


def _with(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], Any]) -> None:
    """The asker's own sleep, and nobody else's; without chance."""
    monkeypatch.setattr(transport, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    monkeypatch.setattr(pauses, "random", SimpleNamespace(uniform=lambda low, high: high))


@pytest.mark.parametrize(
    ("said", "waited"),
    [("7", 7.0), ("0", 0.2), ("3600", 300.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.2), ("-5", 0.2), ("nan", 0.2)],
)
async def test_it_waits_as_long_as_the_server_says_within_reason(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch, said: str, waited: float, reach: Connect
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    _with(monkeypatch, sleep)
    async with relayed(server.url) as relay:
        relay.replies = [_reply(503, Retry_After=said)]
        await _soon(reach(relay.url, KEY).submit(question()).stored)
    assert pauses[0] == waited


async def test_the_pauses_grow_up_to_the_longest(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch, reach: Connect
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    _with(monkeypatch, sleep)
    async with relayed(server.url) as relay:
        relay.replies = [_reply(503)] * 9
        await _soon(reach(relay.url, KEY).submit(question()).stored)
    assert pauses[:9] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0])


async def test_a_server_that_does_not_hold_the_call_is_not_asked_without_a_pause(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch, reach: Connect
) -> None:
    """A proxy may drop `Prefer`; a server that is about to stop answers at once, too."""
    paused, goes_on = threading.Event(), threading.Event()

    async def sleep(seconds: float) -> None:
        paused.set()
        await asyncio.to_thread(goes_on.wait, LONGEST)

    _with(monkeypatch, sleep)
    async with relayed(server.url) as relay:
        relay.forget = b"Prefer"
        asked = reach(relay.url, KEY).submit(question())
        await _soon(asked.stored)
        hammered = asyncio.ensure_future(relay.until(lambda it: len(it.calls) > 100))
        rested = asyncio.ensure_future(asyncio.to_thread(paused.wait, LONGEST))
        await asyncio.wait([hammered, rested], return_when=asyncio.FIRST_COMPLETED)
        hammered.cancel()
        asked.settled.cancel()
        goes_on.set()
        assert rested.done(), f"{len(relay.calls)} calls one after the other"


async def test_cancelling_stops_the_waiting_and_leaves_a_request_open_whose_id_the_caller_knows(
    server: HumanInputServer, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        asked = reach(relay.url, KEY).submit(question(request_id="order-42"))
        stored = await _soon(asked.stored)
        await relay.until(lambda it: it.calls[-1].startswith("GET"))
        asked.settled.cancel()
        await relay.until(lambda it: it.open == 0)
        assert [(one["request_id"], one["status"]) for one in _told(server.url)] == [(stored.request_id, "pending")]


async def test_cancelling_an_awaited_question_cancels_the_request(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        asking = asyncio.create_task(sayso.aask("Which colour?", asker=reach(relay.url, KEY)))
        await relay.until(lambda it: bool(it.calls) and it.calls[-1].startswith("GET"))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        address = f"{server.url}/requests/{_told(server.url)[0]['request_id']}"
        look = asyncio.to_thread(httpx.get, address, params={"wait": LONGEST}, headers=_RIGHT, timeout=2 * LONGEST)
        settled = (await look).json()
        assert (settled["status"], settled["reason"]) == ("cancelled", "asker-gone")


async def test_cancelling_before_the_server_was_reached_ends_the_trying(
    serve: Serve, warned: threading.Event, reach: Connect
) -> None:
    port = free_port()
    asker = reach(f"http://localhost:{port}", KEY)
    asked = asker.submit(question())
    assert await asyncio.to_thread(warned.wait, LONGEST)
    asked.settled.cancel()
    assert isinstance(await _error(asked.stored), Unavailable | CancelledError)
    server = await asyncio.to_thread(serve, port=port)
    later = await _soon(asker.submit(question(prompt="Another?")).stored)
    assert [one["request_id"] for one in _told(server.url)] == [later.request_id]


# What the server refuses


async def _refusal(asked: Asked) -> BaseException:
    error = await _error(asked.stored)
    assert await _error(asked.settled) is error
    return error


@pytest.mark.promise("ASK-2")
async def test_an_invalid_question_is_refused_with_every_pointer(server: HumanInputServer, asker: RemoteAsker) -> None:
    error = await _refusal(asker.submit(question(prompt=" ", execution_id="not an id")))
    assert isinstance(error, Invalid)
    assert {fault.pointer for fault in error.faults} == {"/prompt", "/execution_id"}
    assert all(fault.detail for fault in error.faults)
    assert _told(server.url) == []


@pytest.mark.promise("ASK-2")
@pytest.mark.parametrize("road", ["in this process", "elsewhere"])
@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"metadata": {"it": object()}}, "/metadata"),
        ({"timeout": float("nan")}, "/timeout"),
        ({"timeout": float("inf")}, "/timeout"),
        ({"prompt": "half \ud800"}, "/prompt"),
    ],
)
async def test_what_json_cannot_hold_is_invalid_whoever_is_asked(
    server: HumanInputServer, asker: RemoteAsker, road: str, members: dict[str, Any], pointer: str
) -> None:
    asked = (asker if road == "elsewhere" else server).submit(question(**members))
    error = await _refusal(asked)
    assert isinstance(error, Invalid), repr(error)
    assert [fault.pointer for fault in error.faults] == [pointer]
    assert _told(server.url) == []


@pytest.mark.parametrize("key", [None, "another-key"])
async def test_a_wrong_key_is_told_at_once(server: HumanInputServer, key: str | None, reach: Connect) -> None:
    assert isinstance(await _refusal(reach(server.url, key).submit(question())), Unauthorised)


async def test_a_key_that_is_refused_while_it_waits_is_told(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        asked = reach(relay.url, KEY).submit(question())
        stored = await _soon(asked.stored)
        await relay.until(lambda it: it.calls[-1].startswith("GET"))
        await relay.end()
        relay.replies = [_reply(401, b'{"type":"urn:sayso:problem:unauthorised"}')]
        assert isinstance(await _error(asked.settled), Unauthorised)
        assert asked.stored.result() == stored


async def test_another_question_under_the_same_id_is_told(asker: RemoteAsker) -> None:
    id = new_id()
    await _soon(asker.submit(question(request_id=id)).stored)
    error = await _refusal(asker.submit(question(request_id=id, prompt="Something else?")))
    assert isinstance(error, RequestMismatch)


async def test_an_address_where_no_sayso_is_answers_not_found(server: HumanInputServer, reach: Connect) -> None:
    error = await _refusal(reach(f"{server.url}/nowhere", KEY).submit(question()))
    assert isinstance(error, NotFound)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (_reply(403, b'{"type":"urn:sayso:problem:forbidden"}'), Forbidden),
        (_reply(413, b'{"type":"urn:sayso:problem:too-large"}'), TooLarge),
        (_reply(301, Location="https://elsewhere.example/"), Misconfigured),
        (_reply(404, b"<html>no such page</html>"), Misconfigured),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(
    server: HumanInputServer, reply: bytes, kind: type[SaysoError], reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [reply]
        assert type(await _refusal(reach(relay.url, KEY).submit(question()))) is kind
        assert len(relay.calls) == 1
    assert _told(server.url) == []


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "localhost:8000", "//localhost:8000", "ftp://localhost", "http://", "http://a:x"),
        *("http://[::1", "http://a:99999", "http://a?x=1", "http://a/#here", None, 8000),
    ],
)
def test_what_is_no_address_is_refused_at_once(url: Any) -> None:
    with pytest.raises(Misconfigured, match="http://host:8000"):
        connect(url)


@pytest.mark.parametrize("key", ["two words", "schlüssel", "line\nbreak"])
def test_a_key_that_no_client_can_send_is_refused_at_once_and_not_told(key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        connect("http://localhost:9", api_key=key)
    assert key not in str(caught.value)


@pytest.mark.promise("SETTLE-4")
async def test_a_question_that_somebody_cancels_comes_back_without_an_answer(
    server: HumanInputServer, asker: RemoteAsker
) -> None:
    asked = asker.submit(question())
    stored = await _soon(asked.stored)
    await asyncio.to_thread(_cancel, server.url, stored.request_id)
    settled = await _soon(asked.settled)
    assert (settled.status, settled.reason, settled.answer) == ("cancelled", "lunch", None)


async def test_a_person_sees_a_question_from_elsewhere_as_any_other(
    server: HumanInputServer, asker: RemoteAsker
) -> None:
    with Person(server.url, leave, gone=server.stop) as reader:
        stored = await _soon(asker.submit(question(title="Paint")).stored)
        await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == 1)
    assert (reader.asked[0]["request_id"], reader.asked[0]["title"]) == (stored.request_id, "Paint")


# When nobody waits any more


async def test_closing_in_mid_wait_tells_whoever_waits_and_never_that_nothing_was_asked(
    server: HumanInputServer,
) -> None:
    asker = connect(server.url, api_key=KEY)
    asked = asker.submit(question())
    await _soon(asked.stored)
    await asyncio.to_thread(asker.close)
    assert type(await _error(asked.settled)) is Unavailable  # NotReady would send an agent to the console


async def test_a_question_given_up_is_cancelled_where_nobody_else_can_wait_for_it(asker: RemoteAsker) -> None:
    asked = asker.submit(question())
    stored = await _soon(asked.stored)
    asked.settled.cancel()
    again = await _soon(asker.submit(question(request_id=stored.request_id)).settled)
    assert (again.status, again.reason) == ("cancelled", "asker-gone")


async def test_a_server_that_cannot_be_reached_keeps_nobody_beyond_the_questions_time(
    monkeypatch: pytest.MonkeyPatch, reach: Connect
) -> None:
    monkeypatch.setattr(remote, "_GRACE", 0.1)
    asked = reach(f"http://127.0.0.1:{free_port()}", KEY).submit(question(timeout=0.1))
    assert isinstance(await _error(asked.settled), Unavailable)


def test_a_program_ends_while_a_thread_of_a_pool_waits_for_an_answer_from_elsewhere(server: HumanInputServer) -> None:
    code = f"""
import sayso, threading
from concurrent.futures import ThreadPoolExecutor
asker = sayso.connect({server.url!r}, api_key={KEY!r})
ThreadPoolExecutor().submit(sayso.ask, "Well?", asker=asker)
while asker._line is None or not asker._line.crossing._tasks:
    pass
print("leaving")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "leaving" in done.stdout, done.stderr
    assert done.returncode == 0


# what an agent keeps


async def test_what_an_asker_keeps_is_found_by_another(server: HumanInputServer, reach: Connect) -> None:
    async with asyncio.timeout(LONGEST):
        await asyncio.wrap_future(reach(server.url, KEY).keep("run-1", "draft-1", b"draft"))
        other = reach(server.url, KEY)
        assert await asyncio.wrap_future(other.kept("draft-1")) == b"draft"
        assert await asyncio.wrap_future(other.kept("draft-2")) is None


async def test_keeping_waits_for_a_server_that_is_away(serve: Serve, reach: Connect) -> None:
    port = free_port()
    asker = reach(f"http://127.0.0.1:{port}", KEY)
    kept = asker.keep("run-1", "draft-1", b"draft")
    await asyncio.to_thread(serve, port=port)
    async with asyncio.timeout(LONGEST):
        await asyncio.wrap_future(kept)
        assert await asyncio.wrap_future(asker.kept("draft-1")) == b"draft"


async def test_keeping_too_much_or_by_a_wrong_key_is_an_error_of_its_own(
    server: HumanInputServer, reach: Connect
) -> None:
    async with asyncio.timeout(LONGEST):
        with pytest.raises(TooLarge):
            await asyncio.wrap_future(reach(server.url, KEY).keep("run-1", "draft-1", b"x" * 5_000_000))
        with pytest.raises(Unauthorised):
            await asyncio.wrap_future(reach(server.url, "wrong").kept("draft-1"))


async def test_what_waits_to_be_kept_is_told_when_the_asker_is_closed(reach: Connect) -> None:
    asker = reach(f"http://127.0.0.1:{free_port()}", KEY)
    kept = asker.keep("run-1", "draft-1", b"draft")
    await asyncio.to_thread(asker.close)
    assert isinstance(kept.exception(LONGEST), Unavailable)
