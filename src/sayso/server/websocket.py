"""WebSocket (RFC 6455): events out, answers in. Both directions are watched, so a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import Final

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sayso import limits
from sayso.errors import SaysoError, TooLarge
from sayso.gateway import Batch
from sayso.server import intake
from sayso.server.access import Access, begin, follow
from sayso.server.problems import refuse
from sayso.wire import accepted_message, decode_answer_message, error_message, reference

logger = logging.getLogger(__name__)

_CHANNEL: Final = "websocket"
RESTART: Final = 1012
"""Close code: the server restarts; come back with your cursor."""
_CLOSE: Final = 1.0
"""Seconds for the word of farewell."""
TOO_SLOW: Final = 4408
"""Close code: the client took nothing for limits.SEND."""


def routes(access: Access) -> list[BaseRoute]:
    async def connect(websocket: WebSocket) -> None:
        try:
            batch = await begin(access, intake.execution_id(websocket), intake.last_event_id(websocket))
        except SaysoError as error:
            await refuse(error, websocket.scope, websocket.receive, websocket.send)
            return
        await websocket.accept()
        await _Session(access, websocket, batch).run()

    return [WebSocketRoute("/ws/human-input", connect), WebSocketRoute("/ws/human-input/{execution_id}", connect)]


class _Session:
    """One connection: a task for each direction; when one ends, so does the other."""

    def __init__(self, access: Access, websocket: WebSocket, batch: Batch) -> None:
        self._access = access
        self._websocket = websocket
        self._batch = batch

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            both = {tasks.create_task(self._send_events()), tasks.create_task(self._take_answers())}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()

    async def _send_events(self) -> None:
        try:
            async with aclosing(follow(self._access, self._batch)) as batches:
                async for batch in batches:
                    if batch.reset:
                        await self._send(batch.reset.data.decode())
                    for event in batch.events:
                        await self._send(event.text)
            await self._close(RESTART, "the server stops; reconnect with last_event_id")
        except TimeoutError:
            await self._close(TOO_SLOW, "too slow; reconnect with last_event_id")
        except SaysoError:
            logger.exception("stream ended early; the client can resume")
            await self._close(RESTART, "the server failed; reconnect with last_event_id")
        except WebSocketDisconnect:
            return

    async def _take_answers(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                await self._send(await self._answer(message["bytes"] if text is None else text))
        except (TimeoutError, WebSocketDisconnect):
            return

    async def _answer(self, message: str | bytes) -> str:
        try:
            if len(message) > limits.WEBSOCKET_MESSAGE:
                raise TooLarge(f"a message is at most {limits.WEBSOCKET_MESSAGE} bytes")
            given = decode_answer_message(message)
            caller = self._websocket.scope["state"]
            by, channel = caller["by"], caller["channel"] or _CHANNEL
            request = await self._access.call(
                lambda gateway: gateway.answer(given.request_id, given, by=by, channel=channel)
            )
            return accepted_message(request)
        except SaysoError as error:
            return error_message(error, reference(message))

    async def _close(self, code: int, reason: str) -> None:
        """A client that reads nothing does not read this either."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE):
                await self._websocket.close(code, reason)

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(limits.SEND):
            await self._websocket.send_text(text)
