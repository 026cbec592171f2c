"""Clients at a server that says anything at all: what they raise is theirs, and they come to an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any, Final
from unittest.mock import patch

from click.testing import CliRunner
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sayso.cli import connection, main
from sayso.client import AsyncClient, Client, keys
from sayso.client import client as client_module
from sayso.client.calls import Call
from sayso.client.following import Following
from sayso.client.probe import Probe
from sayso.errors import SaysoError
from sayso.model import Question
from tests.fuzz.mutation import damaged
from tests.fuzz.streams import ENTRY, EVENT, KEY, KEYS, PAGE, POLL, REPLIES, REQUEST, replied, replies
from tests.fuzz.target import Check, Found, Target, in_time

_QUESTION: Final = Question(execution_id="run-1", prompt="Ship it?")
_FEW: Final = 3
"""Tries of a follower, which by itself never ends, and events that it is asked for."""


class Enough(Exception):
    """A follower has come back as often as it is let."""


class _Liar:
    """Says `reply` to whoever comes, and hangs up."""

    def __init__(self) -> None:
        self.reply = b""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def _say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")), 0)
            await reader.readexactly(size)
            writer.write(self.reply)
            await writer.drain()
        writer.close()

    def __enter__(self) -> _Liar:
        self._thread.start()
        begun = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._say, "127.0.0.1", 0), self._loop)
        self._server = begun.result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


# what is called


_USES: Final[tuple[tuple[Callable[[Client], Any], SearchStrategy[bytes]], ...]] = (
    (lambda client: client.ask(_QUESTION), REQUEST),
    (lambda client: client.get("r-1"), REQUEST),
    (lambda client: client.page(), PAGE),
    (lambda client: list(islice(client.list(), 1_000)), PAGE),
    (lambda client: client.answer("r-1", text="yes"), REQUEST),
    (lambda client: client.cancel("r-1"), REQUEST),
    (lambda client: client.kept("r-1"), REQUEST),
    (lambda client: client.lease("a", "b", 1.0), REQUEST),
    (lambda client: list(islice(client.audit(), 1_000)), ENTRY),
    (lambda client: client.once(keys.listing()), KEYS),
    (lambda client: client.once(keys.create("a", ("ask",), ("*",), None)), KEY),
    (lambda client: list(islice(client.follow("run-1"), _FEW)), EVENT),
    (lambda client: list(islice(client.follow(), _FEW)), POLL),
)
"""Each with what fits it."""


async def _asked(url: str) -> None:
    async with AsyncClient(url, patience=0.0) as client:
        await client.get("r-1")


async def _followed(url: str) -> None:
    async with AsyncClient(url, patience=0.0) as client:
        told = client.follow("run-1")
        for _ in range(_FEW):
            await anext(told)


def _probed(url: str) -> None:
    with Probe(url, None) as probe:
        probe.streams(5.0)
        probe.websocket()
        probe.clock()


_OTHERS: Final[tuple[tuple[Callable[[str], Any], SearchStrategy[bytes]], ...]] = (
    (lambda url: asyncio.run(_asked(url)), REQUEST),
    (lambda url: asyncio.run(_followed(url)), EVENT),
    (_probed, st.just(b'{"timestamp": "2030-01-31T12:00:00"}')),
)


@contextmanager
def _impatient() -> Iterator[None]:
    """Followers rest for no time, and not for ever."""
    rests = 0

    def rest(*_: object) -> float:
        nonlocal rests
        rests += 1
        if rests % _FEW == 0:
            raise Enough
        return 0.0

    broke = Following.broke

    def broken(self: Following, *arguments: Any, **named: Any) -> float:
        broke(self, *arguments, **named)
        return rest()

    with patch.object(Following, "rest", rest), patch.object(Following, "broke", broken):
        yield


def _used(data: bytes, liar: _Liar, client: Client) -> None:
    which, liar.reply = (data[0] if data else 0) % (len(_USES) + len(_OTHERS)), data[1:]
    with suppress(SaysoError, Enough):
        if which < len(_USES):
            _USES[which][0](client)
        else:
            _OTHERS[which - len(_USES)][0](liar.url)


# commands


_COMMANDS: Final[dict[str, SearchStrategy[bytes]]] = {
    **dict.fromkeys(("inbox", "inbox --json", "inbox --all --newest", "export", "export --since 1d"), PAGE),
    **dict.fromkeys(("inbox r-1", "answer r-1 yes", "answer r-1 --approve", "cancel r-1", "ask Ship?"), REQUEST),
    **dict.fromkeys(("keys list", "keys list --all", "keys rotate a", "keys revoke a"), KEYS),
    **dict.fromkeys(("audit verify", "audit export --since 1d", "audit export"), ENTRY),
    "keys create a --scope ask": KEY,
    "watch --execution a": EVENT,
    "watch": POLL,
    "resume x:y": PAGE,
}
"""Each with what fits it."""


def _commanded(data: bytes, liar: _Liar, client: Client) -> None:
    which, liar.reply = data[0] if data else 0, data[1:]
    command = [*_COMMANDS][which % len(_COMMANDS)].split()
    env = {"SAYSO_URL": liar.url, "SAYSO_API_KEY": "k", "COLUMNS": "100"}
    done = CliRunner().invoke(main, command, env=env, prog_name="sayso")
    assert done.exception is None or isinstance(done.exception, SystemExit | Enough), repr(done.exception)
    assert "\x1b" not in done.output, "a terminal would obey it"


# inputs


FRAMES: Final = st.sampled_from(["length", "chunks", "end", "short", "long", "gzip", "moved", "cookie", "hints"])
_LINES: Final = {
    "gzip": "Content-Encoding: gzip\r\n",
    "moved": "Location: http://[::1/\xe9\r\n",
    "cookie": "Set-Cookie: a=\xe9; expires=x; domain=..\r\n",
    "hints": "Content-Type: text/html; charset=\xe9\r\n",
    "end": "",
}


def said(which: int, data: bytes, frame: str) -> bytes:
    """A reply as HTTP has it."""
    one = replied(data)
    head = f"HTTP/1.1 {one.status} Whatever\r\nContent-Type: {one.type}\r\nConnection: close\r\n"
    head += f"Retry-After: {one.wish}\r\n" if one.wish else ""
    body = one.body
    if frame == "chunks":
        head, body = head + "Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif frame in _LINES:
        head += _LINES[frame]
    else:
        head += f"Content-Length: {len(body) + {'length': 0, 'short': -3, 'long': 3}[frame]}\r\n"
    return bytes([which]) + f"{head}\r\n".encode("latin-1") + body


def _inputs(fitting: Sequence[SearchStrategy[bytes]]) -> SearchStrategy[bytes]:
    """For each use what fits it, and now and then what does not."""
    each = [st.builds(said, st.just(which), replies(body), FRAMES) for which, body in enumerate(fitting)]
    return damaged(st.one_of(*each, st.builds(said, st.integers(0, len(each) - 1), REPLIES, FRAMES)))


_Use = Callable[[bytes, _Liar, Client], None]


@contextmanager
def _lied_to(use: _Use) -> Iterator[Check]:
    with _Liar() as liar, Client(liar.url, "k", patience=0.0) as client, _impatient(), _hasty():

        def check(inputs: Sequence[bytes]) -> None:
            for data in inputs:
                try:
                    with in_time():
                        use(data, liar, client)
                except Exception as exc:
                    raise Found(data, exc) from exc

        yield check


@contextmanager
def _hasty() -> Iterator[None]:
    """Commands try once."""
    with patch.object(connection, "_PATIENCE", 0.0):
        yield


@contextmanager
def _trusting(use: _Use) -> Iterator[Check]:
    """The control: a body is what it should be."""

    def send(self: Client, call: Call[Any]) -> Any:
        response = self._http.request(call.method, call.path, content=call.body)
        call.read(response.content)
        return client_module.calls.Reply(response.status_code, response.content)

    with patch.object(Client, "_send", send), _lied_to(use) as check:
        yield check


TARGETS: Final[tuple[Target, ...]] = (
    Target(
        "clients",
        _inputs([body for _, body in (*_USES, *_OTHERS)]),
        lambda: _lied_to(_used),
        lambda: _trusting(_used),
        300,
    ),
    Target("commands", _inputs([*_COMMANDS.values()]), lambda: _lied_to(_commanded), lambda: _trusting(_commanded), 80),
)
