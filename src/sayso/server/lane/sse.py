"""Server-Sent Events in the fast lane."""

from __future__ import annotations

import logging

from sayso.server.lane.stream import Stream
from sayso.server.lane.written import LAST_CHUNK, chunk, sse_events
from sayso.wire import Reset

logger = logging.getLogger(__name__)


class EventStream(Stream):
    """Its client has nothing more to say."""

    __slots__ = ()

    encode = staticmethod(sse_events)

    def data_received(self, data: bytes) -> None:
        """A call after this one, which would never have an answer."""

    def written(self, reset: Reset) -> bytes:
        return chunk(reset.sse)

    def end(self) -> None:
        self.write(LAST_CHUNK)
        self.close()

    def fail(self) -> None:
        self.end()

    def key_ended(self) -> None:
        logger.info("stream ended with its key")
        self.end()

    def refuse_slowness(self) -> None:
        self.transport.abort()
