"""Carries the store's hints into the hub: the only place that wakes followers."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from sayso import limits
from sayso.errors import StoreFailed
from sayso.hub import Hub, Stream, Topic
from sayso.store import Hint, is_whole
from sayso.wire import Event

logger = logging.getLogger(__name__)

Read = Callable[[Stream, int, int], Awaitable[Sequence[Event]]]
"""`Store.read`: of a stream, after a position, at most so many events."""
_READS: Final = 4
"""Of limits.BATCH each: what a hundred writers commit at once."""


class Waker:
    """Events that come along with a hint are told in the same turn of the loop. Others are read, once for everyone who
    follows; until that is done, what comes after them in the same stream waits for its turn."""

    def __init__(self, hub: Hub, read: Read) -> None:
        self._hub = hub
        self._read = read
        self._unread: Counter[Stream] = Counter()
        """Hints of each stream, of which the events are still to be read."""
        self._has_unread = asyncio.Event()

    def hear(self, hint: Hint | None) -> None:
        """What `Store.listen` calls."""
        if hint is None:
            self._unread.update(list(self._unread))  # what is being read may be too early a look
            self._hub.tell_all()
            return
        hub, unread = self._hub, self._unread
        for execution_id, events in hint.items():
            if (topic := hub.followed(execution_id)) is None:
                continue
            if events is not None and not unread and topic.after is not None:
                hub.tell_on(topic, execution_id, events, after=topic.after)
            else:
                self._tell(topic, execution_id, events)
        if (topic := hub.followed(None)) is not None:
            self._tell(topic, None, _together(hint.values()))

    async def keep(self) -> None:
        """Reads what did not come along. Runs until cancelled."""
        while True:
            await self._has_unread.wait()
            self._has_unread.clear()
            while self._unread:
                stream, hints = next(iter(self._unread.items()))
                await self._read_and_tell(stream)
                if self._unread[stream] == hints:
                    del self._unread[stream]

    def _tell(self, topic: Topic, stream: Stream, events: Sequence[Event] | None) -> None:
        """Wakes all who wait on `topic`, also where nothing is new to the one that is furthest: they may wait for a
        settlement that another follower has seen already."""
        after = topic.after
        if after is None:
            self._hub.tell_on(topic, stream, None, after=None)
        elif events is None or stream in self._unread:
            self._unread[stream] += 1
            self._has_unread.set()
        else:
            self._hub.tell_on(topic, stream, events, after=after)

    async def _read_and_tell(self, stream: Stream) -> None:
        topic = self._hub.followed(stream)
        after = None if topic is None else topic.after  # a slower follower may come and lower it meanwhile
        events = None
        if after is not None:
            try:
                events = await self._news(stream, after)
            except StoreFailed:
                logger.exception("news not read; followers read for themselves")
        self._hub.tell(stream, events, after=None if events is None else after)

    async def _news(self, stream: Stream, after: int) -> Sequence[Event] | None:
        """What came after `after`, which all followers share; None for so much that each had better read for itself."""
        news: list[Event] = []
        for _ in range(_READS):
            events = await self._read(stream, news[-1].position if news else after, limits.PAGE)
            news += events
            if is_whole(events, limits.PAGE):
                return news
        return None


def _together(parts: Iterable[Sequence[Event] | None]) -> Sequence[Event] | None:
    """The events of several executions in the order of the log; None where one's are not at hand."""
    found: list[Event] = []
    for events in parts:
        if events is None:
            return None
        found += events
    found.sort(key=lambda event: event.position)
    return found
