"""A poll that is held in the fast lane: a follower for one news, or until its time is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sayso.errors import Unauthorised
from sayso.feeds import Member
from sayso.gateway import Place
from sayso.server.calls import Open
from sayso.server.lane.later import GRAIN
from sayso.server.lane.written import page, poll_events
from sayso.wire import events_page

if TYPE_CHECKING:
    from sayso.server.lane.connection import Connection


class Poll(Member):
    """One for each connection, used for one call after the other."""

    __slots__ = ("_connection", "_cursor", "_key", "_open", "_rings_at", "_timer", "_until")

    encode = staticmethod(poll_events)

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._cursor: bytes | str | None = None
        self._key: str | None = None
        self._open: Open | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | int | None = None
        """Rings at `_rings_at`, for whichever call is held then: most are answered long before their time."""
        self._rings_at = 0.0

    def hold(self, cursor: bytes | str | None, wait: float, key: str | None, open: Open) -> None:
        """It has joined a feed, at the place of `cursor`; `open` is what its call has."""
        self._cursor, self._key, self._open = cursor, key, open
        connection = self._connection
        connection.is_polling = True
        lane = connection.lane
        self._until = until = lane.loop.time() + wait
        if self._timer is None or until < self._rings_at:
            self._ring_in(wait)
        if key is not None:
            lane.gateway.keys.watch(key, self._key_ended)

    def write(self, data: bytes) -> None:
        self.let_go()
        self._connection.say(data)

    def lag(self, place: Place) -> None:
        """What came cannot be told as it is; the client reads it when it asks again."""
        self._say_nothing()

    def end(self) -> None:
        self._say_nothing()

    def let_go(self) -> None:
        """It is held no more. Idempotent."""
        self.leave()
        self._connection.is_polling = False
        if self._key is not None:
            self._connection.lane.gateway.keys.unwatch(self._key, self._key_ended)
            self._key = None
        if self._open is not None:
            self._open.over()
            self._open = None

    def forget(self) -> None:
        """There are no more calls."""
        self.let_go()
        self._call_off()

    def time_out(self) -> None:
        """What its timer calls."""
        self._timer = None
        if not self._connection.is_polling:
            return
        left = self._until - self._connection.lane.loop.time()
        if left > GRAIN:
            self._ring_in(left)
        else:
            self._say_nothing()

    def _ring_in(self, seconds: float) -> None:
        self._call_off()
        self._rings_at = self._connection.lane.loop.time() + seconds
        self._timer = self._connection.lane.later.after(seconds, self)

    def _call_off(self) -> None:
        if self._timer is not None:
            self._connection.lane.later.off(self._timer, self)
            self._timer = None

    def _say_nothing(self) -> None:
        self.let_go()
        cursor = self._cursor.decode() if isinstance(self._cursor, bytes) else self._cursor
        self._connection.say(page(events_page((), cursor=cursor, more=False, reset=None)))

    def _key_ended(self) -> None:
        self.let_go()
        self._connection.refuse(Unauthorised())
