"""Publish and subscribe as a plain ASGI application, as people write it: a queue and a task for each subscriber."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Channel:
    """Its subscribers' queues, the last 1,000 events, and who waits for the next."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[bytes]] = set()
        self.kept: deque[bytes] = deque(maxlen=1_000)
        self.count = 0
        self.next = asyncio.Event()

    def publish(self, event: bytes) -> None:
        self.kept.append(event)
        self.count += 1
        for queue in self.queues:
            queue.put_nowait(event)
        self.next.set()
        self.next = asyncio.Event()


channels: defaultdict[str, Channel] = defaultdict(Channel)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    _, road, name = scope["path"].split("/")
    await ROADS[road](channels[name], scope, receive, send)


async def websocket(channel: Channel, scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})

    async def one(event: bytes) -> None:
        await send({"type": "websocket.send", "text": event.decode()})

    await subscribe(channel, receive, one)


async def sse(channel: Channel, scope: Message, receive: Receive, send: Send) -> None:
    await start(send, 200, [(b"content-type", b"text/event-stream")])
    await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})

    async def one(event: bytes) -> None:
        await send({"type": "http.response.body", "body": b"data: %b\n\n" % event, "more_body": True})

    await subscribe(channel, receive, one)


async def subscribe(channel: Channel, receive: Receive, one: Callable[[bytes], Awaitable[None]]) -> None:
    """Until the client leaves."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def forward() -> None:
        while True:
            await one(await queue.get())

    channel.queues.add(queue)
    forwarding = asyncio.create_task(forward())
    try:
        while not (await receive())["type"].endswith("disconnect"):
            pass
    finally:
        forwarding.cancel()
        channel.queues.discard(queue)


async def poll(channel: Channel, scope: Message, receive: Receive, send: Send) -> None:
    """What came after the number in If-None-Match; without one, after the first moment. Waits for something."""
    seen = next((int(value) for name, value in scope["headers"] if name == b"if-none-match"), 0)
    if channel.count <= seen:
        await channel.next.wait()
    new = list(channel.kept)[-(channel.count - seen) :]
    body = b"[" + b",".join(new) + b"]"
    headers = [(b"content-type", b"application/json"), (b"etag", b"%d" % channel.count)]
    await start(send, 200, [*headers, (b"content-length", b"%d" % len(body))])
    await send({"type": "http.response.body", "body": body})


async def publish(channel: Channel, scope: Message, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    channel.publish(body)
    await start(send, 204, [])
    await send({"type": "http.response.body", "body": b""})


async def start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


ROADS = {"ws": websocket, "sse": sse, "poll": poll, "pub": publish}
