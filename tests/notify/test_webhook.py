"""A webhook on the wire, verified by the package of Standard Webhooks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from standardwebhooks import Webhook as Theirs

from sayso.notify import post as ours
from sayso.notify.sending import NotDelivered, Refused
from sayso.notify.webhook import Settings, Webhook
from sayso.wire import Event
from tests.builders import asked, request
from tests.notify.around import around
from tests.notify.receiver import OTHER, SECRET, Receiver, Reply, receiving


def event(**members: Any) -> Event:
    return Event.of(asked(request(**members)), position=1, seq=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@asynccontextmanager
async def carrying(url: str, *secrets: str, **settings: Any) -> AsyncIterator[Webhook]:
    with pytest.MonkeyPatch.context() as patch:
        for number, secret in enumerate(secrets or (SECRET,)):
            patch.setenv(f"HOOK_{number}", secret)
        names = tuple(f"HOOK_{number}" for number in range(len(secrets) or 1))
        carrier = Webhook(Settings(url=url, secrets=names, allow=("127.0.0.0/8",), **settings), around())
    try:
        yield carrier
    finally:
        await carrier.close()


@pytest.mark.promise("NOTIFY-5")
async def test_the_body_is_the_event_and_the_id_stays_when_it_is_sent_again(receiver: Receiver) -> None:
    sent = event(prompt="Ship \N{FERRY}?")
    async with carrying(receiver.url) as carrier:
        await carrier.send(sent)
        await carrier.send(sent)
    first, second = receiver.got
    assert first.body == second.body == sent.data
    assert first.id == second.id == sent.event_id
    assert first.headers["content-type"] == "application/json"


@pytest.mark.promise("NOTIFY-5")
async def test_whoever_has_one_of_the_secrets_can_verify_while_they_are_rotated(receiver: Receiver) -> None:
    async with carrying(receiver.url, OTHER, SECRET) as carrier:
        await carrier.send(event())
    (got,) = receiver.got  # verified with the old one
    Theirs(OTHER).verify(got.body, got.headers)
    assert len(got.headers["webhook-signature"].split()) == 2


@pytest.mark.promise("NOTIFY-5")
async def test_a_cloud_event_on_request(receiver: Receiver) -> None:
    sent = event()
    receiver.reply = lambda got: Reply(200)
    async with carrying(receiver.url, format="cloudevents") as carrier:
        await carrier.send(sent)
    (got,) = receiver.got
    data = json.loads(sent.data)
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert json.loads(got.body) == {
        **{"specversion": "1.0", "id": sent.event_id, "source": "urn:sayso", "type": "sayso.human_input_required"},
        **{"subject": "run-1", "time": data["timestamp"], "datacontenttype": "application/json", "data": data},
    }


@pytest.mark.promise("NOTIFY-6")
@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500])
async def test_everything_but_a_2xx_is_a_failure_and_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.reply = lambda got: Reply(status, (("location", receiver.url),))
    async with carrying(receiver.url) as carrier:
        with pytest.raises(NotDelivered, match=f"said {status}") as told:
            await carrier.send(event())
    assert not isinstance(told.value, Refused)
    assert (len(receiver.refused), len(receiver.got)) == (1, 0)


@pytest.mark.promise("NOTIFY-6")
async def test_a_410_says_never_again(receiver: Receiver) -> None:
    receiver.reply = lambda got: Reply(410)
    async with carrying(receiver.url) as carrier:
        with pytest.raises(Refused):
            await carrier.send(event())


@pytest.mark.promise("NOTIFY-6")
@pytest.mark.parametrize("status", [429, 503])
async def test_a_receiver_says_when_to_come_again_in_seconds_or_as_a_date(receiver: Receiver, status: int) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    seconds = []
    async with carrying(receiver.url) as carrier:
        for given in ("3600", at, "soon", "-1"):
            receiver.reply = lambda got, given=given: Reply(status, (("Retry-After", given),))
            with pytest.raises(NotDelivered) as told:
                await carrier.send(event())
            seconds.append(told.value.retry_after)
    assert seconds[0] == 3_600.0
    assert seconds[1] is not None and 7_000 < seconds[1] <= 7_200
    assert seconds[2:] == [None, None]


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A server that answers as `talk` does, however wrong."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_reply_without_end_is_not_read() -> None:
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            written += 65_536

    async with talking(flood) as url, carrying(url) as carrier, asyncio.timeout(10):
        await carrier.send(event())
    assert written < 16 * 1024 * 1024  # what the buffers of the sockets take


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 500_000])
async def test_what_is_no_reply_is_a_failure(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async with talking(talk) as url, carrying(url) as carrier, asyncio.timeout(10):
        with pytest.raises(NotDelivered):
            await carrier.send(event())


async def test_a_receiver_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_PATIENCE", 0.05)
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    async with talking(talk) as url, carrying(url) as carrier, asyncio.timeout(10):
        with pytest.raises(NotDelivered, match="no answer"):
            await carrier.send(event())
        await left.wait()
