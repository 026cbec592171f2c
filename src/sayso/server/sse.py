"""Server-Sent Events (WHATWG HTML, 9.2): a stream of an execution, or of all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sayso import limits
from sayso.errors import SaysoError, Unauthorised
from sayso.gateway import Batch
from sayso.server import intake
from sayso.server.access import Access, CallersAccess, access_of, begin, follow
from sayso.server.followers import Followers
from sayso.wire import HEARTBEAT, Event

logger = logging.getLogger(__name__)

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


def routes(access: Access, followers: Followers) -> list[BaseRoute]:
    async def stream(request: Request) -> Response:
        use = access_of(request, access)
        batch = await begin(use, intake.execution_id(request), intake.last_event_id(request))
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        return _Stream(_blocks(use, batch), followers)

    return [Route("/events/human-input", stream), Route("/events/human-input/{execution_id}", stream)]


async def _blocks(access: CallersAccess, start: Batch) -> AsyncGenerator[bytes]:
    yield HEARTBEAT  # the headers leave at once, and the client knows that it is heard
    async with aclosing(follow(access, start)) as batches:
        async for batch in batches:
            if batch.reset:
                yield batch.reset.sse
            elif batch.events:
                for block in _joined(batch.events):
                    yield block
            elif not batch.ended:
                yield HEARTBEAT


def _joined(events: Iterable[Event]) -> Iterator[bytes]:
    """Several events are one write; many are several, or a client that reads nothing would have all of them twice."""
    parts: list[bytes] = []
    size = 0
    for event in events:
        parts.append(event.sse)
        size += len(event.sse)
        if size >= limits.BLOCK:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


class _Stream(Response):
    """A response that ends when its blocks end, when the client leaves, or when it takes nothing for `limits.SEND`."""

    def __init__(self, blocks: AsyncGenerator[bytes], followers: Followers) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._blocks = blocks
        self._followers = followers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._followers.one("sse"):
            await self._run(receive, send)

    async def _run(self, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send(send))
            leaving = tasks.create_task(intake.left(receive))
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with aclosing(self._blocks) as blocks:
                async for block in blocks:
                    async with asyncio.timeout(limits.SEND):
                        await send({"type": "http.response.body", "body": block, "more_body": True})
        except (TimeoutError, OSError):
            return
        except Unauthorised:
            logger.info("stream ended with its key")
        except SaysoError:
            logger.exception("stream ended early; the client can resume")
        await send({"type": "http.response.body", "body": b"", "more_body": False})
