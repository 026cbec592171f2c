"""The fast lane's own: which calls it takes, what it hands over, and that nobody gets what is another's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx_sse
import pytest
import websockets

from sayso import HumanInputServer, limits
from sayso.feeds import feed
from sayso.server.access import CallersAccess
from sayso.server.caller import ANYONE, SERVER_KEY
from sayso.server.lane import connection
from sayso.server.lane.again import Again
from sayso.server.lane.head import recognised
from sayso.server.lane.poll import Poll
from sayso.server.lane.stream import Stream
from sayso.server.lane.websocket import Socket
from sayso.store import Hint
from sayso.waker import Waker
from tests.builders import new_id
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, take, tasks_of, until_at_least, until_only

_RIGHT = f"Authorization: Bearer {KEY}\r\n".encode()
_HEAD = b"GET /events/human-input/run-1 HTTP/1.1\r\nHost: localhost\r\n"
_TAKEN = [
    _HEAD + b"\r\n",
    _HEAD + b"Accept: text/event-stream\r\nX-Empty:\r\nX-Latin: \xe9\r\n\r\n",
    b"GET /poll/human-input?wait=5&last_event_id=a HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET /ws/human-input/run-1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]
_HANDED_OVER = {
    "another method": _HEAD.replace(b"GET", b"HEAD") + b"\r\n",
    "another address": _HEAD.replace(b"/events/human-input", b"/events/other") + b"\r\n",
    "an empty execution": _HEAD.replace(b"run-1", b"") + b"\r\n",
    "another level": _HEAD.replace(b"run-1", b"run-1/more") + b"\r\n",
    "an escape": _HEAD.replace(b"run-1", b"run%2D1") + b"\r\n",
    "a fragment": _HEAD.replace(b"run-1", b"run-1#part") + b"\r\n",
    "a whole address": _HEAD.replace(b"/events", b"http://localhost/events") + b"\r\n",
    "an older version": _HEAD.replace(b"1.1", b"1.0") + b"\r\n",
    "bare line feeds": (_HEAD + b"\r\n").replace(b"\r\n", b"\n"),
    "half a head": _HEAD,
    "a folded line": _HEAD + b"X-Folded: a\r\n b\r\n\r\n",
    "a space before the colon": _HEAD + b"X-Spaced : a\r\n\r\n",
    "no name": _HEAD + b": a\r\n\r\n",
    "a control character": _HEAD + b"X-Control: a\x00b\r\n\r\n",
    "a carriage return": _HEAD + b"X-Return: a\rb\r\n\r\n",
    "a body": _HEAD + b"\r\n{}",
    "two calls": (_HEAD + b"\r\n") * 2,
    "spaces in the target": _HEAD.replace(b"run-1", b"run 1") + b"\r\n",
    "bytes in the target": _HEAD.replace(b"run-1", b"run-\xff") + b"\r\n",
}
_UNDECIDED = {
    "a length": _HEAD + b"Content-Length: 0\r\n\r\n",
    "an encoding": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "an expectation": _HEAD + b"Expect: 100-continue\r\n\r\n",
    "no host": _HEAD.replace(b"Host: localhost\r\n", b"") + b"\r\n",
    "an upgrade of what is no WebSocket": _HEAD + b"Upgrade: h2c\r\n\r\n",
    "a WebSocket without an upgrade": _HEAD.replace(b"/events", b"/ws") + b"\r\n",
}


@pytest.mark.parametrize("data", _TAKEN)
def test_a_whole_plain_head_is_taken(data: bytes) -> None:
    head = recognised(data)
    assert head is not None
    assert head.is_plain
    scope = head.scope({"scheme": "http", "client": None, "server": None})
    assert scope is not None
    names = [name for name, _ in scope["headers"]]
    assert b"host" in names
    assert names == [name.lower() for name in names]


@pytest.mark.parametrize("data", _HANDED_OVER.values(), ids=_HANDED_OVER)
def test_what_can_be_read_in_two_ways_or_is_elsewhere_is_another_s(data: bytes) -> None:
    head = recognised(data)
    assert head is None or not head.is_plain


@pytest.mark.parametrize("data", _UNDECIDED.values(), ids=_UNDECIDED)
def test_a_call_that_wants_more_than_its_address_promises_is_another_s(data: bytes) -> None:
    head = recognised(data)
    assert head is not None
    assert head.scope({}) is None


@pytest.mark.parametrize("data", [*_TAKEN, *_HANDED_OVER.values(), *_UNDECIDED.values()])
async def test_both_lanes_answer_every_call_alike(
    door: HumanInputServer, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that the one hands to the other."""

    async def answer() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(door.url).port)
        writer.write(data.replace(b"\r\nHost", b"\r\n" + _RIGHT + b"Host", 1))
        writer.write_eof() if data is _HEAD else None
        async with asyncio.timeout(20):
            line = await reader.readline()
        writer.close()
        return line

    monkeypatch.setattr(limits, "RECEIVE", 0.3)
    fast = await answer()
    monkeypatch.setattr(connection, "recognised", lambda data: None)
    assert await answer() == fast


def test_the_same_bytes_but_for_the_cursor_are_the_next_poll() -> None:
    use: Any = CallersAccess(None, SERVER_KEY)  # type: ignore[arg-type]
    call = b"GET /poll/human-input/run-1?wait=5&last_event_id=%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    again = Again("run-1", 5.0, use, "").like(call % b"one", "one")
    assert again is not None
    assert again.cursor_in(call % b"another-1_2") == b"another-1_2"
    assert again.cursor_in(call % b"") is None
    assert again.cursor_in((call % b"one").replace(b"localhost", b"localhos!")) is None
    assert again.cursor_in((call % b"one").replace(b"run-1", b"run-2")) is None
    assert again.cursor_in(call % b"one" + b"GET") is None
    assert again.cursor_in(b"GET /poll") is None


def test_a_poll_that_its_bytes_do_not_tell_is_not_expected_again() -> None:
    twice = b"GET /poll/human-input/one?last_event_id=one HTTP/1.1\r\n\r\n"
    assert Again("one", 0.0, CallersAccess(None, ANYONE), "").like(twice, "one") is None  # type: ignore[arg-type]
    of_all = b"GET /poll/human-input HTTP/1.1\r\n\r\n"
    assert Again(None, 0.0, CallersAccess(None, ANYONE), "").like(of_all, None) is None  # type: ignore[arg-type]


@pytest.mark.promise("STREAM-6")
async def test_httpx_sse_hears_events_alone_however_long_it_is_quiet_between(
    server: HumanInputServer, ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes an empty line for the end of an event, also where there was only a comment."""
    monkeypatch.setattr(limits, "HEARTBEAT", 0.1)
    asked = [ask(), ask()]
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(headers=headers) as client,
        httpx_sse.aconnect_sse(client, "GET", f"{server.url}/events/human-input/run-1") as source,
    ):
        events = source.aiter_sse()
        heard = [(await anext(events)).json()["request_id"] for _ in range(2)]
        await asyncio.sleep(0.5)  # a few heartbeats
        asked.append(await asyncio.to_thread(ask))
        heard.append((await anext(events)).json()["request_id"])
    assert heard == [one["request_id"] for one in asked]


@asynccontextmanager
async def _open(url: str, path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + _RIGHT + b"\r\n")
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.promise("STREAM-1")
async def test_who_goes_while_all_are_told_leaves_nothing_to_whoever_comes(
    server: HumanInputServer, ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that closes amid a telling, and one that takes its descriptor right then: it hears its own alone."""
    monkeypatch.setattr(feed, "_TURN", 1)
    gone: list[Stream] = []
    write = feed.Feed._write

    def cutting(self: feed.Feed, block: Any, most: float) -> int:
        members = [one for _, members in block.left for one in members]
        for member in members[1::2]:
            if isinstance(member, Stream) and not member.is_over:
                member.transport.abort()
                gone.append(member)
        return write(self, block, most)

    other, cursor, before = new_id(), None, await tasks_of(server)
    for _ in range(5):
        followers = [asyncio.create_task(_heard(server, "run-1", last=cursor)) for _ in range(10)]
        await until_at_least(server, before + 10)
        with monkeypatch.context() as patched:
            patched.setattr(feed.Feed, "_write", cutting)
            cursor = (await asyncio.to_thread(ask))["asked_event_id"]
            strangers = [asyncio.create_task(_heard(server, other)) for _ in range(10)]
            await asyncio.wait(followers)
        await asyncio.to_thread(partial(ask, execution_id=other))
        for heard in await asyncio.gather(*strangers):
            assert {event["execution_id"] for event in heard} == {other}
        other = new_id()
        await until_only(server, before)
    assert len(gone) >= 5


async def _heard(server: HumanInputServer, execution_id: str, *, last: str | None = None) -> list[dict[str, Any]]:
    """Everything up to the first event, or the end."""
    heard: list[dict[str, Any]] = []
    query = f"?last_event_id={last}" if last else ""
    async with _open(server.url, f"/events/human-input/{execution_id}{query}") as (reader, _):
        async with asyncio.timeout(20):
            while not heard and (line := await reader.readline()):
                if line.startswith(b"data: "):
                    heard.append(json.loads(line[6:]))
    return heard


async def test_an_answer_is_given_while_thousands_are_told(
    server: HumanInputServer,
    ask: Callable[..., dict[str, Any]],
    api: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two turns of the telling, calls are answered: this many writes at most come before one."""
    monkeypatch.setattr(feed, "_TURN", 5)
    told: list[int] = []
    write = feed.Feed._write

    def counted(self: feed.Feed, block: Any, most: float) -> int:
        told.append(write(self, block, most))
        return told[-1]

    monkeypatch.setattr(feed.Feed, "_write", counted)
    sockets = [
        await websockets.connect(
            server.url.replace("http", "ws", 1) + "/ws/human-input/run-1",
            additional_headers={"Authorization": f"Bearer {KEY}"},
        )
        for _ in range(50)
    ]
    asked = await asyncio.to_thread(ask)
    answered = await api.post(f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"})
    assert answered.status_code == 200
    for socket in sockets:
        assert [json.loads(await socket.recv())["type"] for _ in range(2)] == [
            "human_input_required",
            "human_input_completed",
        ]
        await socket.close()
    assert max(told) <= 5
    assert sum(told) >= 100


@pytest.mark.promise("STREAM-8")
async def test_polls_that_go_on_from_memory_lose_nothing_and_see_what_was_just_written(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll without a wait, right after the call that wrote and before that is news, and held ones beside it."""
    hear, told = Waker.hear, threading.Semaphore(0)

    def told_late(waker: Waker, hint: Hint | None) -> None:
        hear(waker, hint)
        told.release()

    def late(waker: Waker, hint: Hint | None) -> None:
        asyncio.get_running_loop().call_later(0.05, told_late, waker, hint)

    monkeypatch.setattr(Waker, "hear", late)
    fast: list[bool] = []
    comes_again = Poll.comes_again

    def noted(self: Poll, data: bytes) -> bool:
        fast.append(comes_again(self, data))
        return fast[-1]

    monkeypatch.setattr(Poll, "comes_again", noted)
    execution_id, cursor = new_id(), None
    poll = next(kind for kind in FOLLOWERS if kind.road == "poll")
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as api,
        httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as polls,
        aclosing(poll(server.url).events(execution_id)) as stream,
    ):
        for number in range(30):
            asked = (await api.post("/requests", json={"execution_id": execution_id, "prompt": str(number)})).json()
            params = {"last_event_id": cursor} if cursor else {}
            page = (await polls.get(f"/poll/human-input/{execution_id}", params=params)).json()
            assert [event["request_id"] for event in page["events"]] == [asked["request_id"]]
            assert (await take(stream, 1))[0]["request_id"] == asked["request_id"]
            assert await asyncio.to_thread(told.acquire, timeout=10)
            cursor = page["cursor"]
            again = (await polls.get(f"/poll/human-input/{execution_id}", params={"last_event_id": cursor})).json()
            assert (again["events"], again["cursor"]) == ([], cursor)
    assert fast.count(True) >= 20


async def test_what_nobody_foresaw_of_a_message_ends_its_socket_with_1011(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: Socket, message: str | bytes) -> bytes:
        raise RuntimeError

    monkeypatch.setattr(Socket, "reply", failing)
    address = server.url.replace("http", "ws", 1) + "/ws/human-input/run-1"
    async with (
        asyncio.timeout(20),
        websockets.connect(address, additional_headers={"Authorization": f"Bearer {KEY}"}) as socket,
    ):
        await socket.send("{}")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
