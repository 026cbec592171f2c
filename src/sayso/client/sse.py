"""Reads a stream of Server-Sent Events (WHATWG HTML, 9.2.6), in whatever pieces it comes. Pure."""

from __future__ import annotations

import codecs
from typing import NamedTuple


class Block(NamedTuple):
    """One event of a stream; `id` is the last one that the stream has named."""

    id: str
    data: str


class Decoder:
    """Bytes in, events out."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, data: bytes) -> list[Block]:
        """The events that are complete with `data`."""
        text = self._rest + self._text.decode(data)
        if text.endswith("\r"):  # its line feed may come with the next piece
            text, held = text[:-1], "\r"
        else:
            held = ""
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        return [block for line in lines if (block := self._line(line)) is not None]

    def _line(self, line: str) -> Block | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id" and "\0" not in value:
                self._id = value
            return None
        if not self._data:
            return None
        block = Block(self._id, "\n".join(self._data))
        self._data = []
        return block
