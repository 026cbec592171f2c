"""Reading Server-Sent Events: the WHATWG's rules (HTML, 9.2.6), in whatever pieces the bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.client.sse import Block, Decoder

END = b": the end\n"
"""After it nothing is held back any more, also a carriage return that may yet get its line feed."""


def read(*pieces: bytes) -> list[Block]:
    decoder = Decoder()
    return [block for piece in (*pieces, END) for block in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("data: one\n\n", [("", "one")]),
        ("id: 7\ndata: one\n\n", [("7", "one")]),
        ("data: one\nid: 7\n\n", [("7", "one")]),
        ("data:one\n\n", [("", "one")]),
        ("data:  one\n\n", [("", " one")]),
        ("data: one\ndata: two\ndata:\n\n", [("", "one\ntwo\n")]),
        ("data\n\n", [("", "")]),
        ("data: a:b: c\n\n", [("", "a:b: c")]),
        (": heartbeat\n\n", []),
        (":\n\n\n\n", []),
        (": data: no\ndata: yes\n: more\n\n", [("", "yes")]),
        ("id: 7\n\ndata: one\n\n", [("7", "one")]),
        ("id: 7\ndata: one\n\ndata: two\n\n", [("7", "one"), ("7", "two")]),
        ("id: 7\ndata: one\n\nid\ndata: two\n\n", [("7", "one"), ("", "two")]),
        ("id: 7\nid: a\0b\ndata: one\n\n", [("7", "one")]),
        ("event: odd\nretry: 5\nnonsense\nDATA: no\ndata : no\ndata: one\n\n", [("", "one")]),
        ("data: one", []),
        ("data: one\n", []),
        ("\ufeffdata: one\n\n", [("", "one")]),
        ("\ufeff\ufeffdata: one\n\n", []),
        ("data: one\n\n\ufeffdata: two\n\n", [("", "one")]),
        ("data: \u2028\x85\x0b\x0c\x1c kept\n\n", [("", "\u2028\x85\x0b\x0c\x1c kept")]),
        ("data: grün 日本 😀\n\n", [("", "grün 日本 😀")]),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
def test_a_text_is_read_as_the_standard_says_wherever_it_is_split(
    text: str, blocks: list[tuple[str, str]], line_end: str
) -> None:
    data = text.replace("\n", line_end).encode()
    expected = [Block(*one) for one in blocks]
    assert read(data) == expected
    assert read(*(bytes([byte]) for byte in data)) == expected
    for at in range(len(data) + 1):
        assert read(data[:at], data[at:]) == expected
        assert read(data[:at], b"", data[at:]) == expected


def test_line_ends_may_be_mixed() -> None:
    assert read(b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r\n") == [Block("", "a\nb\nc"), Block("", "d")]


def test_an_event_is_there_with_its_last_line_feed_and_not_before() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: one\n") == []
    assert decoder.feed(b"\n") == [Block("", "one")]
    assert decoder.feed(b"data: two\r\n\r\n") == [Block("", "two")]


def test_bytes_that_are_no_utf_8_are_marked_and_the_rest_is_read() -> None:
    assert read(b"data: a\xffb\n\ndata: c\n\n") == [Block("", "a\ufffdb"), Block("", "c")]


def test_every_decoder_begins_anew() -> None:
    assert Decoder().feed(b"id: 7\ndata: one\n") == []
    assert Decoder().feed(b"\ndata: two\n\n") == [Block("", "two")]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
EVENTS = st.lists(
    st.tuples(TEXT.filter(lambda text: "\0" not in text), st.lists(TEXT, min_size=1, max_size=3)), max_size=4
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(EVENTS, ENDS, TEXT, st.booleans(), st.data())
def test_what_was_written_is_read_in_any_pieces(
    events: list[tuple[str, list[str]]], end: str, comment: str, has_mark: bool, choices: st.DataObject
) -> None:
    lines = [
        line for id, data in events for line in (f":{comment}", f"id: {id}", *(f"data: {one}" for one in data), "")
    ]
    written = ("\ufeff" * has_mark + "".join(line + end for line in lines)).encode()
    cuts = sorted(choices.draw(st.lists(st.integers(0, len(written)), max_size=12)))
    pieces = [written[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    assert read(*pieces) == [Block(id, "\n".join(data)) for id, data in events]


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"data: x", b"\n", b"\r", b"\xef\xbb\xbf", b"id: 1\n"])))
def test_any_bytes_mean_the_same_in_one_piece_and_in_many(pieces: list[bytes]) -> None:
    whole = read(b"".join(pieces))
    assert read(*pieces) == whole
    assert read(*(bytes([byte]) for byte in b"".join(pieces))) == whole
