"""Clients that others wrote, used as their users use them: reconnecting and resuming by the public protocol alone."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import httpx
import requests
import websockets
from httpx_sse import aconnect_sse
from websockets.exceptions import WebSocketException

from sayso import AsyncClient, Client
from tests.conftest import KEY

Message = dict[str, Any]
END: Final = "the end"
"""The prompt of the last question."""
_PAUSE: Final = 0.1
"""Seconds before a user's own loop tries again."""
_RIGHT: Final = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Stream:
    """What is followed: of one execution, or of all (None); `after`: a cursor that was kept, for all."""

    url: str
    execution_id: str | None
    after: str | None = None

    @property
    def path(self) -> str:
        return "/human-input" if self.execution_id is None else f"/human-input/{self.execution_id}"


def in_thread(follow: Callable[[Stream], Iterator[Message]]) -> Callable[[Stream], AsyncIterator[Message]]:
    """A follower that blocks its thread, as one that does not; the thread ends with the last question."""

    async def events(stream: Stream) -> AsyncIterator[Message]:
        loop, told = asyncio.get_running_loop(), asyncio.Queue[Message | Exception]()

        def run() -> None:
            try:
                for event in follow(stream):
                    loop.call_soon_threadsafe(told.put_nowait, event)
                    if event.get("prompt") == END:
                        return
            except Exception as exc:  # the test gets it
                loop.call_soon_threadsafe(told.put_nowait, exc)

        threading.Thread(target=run, daemon=True).start()
        while True:
            event = await told.get()
            if isinstance(event, Exception):
                raise event
            yield event

    return events


def _event(event: Any) -> Message:
    return {"execution_id": event.execution_id, "seq": event.seq, "prompt": getattr(event, "prompt", "")}


def sayso_client(stream: Stream) -> Iterator[Message]:
    with Client(stream.url, KEY) as client:
        for event in client.follow(stream.execution_id):
            yield _event(event)


async def sayso_async_client(stream: Stream) -> AsyncIterator[Message]:
    async with AsyncClient(stream.url, KEY) as client:
        async for event in client.follow(stream.execution_id):
            yield _event(event)


async def httpx_sse(stream: Stream) -> AsyncIterator[Message]:
    cursor = {"Last-Event-ID": stream.after} if stream.after else {}
    async with httpx.AsyncClient(headers=_RIGHT) as client:
        while True:
            with suppress(httpx.TransportError):
                address = f"{stream.url}/events{stream.path}"
                async with aconnect_sse(client, "GET", address, headers=cursor) as source:
                    async for event in source.aiter_sse():
                        cursor = {"Last-Event-ID": event.id}
                        if event.data:  # httpx-sse makes an event of a comment, too
                            yield event.json()
            await asyncio.sleep(_PAUSE)


async def httpx_poll(stream: Stream) -> AsyncIterator[Message]:
    """As the seed proposal's own client polls, but more often."""
    cursor: dict[str, str] = {}
    async with httpx.AsyncClient(headers=_RIGHT) as client:
        while True:
            with suppress(httpx.TransportError):
                page = (await client.get(f"{stream.url}/poll{stream.path}", params=cursor)).json()
                for event in page["events"]:
                    cursor = {"last_event_id": event["event_id"]}
                    yield event
            await asyncio.sleep(_PAUSE)


def requests_poll(stream: Stream) -> Iterator[Message]:
    query = {"wait": "30"}
    with requests.Session() as session:
        session.headers.update(_RIGHT)
        while True:
            with suppress(requests.RequestException):
                for event in session.get(f"{stream.url}/poll{stream.path}", params=query).json()["events"]:
                    query["last_event_id"] = event["event_id"]
                    yield event


async def websockets_client(stream: Stream) -> AsyncIterator[Message]:
    address = stream.url.replace("http", "ws", 1) + f"/ws{stream.path}"
    cursor = ""
    while True:
        with suppress(OSError, WebSocketException):
            async with websockets.connect(address + cursor, additional_headers=_RIGHT) as socket:
                async for message in socket:
                    event = json.loads(message)
                    cursor = f"?last_event_id={event['event_id']}"
                    yield event
        await asyncio.sleep(_PAUSE)


async def aiohttp_websocket(stream: Stream) -> AsyncIterator[Message]:
    cursor: dict[str, str] = {}
    async with aiohttp.ClientSession(headers=_RIGHT) as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.ws_connect(f"{stream.url}/ws{stream.path}", params=cursor) as socket:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            event = message.json()
                            cursor = {"last_event_id": event["event_id"]}
                            yield event
            await asyncio.sleep(_PAUSE)
