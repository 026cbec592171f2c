"""What is no sayso server may say anything: the clients name it, take no more than they must, and come to an end."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sayso import AsyncClient, Client, limits, wire
from sayso.client import calls
from sayso.client.calls import Body, RequestPage
from sayso.client.following import Following
from sayso.client.probe import Probe
from sayso.client.sse import Decoder
from sayso.errors import Misconfigured, SaysoError, TooSlow
from sayso.keys import KeyShown
from sayso.model import InputRequired, Request
from tests.builders import asked, request
from tests.client.relay import reply

_DEEP = b"[" * 100_000
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def saying(what: bytes, *, endless: bytes = b"") -> AsyncIterator[str]:
    """The address of something that says `what`, and then `endless` until nobody listens."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(what)
            await writer.drain()
            while endless:
                writer.write(endless)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(say, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def each(url: str, use: Callable[[Any], Any]) -> list[BaseException]:
    """What both clients raise."""
    with Client(url, "k", patience=0.0) as client:
        found = [await asyncio.wait_for(asyncio.to_thread(raised, lambda: use(client)), 60)]
    async with AsyncClient(url, "k", patience=0.0) as client, asyncio.timeout(60):
        try:
            result = use(client)
            if hasattr(result, "__anext__"):
                _ = [one async for one in result]
            else:
                await result
        except Exception as exc:
            found.append(exc)
    assert len(found) == 2
    return found


def raised(use: Callable[[], Any]) -> BaseException:
    try:
        result = use()
        _ = [*result] if hasattr(result, "__next__") else result
    except Exception as exc:
        return exc
    raise AssertionError("it raised nothing")


def read(call: calls.Call[Any], body: bytes) -> Any:
    """What a call brings where the server says `body`."""
    steps = calls.persist(call, patience=0.0, clock=lambda: 0.0)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(calls.Reply(200, body))
    return end.value.value


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (calls.look("r"), b'{"metadata": ' + _DEEP),
        (calls.listing(), _DEEP),
        (calls.look("r"), b'{"prompt": "\\ud800"}'),
        (calls.look("r"), b"\xff"),
        (calls.audit(None, None), b'{"a":' * 100_000),
    ],
    ids=["deep", "deep list", "half a pair", "no UTF-8", "deep entry"],
)
def test_a_reply_that_cannot_be_read_is_none_of_sayso(call: calls.Call[Any], body: bytes) -> None:
    with pytest.raises(Misconfigured, match="not as a sayso server does"):
        read(call, body)


@pytest.mark.parametrize(
    "body",
    [b'{"events": ' + _DEEP, b'{"events": [], "cursor": "a\xff", "more": false}', b'{"cursor": "\\ud800"}', b"\xff"],
    ids=["deep", "no UTF-8", "half a pair", "nothing"],
)
def test_a_page_of_events_that_cannot_be_read_is_none_of_sayso(body: bytes) -> None:
    with pytest.raises(Misconfigured):
        Following(None, None).page(body)
    with pytest.raises(Misconfigured):
        Following("run-1", None).feed(b"data: " + body + b"\n\n")


def test_a_reset_without_a_reason_is_none_of_sayso() -> None:
    with pytest.raises(Misconfigured):
        Following(None, None).page(b'{"events": [], "cursor": null, "more": false, "reset": {}}')


@pytest.mark.parametrize("type_", [Request, InputRequired, KeyShown])
def test_a_time_without_a_zone_is_none_of_sayso(type_: Any) -> None:
    """It could not be compared with ours."""
    import msgspec

    with pytest.raises(msgspec.ValidationError, match="timezone"):
        for name in ("created_at", "timestamp", "deadline", "expires_at"):
            field = next((one for one in msgspec.structs.fields(type_) if one.name == name), None)
            if field is not None:
                msgspec.convert("2030-01-31T12:00:00", field.type)


def test_a_request_whose_times_have_no_zone_is_refused_whole() -> None:
    honest = wire.encode(request())
    assert read(calls.look("r"), honest)
    with pytest.raises(Misconfigured):
        read(calls.look("r"), honest.replace(b"12:00:00Z", b"12:00:00"))
    fact = wire.encode(asked(request()))
    with pytest.raises(Misconfigured):
        Following("run-1", None).feed(b"data: " + fact.replace(b"12:00:00Z", b"12:00:00") + b"\n\n")


@pytest.mark.parametrize("place", [{}, {"execution_id": "a"}, {"execution_id": "a", "number": "x"}, {"number": None}])
def test_an_entry_without_a_place_ends_a_walk_through_the_audit(place: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        calls.place_of([place], None)


@pytest.mark.parametrize(
    ("after", "next", "newest"),
    [("7", "7", False), ("7", "6", False), ("7", "7", True), ("7", "8", True), (None, "x", False), ("7", "²", False)],
)
def test_a_list_that_goes_in_circles_has_no_end(after: str | None, next: str, newest: bool) -> None:
    with pytest.raises(Misconfigured, match="no end"):
        calls.next_of(RequestPage(requests=(), next=next), after, newest=newest)
    assert calls.next_of(RequestPage(requests=(), next="5" if newest else "9"), after, newest=newest)


async def test_both_clients_leave_a_list_that_goes_in_circles() -> None:
    page = reply(200, b'{"requests": [], "next": "7", "cursor": null}')
    async with saying(page) as url:
        for error in await each(url, lambda client: client.list()):
            assert isinstance(error, Misconfigured)


async def test_a_reply_without_an_end_is_read_no_further_than_it_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPLY", 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    async with saying(head, endless=b" " * 10_000) as url:
        for error in await each(url, lambda client: client.get("r")):
            assert isinstance(error, Misconfigured)
            assert "more than 1000000 bytes" in str(error)
        with Probe(url, None) as probe, pytest.raises(Misconfigured):
            await asyncio.to_thread(probe.clock)


async def test_an_event_without_an_end_is_read_no_further_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPLY", 1_000_000)
    async with saying(_HEAD + b"data: ", endless=b"x" * 10_000) as url:
        for error in await each(url, lambda client: client.follow("run-1")):
            assert isinstance(error, Misconfigured)


def test_lines_of_an_event_count_together_and_what_is_told_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPLY", 100)
    decoder = Decoder()
    for _ in range(50):
        assert decoder.feed(b"data: " + b"x" * 90 + b"\n\n: comment\n")
    with pytest.raises(Misconfigured):
        for _ in range(101):
            decoder.feed(b"data\n")
    with pytest.raises(Misconfigured):
        Decoder().feed(b"x" * 101)


def test_a_reply_that_drips_has_no_more_time_than_a_body_has_at_a_server() -> None:
    body = Body(began=0.0)
    body.add(b"x", limits.RECEIVE)
    with pytest.raises(TooSlow):
        body.add(b"x", limits.RECEIVE + 1)
    honest = Body(began=0.0)
    for second in range(914):
        honest.add(b"x" * limits.RECEIVE_RATE if second < 900 else b"x", float(second))
    assert len(honest.whole()) > 900 * limits.RECEIVE_RATE


async def test_what_comes_compressed_is_not_inflated() -> None:
    bomb = zlib.compress(json.dumps({"requests": [], "next": None, "cursor": "x" * 50_000_000}).encode())
    async with saying(reply(200, bomb, Content_Encoding="deflate")) as url:
        for error in await each(url, lambda client: client.page()):
            assert isinstance(error, Misconfigured)


async def test_clients_keep_no_cookies() -> None:
    """One that is not ASCII could not be sent again, and failed the next call."""
    heard: list[bytes] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 No\r\nSet-Cookie: a=\xe9\r\nSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        with Client(url, "k", patience=0.0) as client:
            for _ in range(2):
                error = await asyncio.to_thread(raised, lambda: client.get("r"))
                assert isinstance(error, SaysoError)
        async with AsyncClient(url, "k", patience=0.0) as other:
            for _ in range(2):
                with pytest.raises(SaysoError):
                    await other.get("r")
    assert len(heard) == 4
    assert not any(b"cookie" in head.lower() for head in heard)


async def test_clients_ask_for_nothing_compressed() -> None:
    heard: list[bytes] = []

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply(404, b"{}"))
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        assert all(isinstance(error, SaysoError) for error in await each(url, lambda client: client.get("r")))
    assert len(heard) == 2
    assert all(b"accept-encoding: identity\r\n" in head.lower() for head in heard)
