"""The application without a line: calls as an ASGI server gives them, with whatever is in their heads and bodies."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar
from unittest.mock import patch
from urllib.parse import unquote

from hypothesis import strategies as st
from msgspec.json import Decoder
from starlette.types import ASGIApp, Message

from sayso.compose import store_at
from sayso.gateway import Gateway
from sayso.model import Submission
from sayso.server import app, requests
from tests.builders import question
from tests.conftest import KEY
from tests.fuzz.http_texts import ID, MESSAGES, ORIGIN, calls, check_problem
from tests.fuzz.mutation import damaged
from tests.fuzz.target import Check, Found, Target, in_time

T = TypeVar("T")


class Complaints(logging.Handler):
    """What loggers say of errors: nothing that comes over the line is one of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(f"{record.name}: {record.getMessage()} {record.exc_info and record.exc_info[1]!r}")

    def check(self) -> None:
        told, self.told = self.told, []
        assert not told, told


@contextmanager
def complaints() -> Iterator[Complaints]:
    """Hears all loggers while entered."""
    heard, root = Complaints(), logging.getLogger()
    root.addHandler(heard)
    try:
        yield heard
    finally:
        root.removeHandler(heard)


class _Here:
    """The gateway on this loop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        return await use(self._gateway)


@asynccontextmanager
async def _application(store: str) -> AsyncIterator[ASGIApp]:
    gateway = Gateway(store_at(store))
    async with gateway.running():
        await gateway.ask(question(request_id=ID), by="key:default", durable=True)
        yield app.build(_Here(gateway), api_key=KEY, allow_origins=[ORIGIN]).asgi


def scope_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A call as an ASGI server gives it, however wrong, and its body."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    target = rest.rpartition(b" ")[0]
    path, _, query = target.partition(b"?")
    headers = [line.partition(b":")[::2] for line in lines]
    scope = {
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "root_path": "",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "headers": [(name.strip().lower(), value.strip()) for name, value in headers],
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    if path.startswith(b"/ws/"):
        return scope | {"type": "websocket", "scheme": "ws", "subprotocols": []}, body
    return scope | {"type": "http", "scheme": "http", "method": method.decode("latin-1").upper()}, body


async def _call(application: ASGIApp, data: bytes) -> None:
    scope, body = scope_of(data)
    is_socket = scope["type"] == "websocket"
    said = [{"type": "websocket.connect"}, *map(_message, body.split(b"\n"))] if is_socket else [_part(body)]
    sent: list[Message] = []

    async def receive() -> Message:
        if said:
            return said.pop(0)
        for _ in range(5):
            await asyncio.sleep(0)  # whatever is held has begun
        return {"type": "websocket.disconnect", "code": 1000} if is_socket else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(60):
        await application(scope, receive, send)
    _check(sent)


def _part(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


def _message(line: bytes) -> Message:
    with suppress(UnicodeDecodeError):
        return {"type": "websocket.receive", "text": line.decode()}
    return {"type": "websocket.receive", "bytes": line}


def _check(sent: list[Message]) -> None:
    for message in sent:
        if message["type"] == "websocket.send":
            told = json.loads(message["text"])
            if told["type"] == "error":
                check_problem(told["problem"]["status"], "application/problem+json", told["problem"])
    starts = [one for one in sent if one["type"] == "http.response.start"]
    if not starts or starts[0]["status"] == 499:
        return
    headers = dict(starts[0]["headers"])
    assert not any(set(text) & set(b"\r\n\0") for pair in starts[0]["headers"] for text in pair), starts
    assert headers[b"x-content-type-options"] == b"nosniff"
    body = b"".join(one["body"] for one in sent if one["type"] == "http.response.body")
    problem = json.loads(body) if starts[0]["status"] >= 400 and body else None
    if problem is not None:
        check_problem(starts[0]["status"], headers[b"content-type"].decode(), problem)
    assert starts[0]["status"] < 500


_PATIENCE: Final = 5.0
"""Seconds that a task has to end, on a machine that has much else to do."""


async def _until_only(tasks: int) -> None:
    """Those of a store that others share come and go; one that a call leaves stays."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.001)
    assert len(asyncio.all_tasks()) <= tasks, "a task is left"


@contextmanager
def opened(store: str = ":memory:") -> Iterator[Check]:
    """Checks calls, each batch at an application of its own where the store is in memory."""

    async def found_in(inputs: Sequence[bytes], heard: Complaints) -> Found | None:
        async with _application(store) as application:
            tasks = len(asyncio.all_tasks())
            for data in inputs:
                try:
                    await _call(application, data)
                    heard.check()
                    await _until_only(tasks)
                except Exception as exc:
                    found = Found(data, exc)
                    found.__cause__ = exc
                    return found  # raised here, it would come in a group
        return None

    with complaints() as heard:

        def check(inputs: Sequence[bytes]) -> None:
            with in_time():
                found = asyncio.run(found_in(inputs, heard))
            if found is not None:
                raise found

        yield check


@contextmanager
def _broken() -> Iterator[Check]:
    """The control: an answer is read without a thought of what is none."""
    with patch.object(requests, "decode_submission", Decoder(Submission).decode), opened() as check:
        yield check


_SOCKETS: Final = st.builds(
    lambda head, messages: b"GET /ws/human-input/run-1" + head + b"\n".join(messages),
    st.sampled_from([f" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()])
    | st.just(b"?auth=message HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    st.lists(MESSAGES, min_size=1, max_size=3),
)
INPUTS: Final = damaged(calls(framed=False) | calls(framed=False) | _SOCKETS)

TARGETS: Final[tuple[Target, ...]] = (Target("calls", INPUTS, opened, _broken, 700),)
