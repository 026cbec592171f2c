"""`Client` and `AsyncClient` against a real server, with faults in between: the same promises for both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from sayso import AsyncClient, Client, HumanInputServer
from sayso.client import Reset, client, following, pauses, transport
from sayso.client.client import PATIENCE
from sayso.errors import (
    AlreadySettled,
    Invalid,
    Misconfigured,
    NotFound,
    RequestMismatch,
    SaysoError,
    Unauthorised,
    Unavailable,
)
from sayso.model import Action, InputRequired, Option, Submission
from tests.builders import question
from tests.client.relay import Relay, free_port, relayed, reply
from tests.conftest import KEY
from tests.crewai.person import LONGEST
from tests.fault_proxy import Fault, FaultProxy, Way, fault_proxy

Serve = Callable[..., HumanInputServer]
EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
PAGE = reply(200, b"<html>Please log in</html>", Content_Type="text/html")


async def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` brings, from a thread that keeps no test from ending."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = work()
        except BaseException as exc:
            outcome["error"] = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, daemon=True).start()
    await done.wait()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


class InThreads:
    """`Client`, each call in a thread of its own; awaited like `AsyncClient`."""

    def __init__(self, url: str, key: str | None = KEY, **settings: Any) -> None:
        self.client = Client(url, key, **settings)

    async def do(self, name: str, *args: Any, **members: Any) -> Any:
        async with asyncio.timeout(LONGEST):
            return await in_thread(lambda: getattr(self.client, name)(*args, **members))

    async def all(self, **members: Any) -> list[Any]:
        return list(await in_thread(lambda: list(self.client.list(**members))))

    def follow(self, *args: Any, **members: Any) -> Followed:
        stream = self.client.follow(*args, **members)

        async def after_last() -> Any:
            return await in_thread(lambda: next(stream))

        async def close() -> None:
            await in_thread(stream.close)

        return Followed(after_last, close)


class OnLoop:
    """`AsyncClient`."""

    def __init__(self, url: str, key: str | None = KEY, **settings: Any) -> None:
        self.client = AsyncClient(url, key, **settings)

    async def do(self, name: str, *args: Any, **members: Any) -> Any:
        async with asyncio.timeout(LONGEST):
            return await getattr(self.client, name)(*args, **members)

    async def all(self, **members: Any) -> list[Any]:
        return [one async for one in self.client.list(**members)]

    def follow(self, *args: Any, **members: Any) -> Followed:
        stream = self.client.follow(*args, **members)
        return Followed(lambda: anext(stream), stream.aclose)


class Followed:
    """A stream, one at a time."""

    def __init__(self, after_last: Callable[[], Any], close: Callable[[], Any]) -> None:
        self._after_last = after_last
        self.close = close

    async def next(self) -> Any:
        async with asyncio.timeout(LONGEST):
            return await self._after_last()

    async def take(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]


Caller = InThreads | OnLoop
Connect = Callable[..., Caller]


@pytest.fixture(params=[InThreads, OnLoop], ids=["Client", "AsyncClient"])
async def reach(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Makes callers of either kind, and closes them."""
    made: list[Caller] = []

    def make(url: str, key: str | None = KEY, **settings: Any) -> Caller:
        made.append(request.param(url, key, **settings))
        return made[-1]

    yield make
    for caller in made:
        await caller.do("close")


@pytest.fixture
def caller(server: HumanInputServer, reach: Connect) -> Caller:
    return reach(server.url)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaks are followed by the next try almost at once."""
    monkeypatch.setattr(pauses, "random", SimpleNamespace(uniform=lambda low, high: min(high, 0.05)))


def ids(told: list[Any]) -> list[str]:
    return [one.event_id for one in told]


def shape(told: list[Any]) -> list[tuple[str, int]]:
    return [("asked" if isinstance(one, InputRequired) else "settled", one.seq) for one in told]


async def stored_ids(caller: Caller) -> list[str]:
    return [one.request_id for one in await caller.all()]


# Asking


async def test_a_question_gets_an_id_and_is_stored(caller: Caller) -> None:
    asked = await caller.do("ask", question(prompt="Which colour?"))
    assert (asked.prompt, asked.status, asked.durable, asked.asked_by) == (
        "Which colour?",
        "pending",
        True,
        "key:default",
    )
    assert await caller.do("get", asked.request_id) == asked
    assert await stored_ids(caller) == [asked.request_id]


@pytest.mark.promise("ASK-2")
async def test_a_question_keeps_its_id_and_is_asked_again_under_it(caller: Caller) -> None:
    asked = await caller.do("ask", question(request_id="mine"))
    assert await caller.do("ask", question(request_id="mine")) == asked
    with pytest.raises(RequestMismatch):
        await caller.do("ask", question(request_id="mine", prompt="Another?"))
    assert await stored_ids(caller) == ["mine"]


async def test_two_equal_questions_are_two(caller: Caller) -> None:
    first, second = await caller.do("ask", question()), await caller.do("ask", question())
    assert await stored_ids(caller) == [first.request_id, second.request_id]


@pytest.mark.promise("ASK-2")
async def test_a_question_whose_reply_is_lost_is_asked_once(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        relay.lose = 2
        asked = await reach(relay.url).do("ask", question())
        assert relay.calls == ["POST /requests"] * 3
    assert await stored_ids(reach(server.url)) == [asked.request_id]


async def test_an_invalid_question_is_refused_with_every_pointer(caller: Caller) -> None:
    with pytest.raises(Invalid) as caught:
        await caller.do("ask", question(prompt=" ", execution_id="not an id"))
    assert {fault.pointer for fault in caught.value.faults} == {"/prompt", "/execution_id"}
    assert await stored_ids(caller) == []


# Looking and waiting


async def test_looking_without_wait_comes_back_at_once_and_with_it_when_the_request_is_settled(
    server: HumanInputServer, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        asked = await caller.do("ask", question())
        assert (await caller.do("get", asked.request_id)).is_open
        waiting = asyncio.create_task(caller.do("get", asked.request_id, wait=50))
        await relay.until(lambda it: len(it.calls) == 3)
        assert not waiting.done()
        await caller.do("answer", asked.request_id, text="Blue")
        assert (await waiting).words == "Blue"


async def test_an_unknown_request_is_not_found(caller: Caller) -> None:
    with pytest.raises(NotFound):
        await caller.do("get", "unknown")
    with pytest.raises(NotFound):
        await caller.do("settled", "unknown")
    with pytest.raises(NotFound):
        await caller.do("answer", "unknown", text="yes")
    with pytest.raises(NotFound):
        await caller.do("cancel", "unknown")


async def test_what_is_settled_already_is_given_at_once(caller: Caller) -> None:
    asked = await caller.do("ask", question())
    answered = await caller.do("answer", asked.request_id, text="Blue")
    assert await caller.do("settled", asked.request_id) == answered


@pytest.mark.promise("SETTLE-1")
async def test_waiting_for_the_outcome_outlives_a_restart_of_the_server(
    serve: Serve, server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url, patience=0.0)
        asked = await caller.do("ask", question())
        waiting = asyncio.create_task(caller.do("settled", asked.request_id))
        await relay.until(lambda it: len(it.calls) >= 3)
        await asyncio.to_thread(server.stop)
        relay.replies = [PAGE, reply(404, b"<html>"), reply(503)]
        await relay.until(lambda it: not it.replies)
        assert not waiting.done()
        back = await asyncio.to_thread(serve, port=relay.target[1], store=server._store)
        await reach(back.url).do("answer", asked.request_id, text="Blue")
        assert (await waiting).words == "Blue"


# Listing


@pytest.mark.promise("STREAM-5")
async def test_requests_are_listed_in_asking_order_page_by_page(caller: Caller) -> None:
    asked = [(await caller.do("ask", question(execution_id=f"run-{n % 2}"))).request_id for n in range(5)]
    first = await caller.do("page", limit=2)
    second = await caller.do("page", limit=2, after=first.next)
    third = await caller.do("page", limit=2, after=second.next)
    assert [[one.request_id for one in page.requests] for page in (first, second, third)] == [
        asked[:2],
        asked[2:4],
        asked[4:],
    ]
    assert (first.next is None, second.next is None, third.next) == (False, False, None)
    later = await caller.do("ask", question(execution_id="later"))
    stream = caller.follow(after=third.cursor)
    assert (await stream.next()).request_id == later.request_id
    await stream.close()


async def test_all_pages_are_walked(server: HumanInputServer, reach: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    by_two = client.calls.listing
    monkeypatch.setattr(
        client.calls,
        "listing",
        lambda status, execution_id, after, limit, **more: by_two(status, execution_id, after, 2),
    )
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        asked = [(await caller.do("ask", question())).request_id for _ in range(5)]
        assert await stored_ids(caller) == asked
        assert len([call for call in relay.calls if call.startswith("GET /requests?")]) == 3


async def test_requests_are_listed_by_status_and_execution(caller: Caller) -> None:
    one, two, three = [await caller.do("ask", question(execution_id=run)) for run in ("a", "a", "b")]
    await caller.do("answer", one.request_id, text="yes")
    await caller.do("cancel", three.request_id)
    assert [it.request_id for it in await caller.all(status=["pending"])] == [two.request_id]
    assert [it.request_id for it in await caller.all(status=iter(["answered", "cancelled"]))] == [
        one.request_id,
        three.request_id,
    ]
    assert [it.request_id for it in await caller.all(execution_id="a", status=["answered"])] == [one.request_id]
    assert [it.request_id for it in await caller.all(execution_id="nobody")] == []
    with pytest.raises(Invalid, match="/execution_id"):
        await caller.all(execution_id="\udcff")  # what no address can hold
    with pytest.raises(Invalid) as caught:
        await caller.all(status=["done"])
    assert [fault.pointer for fault in caught.value.faults] == ["/status"]


# Answering

DELETE = Action(name="delete", args={"path": "/a"})
COLOURS = (Option(id="r", label="Red"), Option(id="b", label="Blue"))
LINES = {"type": "object", "properties": {"lines": {"type": "integer"}}, "required": ["lines"]}


@pytest.mark.parametrize(
    ("asked", "given", "decision", "members"),
    [
        ({"action": DELETE}, {"decision": "approve"}, "approve", {"text": None}),
        ({"action": DELETE}, {"decision": "reject", "comment": "no!"}, "reject", {"comment": "no!"}),
        ({"action": DELETE}, {"edited": {"path": "/b"}}, "edit", {"edited": {"path": "/b"}}),
        ({}, {"text": "shorter"}, "respond", {"text": "shorter"}),
        ({}, {"human_feedback": ""}, "respond", {"text": ""}),
        ({}, {"text": ""}, "respond", {"text": ""}),
        ({"kind": "review"}, {"human_feedback": ""}, "approve", {"text": None}),
        ({"kind": "review"}, {"edited": "A draft"}, "edit", {"edited": "A draft"}),
        ({"options": COLOURS}, {"option_ids": ("b",)}, "respond", {"option_ids": ("b",)}),
        ({"options": COLOURS}, {"text": "Blue"}, "respond", {"option_ids": ("b",)}),
        ({"response_schema": LINES}, {"values": {"lines": 0}}, "respond", {"values": {"lines": 0}}),
        ({"response_schema": {"type": "boolean"}}, {"values": False}, "respond", {"values": False}),
        ({"response_schema": {"type": "array"}}, {"values": []}, "respond", {"values": []}),
        pytest.param({"response_schema": {"type": "string"}}, {"values": ""}, "respond", {"values": ""}),
        pytest.param(
            {"kind": "review", "response_schema": {"type": "string"}},
            {"edited": ""},
            "edit",
            {"edited": ""},
        ),
    ],
    ids=str,
)
async def test_an_answer_arrives_as_it_was_given(
    caller: Caller, asked: dict[str, Any], given: dict[str, Any], decision: str, members: dict[str, Any]
) -> None:
    request = await caller.do("ask", question(**asked))
    settled = await caller.do("answer", request.request_id, **given)
    assert (settled.status, settled.settled_by, settled.settled_channel) == ("answered", "key:default", "http")
    assert settled.answer.decision == decision
    assert {name: getattr(settled.answer, name) for name in members} == members
    assert await caller.do("get", request.request_id) == settled


async def test_an_edit_that_is_blank_is_refused_and_not_dropped(caller: Caller) -> None:
    request = await caller.do("ask", question(kind="review"))
    with pytest.raises(Invalid):
        await caller.do("answer", request.request_id, edited="", human_feedback="")
    assert (await caller.do("get", request.request_id)).is_open


async def test_an_answer_may_be_given_as_a_submission_with_changes(caller: Caller) -> None:
    request = await caller.do("ask", question())
    given = Submission(text="shorter", answer_id="mine")
    settled = await caller.do("answer", request.request_id, given, comment="please")
    assert (settled.answer.answer_id, settled.answer.text, settled.answer.comment) == ("mine", "shorter", "please")
    assert await caller.do("answer", request.request_id, given) == settled


async def test_a_member_that_an_answer_does_not_have_is_told_before_anything_is_sent(caller: Caller) -> None:
    with pytest.raises(TypeError, match="txet"):
        await caller.do("answer", "any", txet="yes")


@pytest.mark.promise("ANSWER-3")
async def test_an_answer_whose_reply_is_lost_is_the_same_answer(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        request = await caller.do("ask", question())
        relay.lose = 2
        settled = await caller.do("answer", request.request_id, text="Blue")
        assert (settled.status, settled.words) == ("answered", "Blue")
        assert relay.calls[1:] == [f"POST /requests/{request.request_id}/answer"] * 3
        assert await caller.do("get", request.request_id) == settled


@pytest.mark.promise("ANSWER-2")
async def test_a_second_answer_learns_which_won(caller: Caller) -> None:
    request = await caller.do("ask", question())
    won = await caller.do("answer", request.request_id, text="Blue")
    for late in ({"text": "Red"}, {"text": "Blue"}):
        with pytest.raises(AlreadySettled) as caught:
            await caller.do("answer", request.request_id, **late)
        assert caught.value.request == won


@pytest.mark.promise("ANSWER-4")
async def test_an_answer_that_does_not_fit_is_refused_with_pointers_and_the_request_stays_open(caller: Caller) -> None:
    request = await caller.do("ask", question(response_schema=LINES))
    with pytest.raises(Invalid) as caught:
        await caller.do("answer", request.request_id, values={"lines": "three"})
    assert [fault.pointer for fault in caught.value.faults] == ["/values/lines"]
    assert (await caller.do("get", request.request_id)).is_open


# Giving up


@pytest.mark.promise("SETTLE-2")
async def test_a_request_is_given_up_with_a_reason(caller: Caller) -> None:
    request = await caller.do("ask", question())
    settled = await caller.do("cancel", request.request_id, "lunch")
    assert (settled.status, settled.reason, settled.answer) == ("cancelled", "lunch", None)


async def test_giving_up_whose_reply_is_lost_is_done(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        request = await caller.do("ask", question())
        relay.lose = 1
        settled = await caller.do("cancel", request.request_id, "lunch")
        assert (settled.status, settled.reason) == ("cancelled", "lunch")
        assert relay.calls[1:] == [f"POST /requests/{request.request_id}/cancel"] * 2


@pytest.mark.parametrize("first", ["answer", "another reason"])
async def test_giving_up_what_is_settled_otherwise_tells_how(caller: Caller, first: str) -> None:
    request = await caller.do("ask", question())
    if first == "answer":
        won = await caller.do("answer", request.request_id, text="yes")
    else:
        won = await caller.do("cancel", request.request_id, "rain")
    with pytest.raises(AlreadySettled) as caught:
        await caller.do("cancel", request.request_id, "lunch")
    assert caught.value.request == won


# The server, and what is in its place


@pytest.mark.parametrize("key", [None, "another-key"])
async def test_a_wrong_key_is_told_at_once(server: HumanInputServer, reach: Connect, key: str | None) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url, key)
        for call in (("ask", question()), ("get", "any"), ("page",)):
            with pytest.raises(Unauthorised):
                await caller.do(*call)
        assert len(relay.calls) == 3


@pytest.mark.parametrize("said", [PAGE, reply(404, b"<html>"), reply(301, Location="https://elsewhere.example/")])
async def test_an_address_that_answers_as_something_else_is_named_at_once(
    server: HumanInputServer, reach: Connect, said: bytes
) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [said]
        with pytest.raises(Misconfigured) as caught:
            await reach(relay.url).do("ask", question())
        assert relay.url in str(caught.value)
        assert len(relay.calls) == 1


async def test_a_body_that_is_not_what_its_headers_say_is_an_error_of_ours(
    server: HumanInputServer, reach: Connect
) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [reply(200, b"not zipped", Content_Encoding="gzip")]
        with pytest.raises(SaysoError):
            await reach(relay.url, patience=0.0).do("page")


@pytest.mark.parametrize("type_", [Client, AsyncClient])
@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "nonsense",
        "ftp://localhost",
        "http://user:pass@host",
        "http://a?x=1",
        "http://a/\udc80",
        "http://xn--/",
    ],
)
def test_what_is_no_address_is_refused_at_once(type_: Any, url: Any) -> None:
    with pytest.raises(Misconfigured, match="http://host:8000"):
        type_(url)


async def test_a_server_that_cannot_be_reached_is_told_when_patience_is_over(reach: Connect) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await reach(f"http://127.0.0.1:{free_port()}", patience=0.3).do("ask", question())


async def test_without_patience_nothing_is_tried_twice(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        relay.lose = 1
        with pytest.raises(Unavailable):
            await reach(relay.url, patience=0.0).do("page")
        assert len(relay.calls) == 1


async def test_a_server_that_comes_up_within_patience_is_asked(
    serve: Serve, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, paused = free_port(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def uniform(low: float, high: float) -> float:
        loop.call_soon_threadsafe(paused.set)
        return 0.05

    monkeypatch.setattr(pauses, "random", SimpleNamespace(uniform=uniform))
    asking = asyncio.create_task(reach(f"http://localhost:{port}").do("ask", question()))
    async with asyncio.timeout(LONGEST):
        await paused.wait()
    assert not asking.done()
    await asyncio.to_thread(serve, port=port)
    assert (await asking).is_open


async def test_a_hundred_who_wait_keep_nobody_from_answering(
    server: HumanInputServer, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_SLOWEST", 3.0)
    async with relayed(server.url) as relay:
        caller = reach(relay.url, patience=0.0)
        asked = await reach(server.url).do("ask", question())
        waiting = [asyncio.create_task(caller.do("get", asked.request_id, wait=50)) for _ in range(100)]
        await relay.until(lambda it: len(it.calls) == 100)
        try:
            await caller.do("answer", asked.request_id, text="Blue")
        finally:
            await relay.end()
            await asyncio.gather(*waiting, return_exceptions=True)


def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long either client would have slept; it does not."""
    told: list[float] = []

    async def sleep(seconds: float) -> None:
        told.append(seconds)

    monkeypatch.setattr(transport, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    monkeypatch.setattr(client, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    monkeypatch.setattr(client, "time", SimpleNamespace(**vars(client.time) | {"sleep": told.append}))
    monkeypatch.setattr(pauses, "random", SimpleNamespace(uniform=lambda low, high: high))
    return told


async def test_it_waits_as_long_as_the_server_says(
    server: HumanInputServer, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = slept(monkeypatch)
    async with relayed(server.url) as relay:
        relay.replies = [reply(503, Retry_After="7"), reply(429, Retry_After="never"), reply(502)]
        assert (await reach(relay.url).do("ask", question())).is_open
    assert told == pytest.approx([7.0, 0.4, 0.8])


async def test_a_server_that_asks_for_more_than_patience_is_told_at_once(
    server: HumanInputServer, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = slept(monkeypatch)
    async with relayed(server.url) as relay:
        relay.replies = [reply(503, Retry_After=f"{PATIENCE + 1:.0f}")]
        with pytest.raises(Unavailable):
            await reach(relay.url).do("ask", question())
        assert len(relay.calls) == 1
    assert told == []


async def test_a_follower_waits_as_long_as_the_server_says(
    server: HumanInputServer, reach: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = slept(monkeypatch)
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        await caller.do("ask", question())
        relay.replies = [reply(503, Retry_After="7")]
        await relay.end()
        stream = caller.follow("run-1")
        await stream.next()
        await stream.close()
    assert 7.0 in told


# Following


async def events_of(caller: Caller, count: int, execution_id: str = "run-1") -> None:
    """Asks and answers until the execution has so many events."""
    for _ in range(count // 2):
        asked = await caller.do("ask", question(execution_id=execution_id))
        await caller.do("answer", asked.request_id, text="yes")


SIX = [("asked", 1), ("settled", 2), ("asked", 3), ("settled", 4), ("asked", 5), ("settled", 6)]


@asynccontextmanager
async def followed(caller: Caller, *args: Any, **members: Any) -> AsyncIterator[Followed]:
    stream = caller.follow(*args, **members)
    yield stream
    await stream.close()


@pytest.mark.promise("STREAM-1", "STREAM-4")
async def test_an_execution_is_told_from_its_first_event_on_in_order(caller: Caller) -> None:
    await events_of(caller, 4)
    await events_of(caller, 2, "another-run")
    async with followed(caller, "run-1") as stream:
        told = await stream.take(4)
        coming = asyncio.create_task(stream.take(2))
        await events_of(caller, 2)
        told += await coming
    assert shape(told) == SIX
    assert len(set(ids(told))) == 6


@pytest.mark.promise("STREAM-2")
async def test_it_goes_on_after_any_event(caller: Caller) -> None:
    await events_of(caller, 6)
    async with followed(caller, "run-1") as stream:
        all = await stream.take(6)
    for seen in range(1, 6):
        async with followed(caller, "run-1", after=all[seen - 1].event_id) as stream:
            assert await stream.take(6 - seen) == all[seen:]


@pytest.mark.promise("STREAM-4")
async def test_all_executions_are_told_from_what_is_open_on(caller: Caller) -> None:
    await events_of(caller, 2, "over")
    left = await caller.do("ask", question(execution_id="a"))
    async with followed(caller) as stream:
        first = await stream.next()
        later = await caller.do("ask", question(execution_id="b"))
        second = await stream.next()
    assert [first.request_id, second.request_id] == [left.request_id, later.request_id]


@pytest.mark.promise("STREAM-1", "STREAM-2")
@pytest.mark.parametrize("execution_id", ["run-1", None])
async def test_a_connection_that_is_cut_in_and_after_every_event_makes_no_gap_and_no_repeat(
    server: HumanInputServer, reach: Connect, soon: None, execution_id: str | None
) -> None:
    in_the_first_event, after_it = Fault(Way(after=300, since=b"data: ")), Fault(Way(after=0, since=b"}\n\n"))
    async with fault_proxy(server.url, [in_the_first_event, after_it] * 8) as proxy:
        caller = reach(server.url)
        first = await caller.do("ask", question())
        async with followed(reach(proxy.url), execution_id) as stream:
            told = await stream.take(1)
            await caller.do("answer", first.request_id, text="yes")
            await events_of(caller, 4)
            told += await stream.take(5)
            last = await caller.do("ask", question())
            told += await stream.take(1)
        assert shape(told) == [*SIX, ("asked", 7)]
        assert told[-1].request_id == last.request_id
        calls = [bytes(one.up) for one in proxy.connections]
        assert proxy.struck == len(calls) == (14 if execution_id else 12)
        assert sum(call.count(b"GET /poll") for call in calls) == (0 if execution_id else 1)  # of all, it begins so


@pytest.mark.promise("STREAM-2", "STREAM-9")
async def test_a_follower_outlives_a_restart_of_the_server(
    serve: Serve, server: HumanInputServer, reach: Connect, soon: None
) -> None:
    caller = reach(server.url)
    port = httpx.URL(server.url).port
    async with followed(caller, "run-1") as stream:
        await events_of(caller, 2)
        told = await stream.take(2)
        coming = asyncio.create_task(stream.take(4))
        await asyncio.to_thread(server.stop)
        aside = await asyncio.to_thread(serve, store=server._store)
        await events_of(reach(aside.url), 2)
        await asyncio.to_thread(aside.stop)
        back = await asyncio.to_thread(serve, port=port, store=server._store)
        await events_of(reach(back.url), 2)
        told += await coming
    assert shape(told) == SIX


async def test_a_follower_of_all_misses_nothing_of_a_break_before_its_first_event(
    server: HumanInputServer, reach: Connect
) -> None:
    async with fault_proxy(server.url) as proxy:
        caller = reach(server.url)
        await events_of(caller, 2, "over")
        async with followed(reach(proxy.url)) as stream:
            coming = asyncio.create_task(stream.next())
            await until_streams(proxy, 1)
            async with proxy.refusing():
                await proxy.cut()
                await events_of(caller, 2)  # asked and answered while nobody hears
            await until_streams(proxy, 2)
            await events_of(caller, 2)
            assert (await coming).seq == 1


async def until_streams(proxy: FaultProxy, count: int) -> None:
    """Returns when so many connections have carried a stream."""
    await proxy.until(lambda it: sum(b": heartbeat" in one.down for one in it.connections) == count)


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("execution_id", ["run-1", None])
async def test_an_unknown_cursor_is_told_with_what_is_open_and_then_it_goes_on(
    caller: Caller, execution_id: str | None
) -> None:
    await events_of(caller, 2)
    left = await caller.do("ask", question())
    async with followed(caller, execution_id, after="made-up") as stream:
        reset = await stream.next()
        assert isinstance(reset, Reset)
        assert (reset.reason, reset.event_id, reset.more) == ("unknown-cursor", left.asked_event_id, False)
        assert reset.requests == (left,)
        await caller.do("answer", left.request_id, text="yes")
        assert shape([await stream.next()]) == [("settled", 4)]


@pytest.mark.promise("STREAM-3")
async def test_a_cursor_of_another_execution_is_told(caller: Caller) -> None:
    other = await caller.do("ask", question(execution_id="another-run"))
    async with followed(caller, "run-1", after=other.asked_event_id) as stream:
        reset = await stream.next()
    assert (reset.reason, reset.requests) == ("foreign-cursor", ())


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("road", ["events", "poll"])
async def test_an_unknown_cursor_of_an_empty_store_is_told_once(
    server: HumanInputServer, reach: Connect, soon: None, road: str
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        relay.replies = [PAGE] if road == "poll" else []
        async with followed(caller, after="made-up") as stream:
            assert isinstance(await stream.next(), Reset)
            coming = asyncio.create_task(stream.next())
            await relay.until(lambda it: it.calls[-1].startswith(f"GET /{road}"))
            if road == "events":
                await relay.end()
                await relay.until(lambda it: len(it.calls) == 2)
            asked = await reach(server.url).do("ask", question())
            assert ids([await coming]) == [asked.asked_event_id]


async def until_polled(relay: Relay) -> None:
    await relay.until(lambda it: it.calls[-1].startswith("GET /poll"))


@pytest.mark.promise("STREAM-1", "STREAM-8")
@pytest.mark.parametrize("in_the_way", [[PAGE], [EVENT_STREAM, EVENT_STREAM]], ids=["a page", "two mute streams"])
async def test_where_streams_do_not_come_through_it_polls(
    server: HumanInputServer, reach: Connect, soon: None, in_the_way: list[bytes]
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(server.url)
        await events_of(caller, 4)
        relay.replies = [*in_the_way]
        async with followed(reach(relay.url), "run-1") as stream:
            told = await stream.take(4)
            coming = asyncio.create_task(stream.take(2))
            await relay.until(lambda it: len(it.calls) == len(in_the_way) + 2)
            await events_of(caller, 2)
            told += await coming
        assert shape(told) == SIX
        assert all(call.startswith("GET /poll") for call in relay.calls[len(in_the_way) :])
        assert len(relay.calls) <= len(in_the_way) + 4  # held, not hammered


async def test_one_mute_stream_is_followed_by_another_stream(
    server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        await events_of(reach(server.url), 2)
        relay.replies = [EVENT_STREAM]
        async with followed(reach(relay.url), "run-1") as stream:
            assert shape(await stream.take(2)) == SIX[:2]
        assert [call.split("?")[0] for call in relay.calls] == ["GET /events/human-input/run-1"] * 2


async def test_a_server_that_comes_up_later_is_followed_by_a_stream(
    server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        await events_of(reach(server.url), 2)
        relay.replies = [reply(503)] * 3
        async with followed(reach(relay.url), "run-1") as stream:
            assert shape(await stream.take(2)) == SIX[:2]
        assert relay.calls[-1].startswith("GET /events")


@pytest.mark.promise("STREAM-3")
async def test_a_poll_tells_a_reset_before_what_is_open_and_then_goes_on(
    server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(server.url)
        await events_of(caller, 2)
        left = await caller.do("ask", question())
        relay.replies = [PAGE]
        async with followed(reach(relay.url), "run-1", after="made-up") as stream:
            reset, open_ = await stream.take(2)
            assert isinstance(reset, Reset)
            assert (reset.reason, reset.event_id) == ("unknown-cursor", left.asked_event_id)
            assert open_.event_id == left.asked_event_id
            await caller.do("answer", left.request_id, text="yes")
            assert shape([await stream.next()]) == [("settled", 4)]


async def test_a_poll_that_is_broken_off_goes_on_where_it_was(
    server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        caller = reach(server.url)
        await events_of(caller, 2)
        relay.replies = [PAGE]
        async with followed(reach(relay.url), "run-1") as stream:
            told = await stream.take(2)
            coming = asyncio.create_task(stream.take(4))
            await relay.until(lambda it: len(it.calls) == 3)
            relay.lose = 1
            await events_of(caller, 4)
            told += await coming
        assert shape(told) == SIX


async def test_a_stream_that_goes_silent_is_taken_up_again(
    server: HumanInputServer, reach: Connect, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SILENCE", 0.5)
    async with fault_proxy(server.url, [Fault(Way(after=0, then="hush", since=b"}\n\n"))]) as proxy:
        caller = reach(server.url)
        asked = await caller.do("ask", question())
        async with followed(reach(proxy.url), "run-1") as stream:
            told = await stream.take(1)
            await proxy.until(lambda it: it.struck == 1)
            await caller.do("answer", asked.request_id, text="yes")
            told += await stream.take(1)
        assert shape(told) == SIX[:2]
        assert f"?last_event_id={told[0].event_id} ".encode() in proxy.connections[1].up


async def test_closing_it_ends_the_connection(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        caller = reach(relay.url)
        await reach(server.url).do("ask", question())
        stream = caller.follow("run-1")
        await stream.next()
        assert relay.open == 1
        await stream.close()
        await relay.until(lambda it: it.open == 0)
        assert (await caller.do("page")).requests  # the client lives on


async def test_cancelling_whoever_follows_ends_the_connection(server: HumanInputServer) -> None:
    async with relayed(server.url) as relay, AsyncClient(relay.url, KEY) as one:

        async def run() -> None:
            async for _ in one.follow("run-1"):
                pass

        task = asyncio.create_task(run())
        await relay.until(lambda it: it.open == 1 and bool(it.calls))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await relay.until(lambda it: it.open == 0)


async def test_two_followers_and_an_answerer_share_one_client(server: HumanInputServer, reach: Connect) -> None:
    caller = reach(server.url)
    async with followed(caller, "run-1") as one, followed(caller, "run-1") as two:
        both = asyncio.gather(one.take(6), two.take(6))
        await events_of(caller, 6)
        first, second = await both
    assert shape(first) == SIX
    assert second == first


@pytest.mark.parametrize(
    ("key", "execution_id", "kind"), [("another-key", "run-1", Unauthorised), (KEY, "not an id", Invalid)]
)
async def test_what_the_server_refuses_it_with_ends_it(
    server: HumanInputServer, reach: Connect, key: str, execution_id: str, kind: type[SaysoError]
) -> None:
    async with relayed(server.url) as relay:
        with pytest.raises(kind):
            await reach(relay.url, key).follow(execution_id).next()
        assert len(relay.calls) == (kind is Unauthorised)  # what can be no id is not even sent


async def test_a_key_that_is_no_longer_good_ends_it_in_mid_follow(
    server: HumanInputServer, reach: Connect, soon: None
) -> None:
    async with relayed(server.url) as relay:
        await reach(server.url).do("ask", question())
        stream = reach(relay.url).follow("run-1")
        await stream.next()
        relay.replies = [reply(401, b'{"type":"urn:sayso:problem:unauthorised"}')]
        await relay.end()
        with pytest.raises(Unauthorised):
            await stream.next()


async def test_following_what_is_no_sayso_server_names_the_address(server: HumanInputServer, reach: Connect) -> None:
    async with relayed(server.url) as relay:
        relay.replies = [PAGE, PAGE]
        with pytest.raises(Misconfigured) as caught:
            await reach(relay.url).follow("run-1").next()
        assert relay.url in str(caught.value)
