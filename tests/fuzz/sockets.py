"""Bytes on the line of a real server: calls, and the frames of a WebSocket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from hypothesis import strategies as st
from msgspec.json import Decoder

from sayso import HumanInputServer, limits
from sayso.model import Submission
from sayso.server import requests, websocket
from sayso.server import serve as serving
from sayso.server.connections import Connections
from sayso.wire import AnswerMessage
from tests.builders import question
from tests.conftest import KEY
from tests.fuzz.calls import complaints
from tests.fuzz.http_texts import ID, MESSAGES, ORIGIN, calls, check_problem, handshakes, header_of
from tests.fuzz.mutation import damaged
from tests.fuzz.target import Check, Found, Target, in_time
from tests.server.followers import tasks_of
from tests.server.raw import AUTHORISED, UPGRADE

_HASTE: Final = {"RECEIVE": 2.0, "KEEP_ALIVE": 0.3, "WAIT": 0.2, "AUTH": 0.3}
"""Limits of the server that an input would wait for, in seconds. On a busy machine a call may come a second late."""
_AT_ONCE: Final = 50
_FAREWELL: Final = 1.0
"""Seconds that a connection has to close, where its peer takes no more."""
_PATIENCE: Final = 60.0
"""Seconds in which a connection ends, on a machine that has much else to do."""


class Line(NamedTuple):
    """A connection to the server, both ways."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """In three pieces, as far as the way lets them be."""
        third = len(data) // 3 + 1
        for at in range(0, len(data), third):
            self.writer.write(data[at : at + third])
            await asyncio.sleep(0)

    async def all(self, until: Callable[[bytes], bool] = lambda data: False) -> tuple[bytes, bool]:
        """What the server says until it ends the connection, or so much that nothing more need come; and whether the
        end may be missing, since the server had not read all: then systems reset the connection."""
        said = b""
        try:
            while not until(said) and (part := await self.reader.read(65_536)):
                said += part
        except ConnectionError:
            return said, True
        return said, False


Converse = Callable[[Line, bytes], Awaitable[None]]
"""Sends an input, and checks what comes back."""


class _Server:
    """A server, and what it holds."""

    def __init__(self) -> None:
        made: list[Connections] = []

        def make(*arguments: Any) -> Connections:
            made.append(Connections(*arguments))
            return made[0]

        settings: dict[str, Any] = {"allow_origins": [ORIGIN], "trusted_proxies": ["127.0.0.1"]}
        self.server = HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False, **settings)
        with patch.object(serving, "Connections", make):
            self.server.__enter__()
        self.port = int(self.server.url.rpartition(":")[2])
        self.connections = made[0]
        self.server.submit(question(request_id=ID)).stored.result()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Whatever is done in it leaves nothing behind."""
        tasks, descriptors = await tasks_of(self.server), _descriptors()
        yield
        async with asyncio.timeout(_PATIENCE):
            while await self._holds_more_than(tasks, descriptors):  # noqa: ASYNC110 - counts have no event
                await asyncio.sleep(0.01)

    async def _holds_more_than(self, tasks: int, descriptors: int) -> bool:
        return bool(self.connections) or await tasks_of(self.server) > tasks or _descriptors() > descriptors


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def _served(converse: Converse) -> Iterator[Check]:
    """Checks inputs, each on a connection of its own, each batch at a server of its own."""

    async def found_in(inputs: Sequence[bytes], server: _Server) -> Found | None:
        found: list[Found] = []
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(data: bytes) -> None:
            async with room:
                line = Line(*await asyncio.open_connection("127.0.0.1", server.port))
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await converse(line, data)
                except Exception as exc:
                    found.append(Found(data, exc))
                    found[-1].__cause__ = exc
                finally:
                    line.writer.close()
                    with suppress(OSError, TimeoutError):  # nobody else would take note of a connection that broke
                        async with asyncio.timeout(_FAREWELL):
                            await line.writer.wait_closed()

        async with server.watched():
            await asyncio.gather(*map(one, inputs))
        return found[0] if found else None

    with complaints() as heard, patch.multiple(limits, **_HASTE):

        def check(inputs: Sequence[bytes]) -> None:
            with in_time():
                server = _Server()
                try:
                    found = asyncio.run(found_in(inputs, server))
                finally:
                    server.server.stop()
            if found is not None:
                raise found
            try:
                heard.check()
            except AssertionError as exc:
                raise Found(b"one of " + repr(inputs).encode(), exc) from exc

        yield check


# calls


_HEAD: Final = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")


async def _call(line: Line, data: bytes) -> None:
    await line.send(data)
    said, is_cut = await line.all(until=_is_stream)
    heads = [*_HEAD.finditer(said)]
    assert heads or is_cut or not data.strip(), "it says nothing"
    assert not said or said.startswith(b"HTTP/1.1 "), said[:99]
    for head in heads:
        _check_reply(head, said[head.end() :])


def _is_stream(said: bytes) -> bool:
    """One that has no end, and has begun."""
    *_, last = [b"", *(head.group() for head in _HEAD.finditer(said))]
    return b" 101 " in last[:20] or (b"content-type: text/event-stream" in last.lower() and b": heartbeat" in said)


def _check_reply(head: re.Match[bytes], rest: bytes) -> None:
    status, type = int(head[1]), header_of(head[0], "content-type")
    if status in (100, 101):
        return
    assert header_of(head[0], "x-content-type-options") == "nosniff"
    length = int(header_of(head[0], "content-length") or "0")
    body = b"" if rest.startswith(b"HTTP/1.1 ") else rest[:length]
    if status >= 400 and body:
        assert len(body) == length
        check_problem(status, type, json.loads(body))
    assert status < 500


_INPUTS: Final = damaged(calls()) | damaged(handshakes())
CALLS: Final = _INPUTS | st.lists(_INPUTS, min_size=2, max_size=3).map(b"".join)


# frames


_UPGRADE: Final = "\r\n".join(
    (
        "GET /ws/human-input/run-1 HTTP/1.1",
        "Host: localhost",
        *(": ".join(one) for one in (AUTHORISED, *UPGRADE)),
        "",
        "",
    )
).encode()
_MASK: Final = b"\x01\x02\x03\x04"


def frame(
    payload: bytes,
    opcode: int = 1,
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    says: int | None = None,
) -> bytes:
    """A frame (RFC 6455, 5.2); `says`: another length than it has."""
    size = len(payload) if says is None else says
    short = size if size < 126 else 126 if size < 65_536 else 127
    length = b"" if short < 126 else size.to_bytes(2 if short == 126 else 8)
    head = bytes([final << 7 | reserved << 4 | opcode, masked << 7 | short]) + length
    if not masked:
        return head + payload
    return head + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))


_CODES: Final = st.sampled_from([1000, 1001, 1005, 1006, 1011, 1015, 3000, 4999, 5000, 999, 0]).map(
    lambda code: code.to_bytes(2)
)
_FRAMES: Final = st.one_of(
    MESSAGES.map(frame),
    MESSAGES.map(lambda text: frame(text, 2)),
    MESSAGES.map(lambda text: frame(text[:5], final=False) + frame(b"p", 9) + frame(text[5:], 0)),
    st.builds(
        frame, st.binary(max_size=9), st.integers(0, 15), final=st.booleans(), reserved=st.sampled_from([0, 0, 0, 1, 4])
    ),
    st.builds(frame, MESSAGES, masked=st.just(False)),
    st.builds(frame, st.just(b"{}"), says=st.sampled_from([0, 1, 3, 126, 65_535, 65_536, 2**31, 2**63 - 1])),
    st.builds(frame, st.sampled_from([b"p" * 125, b"p" * 126, b""]), st.sampled_from([8, 9, 10])),
    st.builds(
        lambda code, reason: frame(code + reason, 8), _CODES, st.sampled_from([b"", b"bye", b"\xff", b"\xed\xa0\x80"])
    ),
    st.sampled_from([b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f", b'{"type": "\xff"}', b"\xf4\x90\x80\x80"]).map(frame),
)
FRAMES: Final = damaged(st.lists(_FRAMES, min_size=1, max_size=4).map(b"".join))
_CLOSES: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1012, 3000, 4408, 4999, 1011})


async def _exchange(line: Line, data: bytes) -> None:
    line.writer.write(_UPGRADE)
    assert b" 101 " in (await line.reader.readuntil(b"\r\n\r\n"))[:20]
    await line.send(data + frame((1000).to_bytes(2), 8) * 2)  # the first may be the end of what `data` begins
    (said, is_cut), close, is_pinged = await line.all(), None, False
    while said:
        assert close is None, "it says more after its farewell"
        opcode, payload, said = _unframed(said)
        if opcode == 1:
            _check_message(json.loads(payload))
        elif opcode == 8:
            close = int.from_bytes(payload[:2]) if payload else 1000
            assert close in _CLOSES | _codes_in(data), close
        else:
            assert opcode in (9, 10), opcode
            is_pinged |= opcode == 9
    assert is_cut or is_pinged or close is not None, "it ends without a farewell"


def _codes_in(data: bytes) -> frozenset[int]:
    """Codes that the client may have closed with: they are given back."""
    return frozenset(range(3000, 5000)) if b"\x88" in data else frozenset()


def _unframed(said: bytes) -> tuple[int, bytes, bytes]:
    first, size = said[0], said[1]
    assert first & 0x70 == 0, "a reserved bit"
    assert not size & 0x80, "a mask"
    at, length = 2, size
    if size == 126:
        at, length = 4, int.from_bytes(said[2:4])
    elif size == 127:
        at, length = 10, int.from_bytes(said[2:10])
    assert len(said) >= at + length, "half a frame"
    return first & 0x0F, said[at : at + length], said[at + length :]


def _check_message(told: Any) -> None:
    assert told["type"] in {"human_input_required", "human_input_completed", "answer_accepted", "error"}, told
    if told["type"] == "error":
        check_problem(told["problem"]["status"], "application/problem+json", told["problem"])


@contextmanager
def _answers_unread() -> Iterator[Check]:
    """The control: an answer is read without a thought of what is none."""
    with patch.object(requests, "decode_submission", Decoder(Submission).decode), _served(_call) as check:
        yield check


@contextmanager
def _messages_unread() -> Iterator[Check]:
    """The control, likewise."""
    with patch.object(websocket, "decode_answer_message", Decoder(AnswerMessage).decode), _served(_exchange) as check:
        yield check


TARGETS: Final[tuple[Target, ...]] = (
    Target("lines", CALLS, lambda: _served(_call), _answers_unread, 300),
    Target("frames", FRAMES, lambda: _served(_exchange), _messages_unread, 300),
)
