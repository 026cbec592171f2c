"""Reads a stream of Server-Sent Events (WHATWG HTML, 9.2.6), in whatever pieces it comes. Pure."""

from __future__ import annotations

import codecs
from io import StringIO
from typing import NamedTuple

from sayso import limits
from sayso.errors import Misconfigured


class Block(NamedTuple):
    """One event of a stream; `id` is the last one that the stream has named."""

    id: str
    data: str


class Decoder:
    """Bytes in, events out. A long line takes time in proportion, in however many pieces it comes."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._is_after_return = False
        self._rest = StringIO()
        self._data: list[str] = []
        self._size = 0
        """Characters of the lines of data that are held."""
        self._id = ""

    def feed(self, data: bytes) -> list[Block]:
        """The events that are complete with `data`. Raises Misconfigured for one that has no end in sight."""
        text = self._text.decode(data)
        if not text:
            return []
        if self._is_after_return:
            text = text.removeprefix("\n")  # the other half of a line's end
        self._is_after_return = text.endswith("\r")
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if lines:
            self._rest.write(lines[0])
            lines[0], self._rest = self._rest.getvalue(), StringIO()
        found = [block for line in lines if (block := self._line(line)) is not None]
        self._rest.write(rest)
        if self._size + self._rest.tell() > limits.REPLY:
            raise Misconfigured(
                f"it streams, but not as a sayso server does: an event of more than {limits.REPLY} bytes"
            )
        return found

    def _line(self, line: str) -> Block | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
                self._size += len(value) + 1
            elif name == "id" and "\0" not in value:
                self._id = value
            return None
        if not self._data:
            return None
        block = Block(self._id, "\n".join(self._data))
        self._data, self._size = [], 0
        return block
