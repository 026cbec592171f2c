"""Publish and subscribe with FastAPI and sse-starlette, as people write it: a queue and a task for each subscriber."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response, WebSocket, WebSocketDisconnect
from sse_starlette.sse import EventSourceResponse

app = FastAPI()


class Channel:
    """Its subscribers' queues, the last 1,000 events, and who waits for the next."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[str]] = set()
        self.kept: deque[str] = deque(maxlen=1_000)
        self.count = 0
        self.next = asyncio.Event()

    def publish(self, event: str) -> None:
        self.kept.append(event)
        self.count += 1
        for queue in self.queues:
            queue.put_nowait(event)
        self.next.set()
        self.next = asyncio.Event()


channels: defaultdict[str, Channel] = defaultdict(Channel)


@app.websocket("/ws/{name}")
async def websocket(socket: WebSocket, name: str) -> None:
    await socket.accept()
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def forward() -> None:
        while True:
            await socket.send_text(await queue.get())

    channels[name].queues.add(queue)
    forwarding = asyncio.create_task(forward())
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        forwarding.cancel()
        channels[name].queues.discard(queue)


@app.get("/sse/{name}")
async def sse(name: str) -> EventSourceResponse:
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            channels[name].queues.discard(queue)

    channels[name].queues.add(queue)
    return EventSourceResponse(events())


@app.get("/poll/{name}")
async def poll(
    name: str, response: Response, if_none_match: Annotated[str | None, Header()] = None
) -> list[dict[str, Any]]:
    channel, seen = channels[name], int(if_none_match or 0)
    if channel.count <= seen:
        await channel.next.wait()
    response.headers["ETag"] = str(channel.count)
    return [json.loads(event) for event in list(channel.kept)[-(channel.count - seen) :]]


@app.post("/pub/{name}", status_code=204)
async def publish(name: str, request: Request) -> None:
    channels[name].publish((await request.body()).decode())
