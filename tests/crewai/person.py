"""A person at the other end of the network: follows a server over one transport and answers by a script."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import KEY

Message = dict[str, Any]
Decide = Callable[[Message], Message | None]

APPROVE: Message = {"decision": "approve"}
POLL, SSE, WEBSOCKET = "poll", "sse", "websocket"
TRANSPORTS = (WEBSOCKET, SSE, POLL)
LONGEST = 10.0
"""Seconds after which a test gives up on what should have come at once."""


def in_turn(answers: Iterable[Message]) -> Decide:
    """The answers one after the other; a question too many is rejected, which ends the run and fails the test."""
    left = list(answers)
    return lambda asked: left.pop(0) if left else {"decision": "reject", "text": "asked too often"}


def leave(asked: Message) -> None:
    """Answers nothing: the test does."""


def revise_once(feedback: str = "shorter") -> Decide:
    """Feedback to every first draft, approval of every second."""
    return lambda asked: {"human_feedback": feedback} if asked["round"] == 1 else APPROVE


class Person:
    """Follows while it is entered, in a thread of its own. What it saw is in `asked`, `settled`, `replies`.

    `execution_id` None: follows all executions. `following` is set when the connection stands, `ended`
    when the server has ended it.
    """

    def __init__(
        self, url: str, decide: Decide, *, via: str = POLL, execution_id: str | None = None, gone: Callable[[], None]
    ) -> None:
        self.asked: list[Message] = []
        self.settled: list[Message] = []
        self.events: list[Message] = []
        self.replies: list[Message] = []
        self.following = threading.Event()
        self.ended = threading.Event()
        self._url = url
        self._decide = decide
        self._road = {POLL: self._poll, SSE: self._sse, WEBSOCKET: self._websocket}[via]
        self._topic = "/human-input" if execution_id is None else f"/human-input/{execution_id}"
        self._gone = gone
        self._socket: ClientConnection | None = None
        self._news = threading.Condition()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="person", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None]
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LONGEST)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(LONGEST)
        if self._error is not None and kind is None:
            raise self._error

    def wait_until(self, holds: Callable[[Self], bool]) -> None:
        """Returns when what this person has seen is as the test needs it."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self) or self._error, LONGEST), self.events
        if self._error is not None:
            raise self._error

    def answer(self, request_id: str, **body: Any) -> Message:
        """Answers over HTTP from the test's own thread; gives the body of the response."""
        reply: Message = self.try_to_answer(request_id, **body).raise_for_status().json()
        return reply

    def try_to_answer(self, request_id: str, **body: Any) -> httpx.Response:
        with httpx.Client(base_url=self._url, headers=_HEADERS, timeout=LONGEST) as client:
            return client.post(f"/requests/{request_id}/answer", json=body)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live())
        except asyncio.CancelledError:
            return
        except Exception as exc:
            self._error = exc
            self._gone()  # an agent that nobody will answer must not wait for ever
        self.ended.set()
        with self._news:
            self._news.notify_all()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._ready.set()
        async with httpx.AsyncClient(base_url=self._url, headers=_HEADERS, timeout=LONGEST) as client:
            with suppress(httpx.TransportError, ConnectionClosed):  # the server has stopped
                async with aclosing(self._road(client)) as messages:
                    async for message in messages:
                        await self._take(client, message)

    async def _take(self, client: httpx.AsyncClient, message: Message) -> None:
        kind = message["type"]
        seen = {"human_input_required": self.asked, "human_input_completed": self.settled}.get(kind, self.replies)
        with self._news:
            seen.append(message)
            if seen is not self.replies:
                self.events.append(message)
            self._news.notify_all()
        body = self._decide(message) if kind == "human_input_required" else None
        if body is None:
            return
        if self._socket is not None:
            await self._socket.send(json.dumps({"type": "answer", "request_id": message["request_id"]} | body))
            return
        response = await client.post(f"/requests/{message['request_id']}/answer", json=body)
        with self._news:
            self.replies.append(response.json() | {"http_status": response.status_code})
            self._news.notify_all()

    async def _poll(self, client: httpx.AsyncClient) -> AsyncGenerator[Message]:
        cursor: dict[str, str] = {}
        self.following.set()
        while True:
            response = await client.get(f"/poll{self._topic}", params=cursor | {"wait": "5"})
            page = response.raise_for_status().json()
            cursor = {"last_event_id": page["cursor"]} if page["cursor"] else {}
            for event in page["events"]:
                yield event

    async def _sse(self, client: httpx.AsyncClient) -> AsyncGenerator[Message]:
        async with client.stream("GET", f"/events{self._topic}") as response:
            response.raise_for_status()
            self.following.set()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    async def _websocket(self, client: httpx.AsyncClient) -> AsyncGenerator[Message]:
        url = f"{self._url.replace('http', 'ws', 1)}/ws{self._topic}?token={KEY}"
        async with connect(url) as self._socket:
            self.following.set()
            async for message in self._socket:
                yield json.loads(message)


_HEADERS = {"Authorization": f"Bearer {KEY}"}
