"""The last events of a stream, for whoever comes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from sayso import limits
from sayso.wire import Event

_MOST: Final = 32 * limits.KIB


class Tail:
    """The last events of a stream, without a hole, at most _MOST bytes of them: all that come after `start`."""

    __slots__ = ("_events", "size", "start", "start_id")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.start_id: str | None = None
        """The cursor of `start`, where that is known."""
        self.size = 0
        self._events: deque[Event] = deque()

    def hold(self, events: Sequence[Event], since: int | None) -> int:
        """Adds what came next, or the first ones, after `since`. Gives by how many bytes it has grown."""
        before = self.size
        if since is not None:
            self.start = since
        for event in events:
            self._events.append(event)
            self.size += len(event.data)
        while self.size > _MOST:
            gone = self._events.popleft()
            self.size -= len(gone.data)
            self.start, self.start_id = gone.position, gone.event_id
        return self.size - before

    def drop(self, position: int) -> None:
        """Forgets all of it; what is held next comes after `position`."""
        self._events.clear()
        self.size, self.start, self.start_id = 0, position, None

    def after(self, position: int) -> Sequence[Event] | None:
        return None if position < self.start else [event for event in self._events if event.position > position]

    def located(self, event_id: str) -> int | None:
        for event in reversed(self._events):
            if event.event_id == event_id:
                return event.position
        return self.start if event_id == self.start_id else None
