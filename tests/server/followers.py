"""A follower of each transport behind one face, so that one suite holds them all to the same promises."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from weakref import WeakKeyDictionary, WeakSet

import httpx
import websockets
from websockets.exceptions import InvalidStatus

from sayso import HumanInputServer
from sayso.feeds import Feeds
from sayso.gateway import Gateway
from tests.conftest import KEY
from tests.server import shapes

Message = dict[str, Any]


class Follower:
    """Gives events as they come, and a reset as `{"type": "reset", "reason", "event_id", "open": [request_id]}`."""

    road: str

    def __init__(self, url: str, key: str = KEY) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {key}"}

    def path(self, execution_id: str | None) -> str:
        return f"/{self.road}/human-input" + (f"/{execution_id}" if execution_id else "")

    def events(self, execution_id: str | None, last_event_id: str | None = None) -> AsyncIterator[Message]:
        raise NotImplementedError


class WebSocketFollower(Follower):
    road = "ws"

    async def events(self, execution_id: str | None, last_event_id: str | None = None) -> AsyncIterator[Message]:
        address = self.url.replace("http", "ws", 1) + self.path(execution_id) + _query(last_event_id)
        async with websockets.connect(address, additional_headers=self.headers) as socket:
            async for message in socket:
                yield _read(message)


class SSEFollower(Follower):
    road = "events"

    async def events(self, execution_id: str | None, last_event_id: str | None = None) -> AsyncIterator[Message]:
        address = self.url + self.path(execution_id)
        headers = self.headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        async with httpx.AsyncClient(timeout=30) as client, client.stream("GET", address, headers=headers) as response:
            id = None
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    id = line[4:]
                if line.startswith("data: "):
                    message = _read(line[6:])
                    assert id == message["event_id"]
                    id = None
                    yield message


class PollFollower(Follower):
    road = "poll"

    async def events(self, execution_id: str | None, last_event_id: str | None = None) -> AsyncIterator[Message]:
        async with httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=60) as client:
            while True:
                cursor = {"last_event_id": last_event_id} if last_event_id else {}
                response = await client.get(self.path(execution_id), params=cursor | {"wait": "50"})
                assert response.status_code == 200, response.text
                page = response.json()
                last_event_id = page["cursor"]
                if "reset" in page:
                    asking = [event["request_id"] for event in page["events"]]
                    yield {"type": "reset", **page["reset"], "event_id": last_event_id, "open": asking}
                    continue
                for event in page["events"]:
                    shapes.check(event)
                    yield event


FOLLOWERS = (WebSocketFollower, SSEFollower, PollFollower)


async def take(stream: AsyncIterator[Message], count: int) -> list[Message]:
    """The next `count` messages."""
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


_FEEDS: WeakKeyDictionary[Gateway, WeakSet[Feeds]] = WeakKeyDictionary()
"""Of gateways that were looked at."""


async def tasks_of(server: HumanInputServer) -> int:
    """How many tasks the server's own loop has, this look included, and followers that need none."""

    async def count(gateway: Gateway) -> int:
        if gateway not in _FEEDS:
            found = (one for one in gc.get_objects() if type(one) is Feeds and one.gateway is gateway)
            _FEEDS[gateway] = WeakSet(found)
        return len(asyncio.all_tasks()) + sum(len(feed) for one in _FEEDS[gateway] for feed in one)

    assert server._running is not None
    return await server._running.call(count)


async def until_only(server: HumanInputServer, count: int) -> None:
    """Returns when the server's loop has no more than `count` tasks."""
    async with asyncio.timeout(10):
        while await tasks_of(server) > count:
            pass


async def until_at_least(server: HumanInputServer, count: int) -> None:
    """Returns when it has so many."""
    async with asyncio.timeout(10):
        while await tasks_of(server) < count:
            pass


class Reply(NamedTuple):
    """How the server met a call: 101 where a WebSocket was accepted."""

    status: int
    headers: Any
    body: bytes

    @property
    def problem(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        return str(problem["type"]).removeprefix("urn:sayso:problem:")


async def knock(url: str, path: str, headers: dict[str, str] | None = None) -> Reply:
    """Calls `path`, as a WebSocket where it is one. A `Host` header replaces the real one."""
    headers = headers or {}
    address = urlsplit(url)
    if not path.startswith("/ws/"):
        async with httpx.AsyncClient(timeout=10) as client, client.stream("GET", url + path, headers=headers) as reply:
            endless = reply.headers.get("content-type", "").startswith("text/event-stream")
            return Reply(reply.status_code, reply.headers, b"" if endless else await reply.aread())
    host = headers.pop("Host", address.netloc)
    with suppress(TimeoutError):
        try:
            async with websockets.connect(
                f"ws://{host}{path}", additional_headers=headers, host=address.hostname, port=address.port
            ) as socket:
                return Reply(101, socket.response.headers, b"")
        except InvalidStatus as refused:
            return Reply(refused.response.status_code, refused.response.headers, bytes(refused.response.body or b""))
    raise AssertionError("no answer")


def _query(last_event_id: str | None) -> str:
    return "?" + urlencode({"last_event_id": last_event_id}) if last_event_id else ""


def _read(message: str | bytes) -> Message:
    read: Message = json.loads(message)
    if read["type"] == "reset":
        asking = [request["request_id"] for request in read["requests"]]
        return {"type": "reset", "reason": read["reason"], "event_id": read["event_id"], "open": asking}
    shapes.check(read)
    return read
