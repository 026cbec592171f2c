"""A poll that is held in the fast lane: a follower for one news, or until its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sayso.errors import Unauthorised
from sayso.feeds import Feed, Member
from sayso.gateway import Place
from sayso.server.lane.written import page, poll_events
from sayso.wire import events_page

if TYPE_CHECKING:
    from sayso.server.lane.connection import Connection


class Poll(Member):
    """One for each connection, used for one call after the other. `over`: gives back what the call had."""

    __slots__ = ("_connection", "_cursor", "_key", "_over", "_timer")

    encode = staticmethod(poll_events)

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._cursor: str | None = None
        self._key: str | None = None
        self._timer: asyncio.TimerHandle | int | None = None
        self._over: Callable[[], None] | None = None

    @property
    def is_held(self) -> bool:
        return self._over is not None

    def hold(self, feed: Feed, cursor: str | None, wait: float, key: str | None, over: Callable[[], None]) -> None:
        """It is a member of `feed`; `cursor` is of the place at which it joined."""
        lane = self._connection.lane
        self._cursor, self._key, self._over = cursor, key, over
        self._timer = lane.later.after(wait, self)
        if key is not None:
            lane.gateway.keys.watch(key, self._key_ended)

    def write(self, data: bytes) -> None:
        self.let_go()
        self._connection.say(data)

    def lag(self, place: Place) -> None:
        """What came cannot be told as it is; the client reads it when it asks again."""
        self.time_out()

    def end(self) -> None:
        self.time_out()

    def let_go(self) -> None:
        """It is held no more. Idempotent."""
        self.leave()
        if self._timer is not None:
            self._connection.lane.later.off(self._timer, self)
            self._timer = None
        if self._key is not None:
            self._connection.lane.gateway.keys.unwatch(self._key, self._key_ended)
            self._key = None
        if self._over is not None:
            over, self._over = self._over, None
            over()

    def time_out(self) -> None:
        self.let_go()
        self._connection.say(page(events_page((), cursor=self._cursor, more=False, reset=None)))

    def _key_ended(self) -> None:
        self.let_go()
        self._connection.refuse(Unauthorised())
