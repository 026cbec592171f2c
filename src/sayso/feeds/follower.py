"""A follower of its own place: it reads the log up to where there is no more, and joins a feed there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from sayso import limits
from sayso.errors import SaysoError
from sayso.feeds.feed import Feed
from sayso.feeds.feeds import Feeds
from sayso.feeds.member import Member
from sayso.gateway import Batch, Place
from sayso.wire import Event, Reset

logger = logging.getLogger(__name__)


class Follower(Member):
    """What it says, and how it goes, is its transport's. It holds no task and no queue while it is up to date."""

    __slots__ = ("_feeds", "_lagged", "_reading", "_taken")

    def __init__(self, feeds: Feeds) -> None:
        super().__init__()
        self._feeds = feeds
        self._reading: asyncio.Task[None] | None = None
        self._lagged: Place | None = None
        """From where to read on once it takes something again."""
        self._taken: asyncio.Future[None] | None = None
        """Done when it does."""

    def written(self, reset: Reset) -> bytes:
        """How its transport writes a reset."""
        raise NotImplementedError

    def fail(self) -> None:
        """The log cannot be read; the client may resume."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Whether nobody listens any more."""
        raise NotImplementedError

    def begin(self, batch: Batch) -> None:
        """Tells what comes after a place, from the feed where that knows it, else from the log."""
        if not batch.reset and not batch.ended:
            feed = self._feeds.known((batch.place.execution_id, batch.place.among))
            if feed is not None and self._joined(feed, batch.place):
                return
        self._read_up(batch)

    def lag(self, place: Place) -> None:
        if self.is_paused:
            self._lagged = place
        else:
            self._read_up(Batch(place))

    def pause(self) -> None:
        """It does not take what it is told."""
        self.is_paused = True

    def resume(self) -> None:
        """It does again."""
        self.is_paused = False
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)
        if self._lagged is not None:
            place, self._lagged = self._lagged, None
            self._read_up(Batch(place))

    def stand_still(self) -> None:
        """It is told no more. Idempotent."""
        self.leave()
        self._lagged = None
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    async def taken(self) -> None:
        """Returns when it takes what it is told."""
        while self.is_paused and not self.is_over:
            self._taken = self._feeds.loop.create_future()
            await self._taken

    def _joined(self, feed: Feed, place: Place) -> bool:
        known = feed.after(place)
        if known is None or feed.position is None:
            return False
        for events in in_blocks(known):
            self.write(self.encode(events))
        feed.join(self, feed.position)
        return True

    def _read_up(self, batch: Batch) -> None:
        self._reading = self._feeds.loop.create_task(self._read(batch))

    async def _read(self, batch: Batch) -> None:
        stream = (batch.place.execution_id, batch.place.among)
        feed = self._feeds.of(stream)
        feed.visit()
        since: int = batch.place.position
        last: Sequence[Event] = ()
        try:
            while await self._tell(batch) and not self._joined(feed, batch.place):
                if feed.is_closed:
                    feed.leave()
                    feed = self._feeds.of(stream)
                    feed.visit()
                told, before = feed.told, batch.place
                batch = await self._feeds.gateway.read(before)
                if batch.place != before or batch.events or batch.reset or batch.ended:
                    is_all = not batch.reset and not before.open_until  # of what lies between the two places
                    since, last = (before.position, batch.events) if is_all else (batch.place.position, ())
                elif feed.admit(self, batch.place, told=told, since=since, events=last):
                    return
        except SaysoError:
            logger.exception("stream ended early; the client can resume")
            self.fail()
        except Exception:
            logger.exception("stream failed")
            self.fail()
        finally:
            self._reading = None
            feed.leave()

    async def _tell(self, batch: Batch) -> bool:
        """Whether there is more to say to it."""
        if batch.reset:
            self.write(self.written(batch.reset))
        for events in in_blocks(batch.events):
            await self.taken()
            self.write(self.encode(events))
        await self.taken()
        if batch.ended:
            self.end()
        return not batch.ended and not self.is_over


def in_blocks(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Several events are one write; many are several, or a client that reads nothing would have all of them twice."""
    block: list[Event] = []
    size = 0
    for event in events:
        block.append(event)
        size += len(event.data)
        if size >= limits.BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
