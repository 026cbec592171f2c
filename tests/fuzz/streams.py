"""What clients read: streams of events, pages, and every other reply, whatever a server says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from typing import Any, Final, NamedTuple

import httpx_sse
import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sayso.client import calls, keys
from sayso.client.calls import Call, RequestPage
from sayso.client.following import Following, Reset, _Page
from sayso.client.sse import Block, Decoder
from sayso.errors import SaysoError
from sayso.keys import KeyMade, KeyShown
from sayso.model import InputCompleted, InputRequired, Question, Request, Submission
from sayso.wire import _Problem
from tests.fuzz.documents import JUNK, WORDS, documents, written
from tests.fuzz.mutation import damaged
from tests.fuzz.target import Target, pure

# server-sent events


def by_the_standard(data: bytes) -> list[Block]:
    """What a stream means, as WHATWG HTML (9.2.6) says it, of all its bytes at once."""
    blocks, lines, id = [], [], ""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                lines.append(value)
            elif name == "id" and "\0" not in value:
                id = value
        elif lines:
            blocks.append(Block(id, "\n".join(lines)))
            lines = []
    return blocks


def by_others(data: bytes) -> list[str]:
    """What httpx-sse makes of it, where it tells an event of data."""
    decoder = httpx_sse._decoders.SSEDecoder()
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    found = [decoder.decode(line) for line in re.split("\r\n|\n|\r", text)[:-1]]
    return [one.data for one in found if one is not None and one.data]


def pieces_of(data: bytes) -> Iterator[Iterable[bytes]]:
    """`data` in pieces: whole, byte by byte, and split in every way into two, where that is not too often."""
    yield (data,)
    yield (data[at : at + 1] for at in range(len(data)))
    for at in range(0, len(data), 1 + len(data) // 64):
        yield (data[:at], b"", data[at:])


def _decoded(decoder: Callable[[], Any]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        data += b": the end\n"  # after it nothing is held back
        expected = by_the_standard(data)
        assert [one.data for one in expected if one.data] == by_others(data)
        for pieces in pieces_of(data):
            one = decoder()
            assert list(itertools.chain.from_iterable(map(one.feed, pieces))) == expected

    return check


class _Splits(Decoder):
    """The control: forgets the beginning of a line that is cut."""

    def feed(self, data: bytes) -> list[Block]:
        found = super().feed(data)
        self._rest = StringIO()
        return found


_FIELDS: Final = st.sampled_from(
    [
        *(
            b"data: x",
            b"data",
            b"data:",
            b"data:  y",
            b"id: 1",
            b"id",
            b"id: a\0b",
            b"event: e",
            b"retry: 5",
            b": c",
            b":",
        ),
        *(
            b"",
            b"",
            b"",
            b"\xef\xbb\xbf",
            b"data: \xe2\x80\xa8\xc2\x85\x0b",
            b"data: gr\xc3\xbcn",
            b"data: \xf0\x9f\x98",
            b"Data: x",
        ),
    ]
)
_ENDS: Final = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b""])
STREAMS: Final = st.lists(st.tuples(_FIELDS, _ENDS).map(b"".join), max_size=12).map(b"".join)


# replies


class Reply(NamedTuple):
    """What a server says, without HTTP: `type`, `wish` are its headers."""

    status: int
    type: str
    wish: str
    body: bytes


_TYPES: Final = ("application/json", "application/problem+json", "text/event-stream", "", "text/html")
_WISHES: Final = ("", "1", "nan", "inf", "-1", "1e999", "Wed, 21 Oct 2026 07:28:00 GMT", "²")
_STATUSES: Final = (200, 201, 204, 301, 400, 401, 404, 409, 422, 429, 499, 500, 503, 999)
REQUEST: Final = written(documents(Request))
PAGE: Final = written(documents(RequestPage))
POLL: Final = written(documents(_Page))
KEYS: Final = written(st.fixed_dictionaries({"keys": st.lists(documents(KeyShown), min_size=1, max_size=2)}))
KEY: Final = written(st.fixed_dictionaries({"key": documents(KeyShown), "secret": JUNK}))
ENTRY: Final = written(
    st.fixed_dictionaries(
        {"execution_id": JUNK, "number": JUNK, "hash": JUNK, "at": WORDS | st.just("2030-01-31T12:00:00")}
    )
).map(lambda line: line + b"\n")
EVENT: Final = st.one_of(*(written(documents(one)) for one in (InputRequired, InputCompleted, Reset))).map(
    lambda data: b"id: 1\ndata: " + data + b"\n\n"
)
_BODIES: Final = st.one_of(
    *(REQUEST, PAGE, POLL, KEYS, KEY, ENTRY, EVENT),
    written(documents(_Problem)),
    STREAMS,
    st.integers(1, 3_000).map(lambda levels: b'{"events":' + b"[" * levels),
)


def replied(data: bytes) -> Reply:
    """Three bytes say the head, the rest is the body."""
    head = data[:3].ljust(3, b"\0")
    return Reply(
        _STATUSES[head[0] % len(_STATUSES)], _TYPES[head[1] % len(_TYPES)], _WISHES[head[2] % len(_WISHES)], data[3:]
    )


def replies(body: SearchStrategy[bytes] = _BODIES) -> SearchStrategy[bytes]:
    """As `replied` reads them."""
    return st.builds(
        lambda status, kind, wish, body: bytes([status, kind, wish]) + body,
        st.sampled_from([0, 0, 0, *range(len(_STATUSES))]),
        st.sampled_from([2, *range(len(_TYPES))]),
        st.sampled_from([0, 0, *range(len(_WISHES))]),
        body,
    )


REPLIES: Final = replies()


def some_calls() -> tuple[Call[Any], ...]:
    """One of each kind."""
    question = Question(execution_id="run-1", prompt="Ship it?")
    return (
        *(calls.ask(question), calls.look("r-1"), calls.listing(), calls.answer("r-1", Submission(text="yes"))),
        *(calls.cancel("r-1", "no"), calls.keep("run-1", "r-1", b""), calls.kept("r-1"), calls.lease("a", "b", 1.0)),
        *(calls.audit(None, None), keys.listing(), keys.create("a", ("ask",), ("*",), None), keys.revoke("k-1")),
    )


def _read(reply: Reply, call: Call[Any]) -> Any:
    steps = calls.persist(call, patience=0.0, clock=lambda: 0.0)
    next(steps)
    try:
        steps.send(calls.Reply(reply.status, reply.body, reply.wish or None))
    except StopIteration as end:
        return end.value
    raise AssertionError("it would wait for longer than it may")


def _replied(read: Callable[[Reply, Call[Any]], Any]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        reply = replied(data)
        for call in some_calls():
            try:
                found = read(reply, call)
            except SaysoError:
                continue
            _check_type(call, found)
            if call.path == "/audit" and found:
                _place(found)

    return check


def _place(page: list[dict[str, Any]]) -> None:
    try:
        execution_id, number = calls.place_of(page, None)
    except SaysoError:
        return
    assert isinstance(execution_id, str)
    assert isinstance(number, int)


def _check_type(call: Call[Any], found: Any) -> None:
    """What a caller gets is what the call promises; the readers of msgspec see to all that is in it."""
    if isinstance(found, Request):
        msgspec.to_builtins(found)
    else:
        assert found is None or isinstance(found, bytes | list | tuple | RequestPage | KeyMade | KeyShown), found


def _reads_plainly(reply: Reply, call: Call[Any]) -> Any:
    """The control: a body that is none comes through as the parser's own error."""
    return call.read(reply.body)


def _followed(make: Callable[[], Following]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        reply = replied(data)
        for execution_id in (None, "run-1"):
            following = make()
            following.__init__(execution_id, None)  # type: ignore[misc]
            try:
                following.opened(reply.status, reply.type, reply.body)
                told = [following.page(reply.body), *map(following.feed, (reply.body[:7], reply.body[7:]))]
            except SaysoError as error:
                _goes_on(following, error, reply)
            else:
                assert all(isinstance(one, InputRequired | InputCompleted | Reset) for part in told for one in part)
                _goes_on(following, None, reply)
            assert following.cursor is None or isinstance(following.cursor, str)

    return check


def _goes_on(following: Following, error: SaysoError | None, reply: Reply) -> None:
    try:
        assert 0 <= following.broke(error, reply.wish) <= 300
    except SaysoError as raised:
        assert raised is error


class _Trusting(Following):
    """The control: takes a page for what it should be."""

    def page(self, body: bytes) -> list[Any]:
        page = msgspec.json.decode(body)
        self.cursor = page["cursor"]
        return []


def _following() -> Following:
    return Following.__new__(Following)


TARGETS: Final[tuple[Target, ...]] = (
    pure("events", damaged(STREAMS), _decoded(Decoder), _decoded(_Splits), 500),
    pure("replies", damaged(REPLIES), _replied(_read), _replied(_reads_plainly), 200),
    pure("followers", damaged(REPLIES), _followed(_following), _followed(lambda: _Trusting.__new__(_Trusting)), 200),
)
