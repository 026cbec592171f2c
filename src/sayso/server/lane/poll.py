"""Long polling in the fast lane: a follower for one news, or until its time is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sayso.errors import SaysoError, Unauthorised
from sayso.feeds import Feed, Member
from sayso.gateway import Place
from sayso.server.caller import Caller
from sayso.server.calls import Open
from sayso.server.lane.again import Again
from sayso.server.lane.later import GRAIN
from sayso.server.lane.written import page, poll_events
from sayso.server.longpoll import first_page, next_page, whole_page
from sayso.wire import events_page

if TYPE_CHECKING:
    from sayso.server.lane.connection import Connection


class Poll(Member):
    """The polls of one connection, of which one is held at a time. `caller`: of the last one."""

    __slots__ = ("_again", "_connection", "_cursor", "_key", "_open", "_rings_at", "_timer", "_until", "caller")

    encode = staticmethod(poll_events)

    def __init__(self, connection: Connection, caller: Caller) -> None:
        super().__init__()
        self.caller = caller
        self._connection = connection
        self._again: Again | None = None
        self._cursor: bytes | str | None = None
        self._key: str | None = None
        self._open: Open | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | int | None = None
        """Rings at `_rings_at`, for whichever call is held then: most are answered long before their time."""
        self._rings_at = 0.0

    def comes_again(self, data: bytes) -> bool:
        """Whether this is the next poll of a caller that is known, from a place that is known: it takes no task."""
        again, lane = self._again, self._connection.lane
        cursor = None if again is None else again.cursor_in(data)
        if again is None or cursor is None:
            return False
        feed = lane.feeds.known(again.stream)
        position = None if feed is None else feed.written_as(cursor) if cursor else 0
        if feed is None or position is None or not lane.application.lock.still_admits(self.caller, lane.gateway.keys):
            return False
        if not again.wait and not (feed.is_fresh and lane.gateway.is_alone):
            return False
        told: bytes | None = b""
        if not feed.has_told(position):
            told = feed.page(Place(again.stream[0], position, era=lane.gateway.era), poll_events)
        if told:
            self._connection.say(told)
        elif told is not None and not again.wait:
            self._connection.say(_nothing_after(cursor.decode()))
        elif told is not None:
            self._hold_again(again, feed, position, cursor)
        return told is not None

    async def answered(self, again: Again, cursor: str | None, open: Open, *, like: bytes) -> bool:
        """Answers a call, or holds it, and `open` with it: then this is True. `like`: its bytes, as of the next one."""
        use, execution_id, wait = again.use, again.stream[0], again.wait
        self.caller, self._again = use.caller, again.like(like, cursor)
        say = self._connection.say
        if execution_id is None and use.caller.among is not None:  # hidden events have cursors, too
            say(page(await use.call(lambda gateway: whole_page(gateway, execution_id, cursor, wait))))
            return False
        feed = self._connection.lane.feeds.of((execution_id, None))
        feed.visit()
        try:
            told = feed.told
            start, first, batch = await use.call(lambda gateway: first_page(gateway, execution_id, cursor, wait))
            place = batch.place if batch.place.among is None else replace(batch.place, among=None)  # that was checked
            if first is not None and not batch.reset and not batch.more and not start.place.open_until:
                feed.learn(place, told=told, since=start.place.position, events=batch.events, cursor=cursor)
            if first is None:
                if feed.admit(self, place, told=told, since=place.position, events=()):
                    self._hold(start.cursor, wait, open)
                    return True
                first = await use.call(lambda gateway: next_page(gateway, batch.place, wait, start.cursor))
            say(page(first))
            return False
        finally:
            feed.leave()

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

    def _hold_again(self, again: Again, feed: Feed, position: int, cursor: bytes) -> None:
        try:
            open = self._connection.lane.application.calls.begun(again.address, self.caller)
        except SaysoError as error:
            self._connection.refuse(error)
            return
        feed.join(self, position)
        self._hold(cursor, again.wait, open)

    def _hold(self, cursor: bytes | str | None, wait: float, open: Open) -> None:
        """It has joined a feed, at the place of `cursor`; `open` is what its call has."""
        self._cursor, self._open = cursor, open
        connection = self._connection
        connection.is_polling = True
        lane = connection.lane
        self._until = until = lane.loop.time() + wait
        if self._timer is None or until < self._rings_at:
            self._ring_in(wait)
        if self.caller.key is not None:
            self._key = self.caller.key
            lane.gateway.keys.watch(self._key, self._key_ended)

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
        self._connection.say(_nothing_after(cursor))

    def _key_ended(self) -> None:
        self.let_go()
        self._connection.refuse(Unauthorised())


def _nothing_after(cursor: str | None) -> bytes:
    """An answer without an event; a client without a cursor, which is also "", has none after it."""
    return page(events_page((), cursor=cursor or None, more=False, reset=None))
