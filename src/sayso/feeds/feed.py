"""The followers of one stream that are up to date: one hears of its news, and they are written down once for all."""

from __future__ import annotations

import asyncio
import logging
import math
from bisect import insort
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sayso import limits
from sayso.feeds.member import NEVER, Encode, Member
from sayso.feeds.tail import Tail
from sayso.gateway import Place
from sayso.hub import News
from sayso.keys import fits
from sayso.wire import Event

if TYPE_CHECKING:
    from sayso.feeds.feeds import Feeds

logger = logging.getLogger(__name__)

Stream = tuple[str | None, tuple[str, ...] | None]
"""An execution's id, or None for all, and the patterns of which a shown execution fits one (None: all are shown)."""

_TURN: Final = 1_000
"""Writes until others get their turn: answers must not wait for a large crowd to be told."""
_CROWD: Final = 64
"""Members, to tell all of whom takes much longer than a turn of the loop."""
_TURNS: Final = 16
"""For how many turns they are kept waiting at most, while more comes."""
_LINGER: Final = 5.0
"""Seconds that a feed without followers is kept up to date, so that whoever comes back finds its tail."""
_PAGES: Final = 16
_LACKS: Final = 1_000
_STALE: Final = 60.0
"""Seconds without news after which a tail is dropped: retention may remove what is in it."""


class Feed:
    """`position`: up to where its members were told, or are about to be; None until somebody has looked."""

    def __init__(self, feeds: Feeds, stream: Stream) -> None:
        self.stream = stream
        self._among = stream[1]
        self._loop = feeds.loop
        self.position: int | None = None
        self.told = 0
        """How often it has heard news: whoever reads the store sees by it whether there were some meanwhile."""
        self.told_at = self._loop.time()
        """When its members were last written to, by the loop's clock."""
        self.is_closed = False
        self._feeds = feeds
        self._gateway = feeds.gateway
        self._era = feeds.gateway.era
        self._members: dict[Encode, dict[Member, None]] = {}
        self._only: Member | None = None
        """The member, where there is one alone."""
        self._visitors = 0
        self._left_at = 0.0
        self._tail = Tail()
        self._lacks: set[str] = set()
        """Events that this process has written, and of which the news are on their way."""
        self._has_lost_count = False
        self._found = (b"", 0)
        """The last event that somebody came back with."""
        self._pages: dict[tuple[Encode, int], bytes] = {}
        """What was written for those who read on from the same place."""
        self._pending: deque[Event] = deque()
        self._seals: list[int] = []
        """Positions at which somebody joined while events were pending: no block reaches over one."""
        self._gathered = 0
        """How much was pending a turn ago."""
        self._turns_waited = 0
        self._flushed = 0
        self._block: _Block | None = None
        self._is_flushing = False
        self._reading: asyncio.Task[None] | None = None
        self._topic = feeds.gateway.heard(stream[0])
        self._topic.listen(self._hear)

    def __len__(self) -> int:
        return sum(map(len, self._members.values()))

    def visit(self) -> None:
        """Somebody is about to join; `leave` takes it back."""
        self._visitors += 1
        self._feeds.stay(self)

    def leave(self) -> None:
        self._visitors -= 1
        self._linger()

    def has_members(self, encode: Encode) -> bool:
        return encode in self._members

    def after(self, place: Place) -> Sequence[Event] | None:
        """The events after a place, up to this feed's position; None where they are not all here."""
        if self.position is None or self.is_closed or place.era != self._era or place.open_until:
            return None
        if place.position == self.position:
            return ()
        return self._tail.after(place.position) if place.position < self.position else None

    def has_told(self, position: int) -> bool:
        """Whether there is nothing after `position`, as far as this feed knows."""
        return position == self.position and not self.is_closed and self._gateway.era == self._era

    def page(self, place: Place, encode: Encode) -> bytes | None:
        """What comes after a place, written down; b"" for nothing, None where it is not all here."""
        events = self.after(place)
        if not events:
            return None if events is None else b""
        page = self._pages.get((encode, place.position))
        if page is None:
            if len(self._pages) >= _PAGES:
                self._pages.clear()
            page = self._pages[encode, place.position] = encode(events)
        return page

    def expect(self, event_id: str) -> None:
        """The event was written, and its writer may ask for it before it is news."""
        if self.position is None:
            self.told += 1  # whoever looks just now may have looked too early
        elif self._tail.located(event_id) is None:
            self._lacks.add(event_id)
            if len(self._lacks) > _LACKS:  # something is amiss; from now on the store is asked
                self._lacks = {event_id}
                self._has_lost_count = True

    @property
    def is_fresh(self) -> bool:
        """Whether it has everything that is in the store, as far as this process wrote it."""
        return not self._lacks and not self._has_lost_count

    def located(self, event_id: str) -> int | None:
        """The position of one of the last events."""
        return self._tail.located(event_id)

    def written_as(self, event_id: bytes) -> int | None:
        """The same, for an id as it came: all of a crowd come back with one."""
        found, position = self._found
        if event_id == found:
            return position
        located = self._tail.located(event_id.decode()) if event_id.isascii() else None
        if located is not None:
            self._found = (event_id, located)
        return located

    def admit(self, member: Member, place: Place, *, told: int, since: int, events: Sequence[Event]) -> bool:
        """Whether `member`, which knows everything up to `place`, is told from here on; see `learn`."""
        self.learn(place, told=told, since=since, events=events)
        if self.is_closed or self.position is None or place.era != self._era or place.open_until:
            return False
        if place.position < self.position:
            return False
        self.join(member, place.position)
        return True

    def learn(self, place: Place, *, told: int, since: int, events: Sequence[Event], cursor: str | None = None) -> None:
        """Somebody has read nothing after `place`, when `told` was so many, and `events` between `since` and `place`.

        `cursor`: of `since`.
        """
        if self.is_closed or self.position is not None or told != self.told:
            return
        if place.era == self._era and not place.open_until:
            self.position = self._flushed = place.position
            self._tail.start_id = cursor
            self._hold(events, since)
            self._topic.looked(place.position, self._topic.told)

    def join(self, member: Member, position: int) -> None:
        """From now on `member`, which knows everything up to `position`, is told."""
        member.feed, member.joined = self, position
        members = self._members.get(member.encode)
        if members is not None:
            members[member] = None
            self._only = None
        else:
            self._only = None if self._members else member
            self._members[member.encode] = {member: None}
            self._feeds.stay(self)
        if position != self._flushed:
            insort(self._seals, position)

    def lose(self, member: Member) -> None:
        """Tells it no more."""
        member.feed, member.joined = None, NEVER
        members = self._members.get(member.encode)
        if members is None:
            return
        members.pop(member, None)
        if len(members) > 1:
            return
        if not members:
            del self._members[member.encode]
            self._linger()
        left = next(iter(self._members.values()), {})
        self._only = next(iter(left)) if len(left) == len(self._members) == 1 else None

    def tell(self, encode: Encode, data: bytes) -> None:
        """Writes something to the members of a transport that is no event, as a heartbeat; not to who takes nothing."""
        self.told_at = self._loop.time()
        for member in list(self._members.get(encode, ())):
            if not member.is_paused:
                member.write(data)

    def age(self, now: float) -> None:
        """Drops a tail that nobody may want any more, and itself where nobody does."""
        if now - self.told_at > _STALE:
            self._drop_tail()
        if self._is_left():
            self.close()

    def _is_left(self) -> bool:
        """Whether nobody has wanted it for long enough."""
        return not self._members and not self._visitors and self._loop.time() - self._left_at > _LINGER

    def close(self) -> None:
        self.is_closed = True
        self._drop_tail()
        self._topic.unlisten(self._hear)
        self._feeds.forget(self)
        if self._reading is not None:
            self._reading.cancel()

    def _linger(self) -> None:
        if self._members or self._visitors or self.is_closed:
            return
        if self._tail.size and not self._gateway.has_ended_streams:
            self._left_at = self._loop.time()
            self._feeds.linger(self)
        else:
            self.close()

    def _place(self, position: int) -> Place:
        return Place(self.stream[0], position, era=self._era, among=self.stream[1])

    def _hear(self, news: News) -> None:
        self.told += 1
        self._topic = news.topic  # where it is heard from now on, and where it can be called off
        if news.events is None and self._gateway.has_ended_streams:
            self._end()
            return
        if self._only is None and self._is_left():
            self.close()
            return
        if self.position is None or self._reading is not None:
            return  # whoever looks now looks again
        events = news.since(self.position)
        if self._gateway.era != self._era:
            self._scatter()
        elif events is None or (self.stream[0] is None and events and not self._goes_on_with(events[0])):
            self._reading = self._loop.create_task(self._read_on())
        elif events:
            self._take(events)

    def _goes_on_with(self, event: Event) -> bool:
        """In the stream of all executions there is no hole, unless something was removed."""
        return not self.position or event.position == self.position + 1

    def _take(self, events: Sequence[Event]) -> None:
        self.position = events[-1].position
        if self._among is not None:
            events = [event for event in events if fits(event.execution_id, self._among)]
        self._hold(events, None)
        if self._pages:
            self._pages.clear()
        if self._lacks:
            self._lacks.difference_update(event.event_id for event in events)
        if events and (self._is_flushing or not self._told_to_one(events)):
            self._pending.extend(events)
            if not self._is_flushing:
                self._is_flushing = True
                self._loop.call_soon(self._flush)

    def _told_to_one(self, events: Sequence[Event]) -> bool:
        """Whether there is one member alone, and it was told: most executions have one, who is told at once."""
        member = self._only
        if member is None or self._seals or member.is_paused or member.joined >= events[0].position:
            return False
        if len(events) > 1 and sum(len(event.data) for event in events) > limits.BLOCK:
            return False
        self._flushed = events[-1].position
        self.told_at = self._loop.time()
        member.write(member.encode(events))
        return True

    async def _read_on(self) -> None:
        """News that did not come along: read once for all members."""
        position = self.position or 0
        try:
            while True:
                told, batch = self.told, await self._gateway.read(self._place(position))
                if batch.reset:
                    break
                position = batch.place.position
                if batch.events:
                    self._take(batch.events)
                if not batch.more and told == self.told:
                    self._reading, self.position = None, position
                    self._topic.looked(position, self._topic.told)
                    return
        except Exception:
            logger.exception("news not read; followers read for themselves")
        self._reading = None
        self._scatter()

    def _flush(self) -> None:
        """Tells the members what is pending: what came in one turn of the loop, in the next one, together."""
        if self._block is None and self._is_growing():
            self._loop.call_soon(self._flush)
            return
        left = _TURN
        while left > 0 and (block := self._next_block()):
            left -= max(1, self._write(block, left))
        self._is_flushing = left < _TURN  # until a turn has gone by in which there was nothing
        if self._is_flushing:
            self._loop.call_soon(self._flush)

    def _is_growing(self) -> bool:
        """Whether a crowd had better wait for a turn: more came in this one. One write to each is what takes long."""
        came, self._gathered = len(self._pending) - self._gathered, len(self._pending)
        self._turns_waited += 1
        if came > 0 and self._turns_waited < _TURNS and len(self) >= _CROWD:
            return True
        self._gathered = self._turns_waited = 0
        return False

    def _next_block(self) -> _Block | None:
        """What is to be written next, at most limits.BLOCK or a single event."""
        if self._block is None and self._pending:
            events = [self._pending.popleft()]
            size = len(events[0].data)
            bound = next((seal for seal in self._seals if seal >= events[0].position), math.inf)
            while self._pending and size < limits.BLOCK and self._pending[0].position <= bound:
                events.append(self._pending.popleft())
                size += len(events[-1].data)
            self._seals = [seal for seal in self._seals if seal > events[-1].position]
            left = [(encode(events), list(members)) for encode, members in self._members.items()]
            self._block = _Block(self._flushed, events[0].position, events[-1].position, left)
            self.told_at = self._loop.time()
        return self._block

    def _write(self, block: _Block, most: float) -> int:
        """Writes to at most so many members; gives to how many."""
        done, first = 0, block.first
        while block.left and done < most:
            data, members = block.left.pop()
            count = int(min(len(members), most - done))
            if count < len(members):
                block.left.append((data, members[count:]))
            done += count
            for member in members[:count]:
                if member.joined >= first:
                    continue  # it has left, or knows this already
                if member.is_paused:
                    known = max(block.start, int(member.joined))
                    self.lose(member)
                    member.lag(self._place(known))
                else:
                    member.write(data)
        if not block.left:
            self._flushed, self._block = block.end, None
        return done

    def _finish(self) -> None:
        """Tells what is pending without a pause."""
        while block := self._next_block():
            self._write(block, math.inf)

    def _hold(self, events: Sequence[Event], since: int | None) -> None:
        if not self._feeds.may_hold(self._tail.hold(events, since)):
            self._drop_tail()

    def _drop_tail(self) -> None:
        self._feeds.may_hold(-self._tail.size)
        self._found = (b"", 0)
        self._pages.clear()
        self._tail.drop(self.position or 0)

    def _scatter(self) -> None:
        """Everyone reads on for itself: the log went back, something is missing, or it cannot be read."""
        self._finish()
        here = self._place(self.position or 0)
        for member in self._leaving():
            member.lag(here)

    def _end(self) -> None:
        self._finish()
        for member in self._leaving():
            member.end()

    def _leaving(self) -> list[Member]:
        """All members, which are told no more."""
        members = [member for members in self._members.values() for member in members]
        self.close()
        for member in members:
            self.lose(member)
        return members


class _Block:
    """Events on their way, the first at position `first`, the last at `end`, to members that knew all up to `start`.

    `left`: to whom yet, and what.
    """

    __slots__ = ("end", "first", "left", "start")

    def __init__(self, start: int, first: int, end: int, left: list[tuple[bytes, list[Member]]]) -> None:
        self.start = start
        self.first = first
        self.end = end
        self.left = left
