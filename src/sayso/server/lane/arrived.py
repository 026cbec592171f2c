"""A call that was let in, and what has to be given back when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sayso.server.access import CallersAccess
from sayso.server.caller import Caller
from sayso.server.calls import Open
from sayso.server.connections import Place

if TYPE_CHECKING:
    from sayso.server.lane.lane import Lane
    from sayso.server.lane.stream import Stream


class Arrived:
    """Of a stream, which has its connection for itself."""

    __slots__ = ("_open", "_place", "lane", "transport", "use")

    def __init__(self, lane: Lane, transport: asyncio.Transport, place: Place, use: CallersAccess, open: Open) -> None:
        self.lane = lane
        self.transport = transport
        self.use = use
        self._place = place
        self._open = open

    @property
    def caller(self) -> Caller:
        return self.use.caller

    def begun(self, stream: Stream) -> None:
        """From now on the stream hears when its key ends."""
        self.lane.streams.add(stream)
        if self.caller.key is not None:
            self.lane.gateway.keys.watch(self.caller.key, stream.key_ended)

    def over(self, stream: Stream) -> None:
        self.lane.streams.discard(stream)
        if self.caller.key is not None:
            self.lane.gateway.keys.unwatch(self.caller.key, stream.key_ended)
        self._open.over()
        self._place.leave()
