"""Wake-ups in this process: who follows which stream, and how news reaches them. Knows no store; lives on one loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final
from weakref import ref

from msgspec import Struct

from sayso.wire import Event

Stream = str | None
"""An execution's id, or None: the stream of all executions."""

_KEPT: Final = 1_024
"""Streams whose topic is kept alive between two waits of its followers. Losing one costs its followers one read of the
store each, nothing else, so a flood of unknown executions can only make this cache useless, never large."""


class News(Struct, frozen=True):
    """What a topic was told: `events` has all there is after position `after`, maybe none; or None: read the store.

    `topic` is where to wait for what comes next.
    """

    after: int | None
    events: Sequence[Event] | None
    topic: Topic

    def since(self, position: int) -> Sequence[Event] | None:
        """The events after `position`; None when they are not all here."""
        events = self.events
        if events is None or self.after is None or self.after > position:
            return None
        if not events or events[0].position > position:
            return events
        return [event for event in events if event.position > position]


class Topic:
    """One wait for news of one stream, shared by all its followers; told once, then replaced by the next.

    One that is only listened to goes on instead: `is_taken` says that somebody may look at it later.
    """

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        """Whoever waits here has seen the stream up to this position at least; None while nobody has looked."""
        self.told = 0
        """How often it was told news."""
        self._news: News | None = None
        self._told: asyncio.Future[None] | None = None
        """Done when there are news; made for the first who waits."""
        self.is_taken = False
        self._hearers: list[Callable[[News], None]] = []

    def listen(self, hear: Callable[[News], None]) -> None:
        """Has `hear` called with all news from here on, in the turn of the loop in which they are told; at once where
        they are the last ones."""
        if self._news is not None:
            hear(self._news)
        else:
            self._hearers.append(hear)

    def unlisten(self, hear: Callable[[News], None]) -> None:
        """Calls that off, on the topic of the last news. Idempotent."""
        if hear in self._hearers:
            self._hearers.remove(hear)

    def looked(self, position: int, told: int) -> None:
        """A follower that took this topic first, when it had been `told` so often, and read the store second, found
        nothing after `position`.

        The least position counts: news that began later would miss those who have seen less. A look that news have
        overtaken does not: those after them would be taken for all that there is since then.
        """
        if told == self.told and (self.after is None or position < self.after):
            self.after = position

    def tell(self, news: News) -> None:
        if self._news is not None:
            return
        self.told += 1
        hearers = tuple(self._hearers)
        if news.topic is not self:
            self._news = news
            news.topic._hearers += hearers
            self._hearers.clear()
        elif self.is_taken:
            self._news = news
        if self._told is not None:
            self._told.set_result(None)
        for hear in hearers:
            hear(news)

    async def news(self, wait: float | None = None) -> News | None:
        """The news, or None after `wait` seconds (None: no limit). Safe to cancel, safe to share."""
        if self._news is None:
            if self._told is None:
                self._told = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._told], timeout=wait)
        return self._news


class Hub:
    """The topics that have followers. Take a topic first, read the store second, wait third: then nothing is missed."""

    def __init__(self) -> None:
        self._topics: dict[Stream, ref[Topic]] = {}
        """As a WeakValueDictionary, which takes three times as long to be asked."""
        self._kept: OrderedDict[Stream, Topic] = OrderedDict()
        self.ended = False

    def topic(self, stream: Stream) -> Topic:
        """Where to wait for news of `stream`; forgotten again when nobody waits."""
        topic = self.heard(stream)
        topic.is_taken = True
        return topic

    def heard(self, stream: Stream) -> Topic:
        """The same, for who does nothing with it but listen."""
        topic = self.followed(stream)
        if topic is None:
            topic = self._put(stream, Topic())
            if self.ended:
                topic.is_taken = True
                topic.tell(News(None, None, topic))
        return topic

    def followed(self, stream: Stream) -> Topic | None:
        """The topic of `stream` if somebody may be waiting for it."""
        found = self._topics.get(stream)
        return None if found is None else found()

    def tell(self, stream: Stream, events: Sequence[Event] | None = None, *, after: int | None = None) -> None:
        """Wakes the followers of `stream`: with `events`, all that is after `after` and maybe more, or to read."""
        topic = self.followed(stream)
        if topic is not None:
            self.tell_on(topic, stream, events, after=after)

    def tell_on(self, topic: Topic, stream: Stream, events: Sequence[Event] | None, *, after: int | None) -> None:
        """The same, where `followed` gave the topic just now."""
        if self.ended:
            return
        position = max(events[-1].position, after or 0) if events else after
        if topic.is_taken:
            successor = self._put(stream, Topic(position))
            successor.is_taken = True  # whoever has the old one goes on with it
            self._keep(stream, successor)
        else:
            successor = topic
            topic.after = position
        topic.tell(News(after, events, successor))

    def _put(self, stream: Stream, topic: Topic) -> Topic:
        topics = self._topics

        def gone(found: ref[Topic]) -> None:
            if topics.get(stream) is found:
                del topics[stream]

        topics[stream] = ref(topic, gone)
        return topic

    def _keep(self, stream: Stream, topic: Topic) -> None:
        """In place of the one before, which was told: nobody looks for it any more, and its events may be large."""
        self._kept[stream] = topic
        self._kept.move_to_end(stream)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def tell_all(self) -> None:
        """Wakes everyone to read the store."""
        for stream in list(self._topics):
            self.tell(stream)

    def end(self) -> None:
        """Wakes everyone for the last time; whoever waits later returns at once."""
        self.ended = True
        for found in list(self._topics.values()):
            if (topic := found()) is not None:
                topic.is_taken = True
                topic.tell(News(None, None, topic))
