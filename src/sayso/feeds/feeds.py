"""The feeds of a gateway, while somebody follows and a little longer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from sayso import limits
from sayso.feeds.feed import Feed, Stream
from sayso.gateway import Gateway

_TAILS: Final = 16 * 1024 * limits.KIB
"""Bytes of the tails of all feeds."""
_LINGERING: Final = 256
"""Feeds without followers that are kept; unknown executions leave none, since they have no tail."""


class Feeds:
    """The feeds of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.loop = asyncio.get_running_loop()
        self._tails = 0
        self._all: dict[Stream, Feed] = {}
        self._lingering: OrderedDict[Feed, None] = OrderedDict()
        gateway.on_written = self._written

    def __iter__(self) -> Iterator[Feed]:
        return iter(list(self._all.values()))

    def of(self, stream: Stream) -> Feed:
        """The feed of a stream; whoever takes it visits it."""
        feed = self._all.get(stream)
        if feed is None:
            feed = Feed(self, stream)
            if not feed.is_closed:  # the server ends its streams
                self._all[stream] = feed
        return feed

    def known(self, stream: Stream) -> Feed | None:
        return self._all.get(stream)

    def forget(self, feed: Feed) -> None:
        self._lingering.pop(feed, None)
        if self._all.get(feed.stream) is feed:
            del self._all[feed.stream]

    def _written(self, execution_id: str, event_id: str) -> None:
        for stream in ((execution_id, None), (None, None)):
            feed = self._all.get(stream)
            if feed is not None:
                feed.expect(event_id)

    def linger(self, feed: Feed) -> None:
        self._lingering[feed] = None
        if len(self._lingering) > _LINGERING:
            next(iter(self._lingering)).close()

    def stay(self, feed: Feed) -> None:
        self._lingering.pop(feed, None)

    def look_around(self) -> None:
        """Drops what is not needed any more. Called now and then."""
        now = self.loop.time()
        for feed in self:
            feed.age(now)

    def may_hold(self, more: int) -> bool:
        """Counts `more` bytes of a tail; whether there is room for them."""
        self._tails += more
        return self._tails <= _TAILS
