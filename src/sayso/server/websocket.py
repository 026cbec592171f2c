"""WebSocket (RFC 6455): events out, answers in. Both directions are watched, so a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import Final

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sayso import limits
from sayso.errors import Forbidden, Invalid, SaysoError, TooMany, Unauthorised
from sayso.gateway import Batch
from sayso.server import intake
from sayso.server.access import Access, CallersAccess, access_of, begin, follow
from sayso.server.caller import Caller, is_stranger
from sayso.server.calls import Calls
from sayso.server.followers import Followers
from sayso.server.lock import Lock
from sayso.server.problems import refuse
from sayso.server.refusals import Refusals
from sayso.wire import accepted_message, decode_answer_message, decode_auth_message, error_message, reference

logger = logging.getLogger(__name__)

_CHANNEL: Final = "websocket"
RESTART: Final = 1012
"""Close code: the server restarts; come back with your cursor."""
_CLOSE: Final = 1.0
"""Seconds for the word of farewell."""
UNAUTHORISED: Final = 4401
"""Close code: the key was revoked, has run out, or did not come in the first message."""
FORBIDDEN: Final = 4403
"""Close code: the key in the first message may not follow this."""
TOO_SLOW: Final = 4408
"""Close code: the client took nothing for limits.SEND, or had not sent a whole message in limits.RECEIVE."""
TOO_LARGE: Final = 1009
"""Close code: the message is larger than limits.WEBSOCKET_MESSAGE."""
AGAIN_LATER: Final = 1013
"""Close code: the key in the first message has too many streams open."""
MOST: Final = f"a message is at most {limits.WEBSOCKET_MESSAGE} bytes"


def routes(access: Access, lock: Lock, calls: Calls, followers: Followers, refusals: Refusals) -> list[BaseRoute]:
    async def connect(websocket: WebSocket) -> None:
        try:
            execution_id, cursor = intake.execution_id(websocket), intake.last_event_id(websocket)
            use = None if is_stranger(websocket) else access_of(websocket, access)
            batch = None if use is None else await begin(use, execution_id, cursor)
        except SaysoError as error:
            await refuse(error, websocket.scope, websocket.receive, websocket.send)
            return
        await websocket.accept()
        if use is not None and batch is not None:
            with followers.one("ws"):
                await _Session(use, websocket, batch, refusals).run()
        elif session := await _introduced(websocket, access, lock, refusals):
            try:
                with calls.of_key(session.caller), followers.one("ws"):
                    await session.run()
            except TooMany as error:
                await _close(websocket, AGAIN_LATER, error.detail)

    return [WebSocketRoute("/ws/human-input", connect), WebSocketRoute("/ws/human-input/{execution_id}", connect)]


async def _introduced(websocket: WebSocket, access: Access, lock: Lock, refusals: Refusals) -> _Session | None:
    """The session of a client that says in its first message who it is; it has heard nothing before. None: it left, or
    was sent away."""
    try:
        async with asyncio.timeout(limits.AUTH):
            message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        said = _said(message)
        if _is_too_large(said):
            await _close(websocket, TOO_LARGE, MOST)
            return None
        use = CallersAccess(access, await lock.admitted(decode_auth_message(said)))
        return _Session(
            use, websocket, await begin(use, intake.execution_id(websocket), intake.last_event_id(websocket)), refusals
        )
    except (TimeoutError, Invalid, Unauthorised):
        await _close(websocket, UNAUTHORISED, "a valid key is needed in the first message")
    except Forbidden as error:
        await _close(websocket, FORBIDDEN, error.detail)
    except SaysoError:
        logger.exception("stream not begun; the client can try again")
        await _close(websocket, RESTART, "the server failed; try again")
    return None


class _Session:
    """One connection: a task for each direction; when one ends, so does the other."""

    def __init__(self, access: CallersAccess, websocket: WebSocket, batch: Batch, refusals: Refusals) -> None:
        self._access = access
        self._refusals = refusals
        self._websocket = websocket
        self._batch = batch

    @property
    def caller(self) -> Caller:
        return self._access.caller

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
            await _close(self._websocket, RESTART, "the server stops; reconnect with last_event_id")
        except TimeoutError:
            await _close(self._websocket, TOO_SLOW, "too slow; reconnect with last_event_id")
        except Unauthorised:
            await _close(self._websocket, UNAUTHORISED, "the key has ended")
        except SaysoError:
            logger.exception("stream ended early; the client can resume")
            await _close(self._websocket, RESTART, "the server failed; reconnect with last_event_id")
        except WebSocketDisconnect:
            return

    async def _take_answers(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                said = _said(message)
                if _is_too_large(said):  # where we are mounted, the host's server may take more
                    await _close(self._websocket, TOO_LARGE, MOST)
                    return
                await self._send(await answered(self._access, said, self._refusals))
        except (TimeoutError, WebSocketDisconnect):
            return

    async def _send(self, text: str) -> None:
        if _is_over(self._websocket):
            raise WebSocketDisconnect(1006)  # no close code came (RFC 6455, 7.4.1)
        async with asyncio.timeout(limits.SEND):
            await self._websocket.send_text(text)


async def answered(access: CallersAccess, message: str | bytes, refusals: Refusals) -> str:
    """What the client hears of its message."""
    try:
        given = decode_answer_message(message)
        request = await access.call(lambda gateway: gateway.answer(given.request_id, given, channel=_CHANNEL))
        return accepted_message(request)
    except SaysoError as error:
        refusals.add(error.code)
        return error_message(error, reference(message))


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """A client that reads nothing does not read this either, nor one that has left."""
    if _is_over(websocket):
        return
    with suppress(TimeoutError, WebSocketDisconnect):
        async with asyncio.timeout(_CLOSE):
            await websocket.close(code, reason)


def _is_over(websocket: WebSocket) -> bool:
    """Whether the other direction has closed it, or noticed that it is gone."""
    return websocket.application_state is WebSocketState.DISCONNECTED


def _said(message: Message) -> str | bytes:
    text: str | None = message.get("text")
    said: str | bytes = message["bytes"] if text is None else text
    return said


def _is_too_large(message: str | bytes) -> bool:
    """Characters are bytes at least."""
    most = limits.WEBSOCKET_MESSAGE
    return len(message) > most or (isinstance(message, str) and len(message.encode()) > most)
