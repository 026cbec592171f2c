"""Wake-ups in this process: who follows which stream, and how news reaches them. Knows no store; lives on one loop."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from sayso.wire import Event

Stream = str | None
"""An execution's id, or None: the stream of all executions."""

_KEPT: Final = 1_024
"""Topics kept alive between two waits of their followers. Losing one costs its followers one read of the store each,
nothing else, so a flood of unknown executions can only make this cache useless, never large."""


@dataclass(frozen=True)
class News:
    """What a topic was told: `events` are all there is after position `after`, maybe none; or None: read the store.

    `topic` is where to wait for what comes next.
    """

    after: int | None
    events: tuple[Event, ...] | None
    topic: Topic

    def since(self, position: int) -> tuple[Event, ...] | None:
        """The events after `position`; None when they are not all here."""
        if self.events is None or self.after is None or self.after > position:
            return None
        return tuple(event for event in self.events if event.position > position)


class Topic:
    """One wait for news of one stream, shared by all its followers; told once, then replaced by the next."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        """Whoever waits here has seen the stream up to this position at least; None while nobody has looked."""
        self._told: asyncio.Future[News] = asyncio.get_running_loop().create_future()

    def looked(self, position: int) -> None:
        """A follower that took this topic first, and read the store second, found nothing after `position`.

        The least position counts: news that began later would miss those who have seen less.
        """
        if self.after is None or position < self.after:
            self.after = position

    def tell(self, news: News) -> None:
        if not self._told.done():
            self._told.set_result(news)

    async def news(self, wait: float | None = None) -> News | None:
        """The news, or None after `wait` seconds (None: no limit). Safe to cancel, safe to share."""
        await asyncio.wait([self._told], timeout=wait)
        return self._told.result() if self._told.done() else None


class Hub:
    """The topics that have followers. Take a topic first, read the store second, wait third: then nothing is missed."""

    def __init__(self) -> None:
        self._topics: WeakValueDictionary[Stream, Topic] = WeakValueDictionary()
        self._kept: deque[Topic] = deque(maxlen=_KEPT)
        self.ended = False

    def topic(self, stream: Stream) -> Topic:
        """Where to wait for news of `stream`; forgotten again when nobody waits."""
        topic = self._topics.get(stream)
        if topic is None:
            topic = self._topics[stream] = Topic()
            if self.ended:
                topic.tell(News(None, None, topic))
        return topic

    def followed(self, stream: Stream) -> Topic | None:
        """The topic of `stream` if somebody may be waiting for it."""
        return self._topics.get(stream)

    def tell(self, stream: Stream, events: tuple[Event, ...] | None = None, *, after: int | None = None) -> None:
        """Wakes the followers of `stream`: with `events`, all that are after `after`, or to read the store."""
        topic = self._topics.get(stream)
        if topic is None or self.ended:
            return
        successor = Topic(events[-1].position if events else after)
        self._topics[stream] = successor
        self._kept.append(successor)
        topic.tell(News(after, events, successor))

    def tell_all(self) -> None:
        """Wakes everyone to read the store."""
        for stream in list(self._topics):
            self.tell(stream)

    def end(self) -> None:
        """Wakes everyone for the last time; whoever waits later returns at once."""
        self.ended = True
        for topic in list(self._topics.values()):
            topic.tell(News(None, None, topic))
