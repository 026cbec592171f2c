"""A follower on a connection of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sayso import limits
from sayso.feeds import Follower
from sayso.gateway import Batch
from sayso.server.caller import Caller

if TYPE_CHECKING:
    from sayso.server.lane.arrived import Arrived


class Stream(Follower, asyncio.Protocol):
    """Has a connection for itself from the answer to its call on. What a transport says is up to its kind."""

    __slots__ = ("_arrived", "_cut", "transport", "write")

    def __init__(self, arrived: Arrived) -> None:
        super().__init__(arrived.lane.feeds)
        self.transport = arrived.transport
        self._arrived = arrived
        self._cut: asyncio.TimerHandle | None = None
        self.write = arrived.transport.write  # type: ignore[method-assign]  # no step in between

    @property
    def caller(self) -> Caller:
        return self._arrived.caller

    @property
    def is_over(self) -> bool:
        return self.transport.is_closing()

    def begin(self, batch: Batch) -> None:
        self._arrived.begun(self)
        super().begin(batch)

    def refuse_slowness(self) -> None:
        """It has taken nothing for limits.SEND."""
        raise NotImplementedError

    def key_ended(self) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        self.pause()
        if self._cut is None:
            self._cut = self._arrived.lane.loop.call_later(limits.SEND, self._too_slow)

    def resume_writing(self) -> None:
        self._stay()
        self.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stand_still()
        self._stay()
        self._arrived.over(self)

    def close(self) -> None:
        """Ends the connection once what was said is taken, or has not been for limits.SEND."""
        self.stand_still()
        self.transport.close()
        if self._cut is None and self.transport.get_write_buffer_size():
            self._cut = self._arrived.lane.loop.call_later(limits.SEND, self.transport.abort)

    def _too_slow(self) -> None:
        self._cut = None
        self.refuse_slowness()

    def _stay(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
