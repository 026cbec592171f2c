"""Damages bytes: what is nearly right finds more than what is random."""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.target import CANARY

TOKENS: Final = (
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-0.0",
        b"-1",
    ),
    *(b"9" * 20, b"9" * 400, b"0" * 30, b'\\ud800"', b"\\u0000", b"[" * 70, b'{"a":' * 70, b"[" * 5_000),
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc2\xb2", b"\xb2"),
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\x0b", b"data:", b"id:", b"event: x", b"retry: 1", b": "),
    *(b"%00", b"%", b"%zz", b"%ff", b"%2e%2e", b"%0d%0a", b"?", b"&", b"=", b"#", b"@", b"/", b"//", b"..", b";", b"+"),
    *(
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: evil.example\r\n",
        b"Upgrade: websocket\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"HTTP/1.0",
        b"HTTP/9.9",
        b"ffffffffffffffff\r\n",
        b"0x10",
    ),
    *(
        b"http://[::1",
        b"[",
        b"::1",
        b"127.0.0.1%lo",
        b"localhost",
        b"*",
        b"2030-01-31T12:00:00",
        b"0001-01-01T00:00:00Z",
    ),
    *(b"9999-12-31T23:59:59-23:59", b"application/json", b"text/event-stream", b"gzip", CANARY.encode()),
)
_MOST: Final = 20_000
"""Bytes of an input: larger ones are what the caps are tested with."""


def mutated(data: bytes, seed: int) -> bytes:
    """`data` with a few changes, the same for the same seed."""
    random, found = Random(seed), bytearray(data)  # noqa: S311 - repeated, not secret
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        at = random.randrange(len(found) + 1)
        end = min(len(found), at + random.choice((1, 1, 2, 4, 16, 200)))
        match random.randrange(8):
            case 0 if found:
                found[at % len(found)] ^= 1 << random.randrange(8)
            case 1 if found:
                found[at % len(found)] = random.randrange(256)
            case 2:
                del found[at:end]
            case 3:
                found[at:at] = found[at:end]
            case 4:
                found[at:at] = random.randbytes(random.choice((1, 2, 9)))
            case 5:
                other = random.randrange(len(found) + 1)
                found[at:end] = found[other : other + end - at]
            case 6:
                del found[at:]
            case _:
                found[at : random.choice((at, end))] = random.choice(TOKENS)
    return bytes(found[:_MOST])


def damaged(inputs: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """`inputs`, half of them as they are, half of them with changes, and a few bytes that are nothing at all."""
    with_changes = st.builds(mutated, inputs, st.integers(0, 2**64 - 1))
    return st.integers(0, 11).flatmap(
        lambda chance: inputs if chance < 6 else with_changes if chance < 11 else st.binary(max_size=40)
    )
