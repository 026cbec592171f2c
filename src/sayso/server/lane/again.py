"""The next poll of a caller, which differs from its last one in the cursor alone."""

from __future__ import annotations

from typing import Self

from sayso.feeds.feed import Stream
from sayso.server.access import CallersAccess


class Again:
    """A poll that was let in: the same bytes are the same call of the same caller, who is let in while it still may be.

    `address`: the caller's.
    """

    __slots__ = ("_after", "_before", "_has_cursor", "_length", "address", "stream", "use", "wait")

    def __init__(self, execution_id: str | None, wait: float, use: CallersAccess, address: str) -> None:
        self._before = self._after = b""
        self._length = 0
        self._has_cursor = False
        self.stream: Stream = (execution_id, None)
        self.wait = wait
        self.use = use
        self.address = address

    def like(self, data: bytes, cursor: str | None) -> Self | None:
        """This, for calls like the one that came; None where they cannot be told by their bytes, or more counts."""
        is_simple = self.use.caller.among is None and self.use.caller.channel is None
        parts = data.split(cursor.encode()) if cursor else [data, b""]
        if not is_simple or len(parts) != 2 or (cursor is None and self.stream[0] is None):
            return None
        self._has_cursor = cursor is not None
        self._before, self._after = parts
        self._length = len(self._before) + len(self._after)
        return self

    def cursor_in(self, data: bytes) -> bytes | None:
        """What stands where the cursor was, where all else is that call; b"" where that has none, and begins at the
        beginning. Whether it is a cursor only a look at the log can say."""
        if not self._has_cursor:
            return b"" if data == self._before else None
        if len(data) <= self._length or not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        return data[len(self._before) : len(data) - len(self._after)]
