"""A store that lives and dies with the process: for tests, for `port=0`, and as the model of the others."""

from __future__ import annotations

import secrets
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import msgspec

from sayso.audit import Draft, Entry
from sayso.errors import NotFound, RequestMismatch
from sayso.keys import Change, Key, fits, in_order
from sayso.model import Fact, InputCompleted, InputRequired, Request
from sayso.store import (
    SECRET_BYTES,
    TAKEN,
    AuditPlace,
    Filter,
    Hear,
    Kept,
    Located,
    Owed,
    Page,
    Put,
    Settled,
    Standing,
    first_of,
    mentions,
    within_batch,
)
from sayso.store.changes import Changes
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange, place_of
from sayso.wire import Event, encode


class _Lease(NamedTuple):
    holder: str
    until: datetime


class MemoryStore:
    """The Store protocol on plain lists. "Durable" means: until the process ends."""

    def __init__(self) -> None:
        self._log: list[Event] = []
        self._streams: dict[str, list[Event]] = {}
        self._events: dict[str, Event] = {}
        self._last_position = 0
        self._requests: dict[str, Request] = {}
        self._open: set[str] = set()
        self._quiet_since: dict[str, datetime] = {}
        self._positions: dict[str, int] = {}
        self._resumes: dict[str, Kept] = {}
        self._leases: dict[str, _Lease] = {}
        self._secrets: dict[str, bytes] = {}
        self._keys: dict[str, Key] = {}
        self._tickets: dict[str, datetime] = {}
        self._audit: dict[str, list[Entry]] = {}
        self._notifiers: dict[str, Standing] = {}
        self._owed: dict[str, dict[str, Owed]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._changes = Changes()
        self._origin = str(uuid.uuid4())
        self._tombstones: dict[str, Request] = {}
        self._pruned_to = 0

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nor to close."""

    async def put(self, request: Request, fact: InputRequired) -> Put:
        if stored := self._requests.get(request.request_id):
            return Put(stored, created=False)
        if request.request_id in self._tombstones:
            raise RequestMismatch(TAKEN)
        self._requests[request.request_id] = request
        self._open.add(request.request_id)
        event = self._append(fact)
        self._positions[request.request_id] = event.position
        self._note(request)
        self._changes.append([event])
        return Put(request, created=True)

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        stored = self._requests.get(request.request_id)
        if stored is None:
            raise NotFound
        if not stored.is_open:
            return Settled(stored, won=False)
        self._requests[request.request_id] = request
        self._open.discard(request.request_id)
        self._fell_silent(request.execution_id, fact.timestamp)
        event = self._append(fact)
        self._note(request)
        self._changes.append([event])
        return Settled(request, won=True)

    async def get(self, request_id: str) -> Request | None:
        return self._requests.get(request_id)

    async def list(self, filter: Filter, *, after: int = 0, limit: int, newest: bool = False) -> Page:
        positions = reversed(self._positions.items()) if newest else self._positions.items()
        fitting = (
            (position, self._requests[request_id])
            for request_id, position in positions
            if _is_after(position, after, newest) and _fits(self._requests[request_id], position, filter)
        )
        page = list(first_of(islice(fitting, limit), lambda found: len(encode(found[1]))))
        stream = self._stream(filter.execution_id)
        return Page(
            requests=tuple(request for _, request in page),
            next=page[-1][0] if next(fitting, None) else None,
            head_event_id=stream[-1].event_id if stream else self._origin,
            head=stream[-1].position if stream else 0,
        )

    async def locate(self, event_id: str) -> Located | None:
        if event_id == self._origin:
            return Located(None, 0)
        event = self._events.get(event_id)
        return Located(event.execution_id, event.position, event.position < self._pruned_to) if event else None

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        stream = self._stream(execution_id)
        later = islice(stream, bisect_right(stream, after, key=lambda event: event.position), None)
        found = (event for event in later if not open_only or self._asks_what_is_open(event))
        return list(within_batch(islice(found, limit)))

    async def audit(self, execution_id: str | None, *, after: AuditPlace, limit: int) -> Sequence[Entry]:
        chains = sorted(self._audit) if execution_id is None else [execution_id]
        later = (
            entry
            for id in chains
            for entry in self._audit.get(id, [])[after.number if id == (execution_id or after.execution_id) else 0 :]
            if id >= after.execution_id or execution_id is not None
        )
        return list(islice(later, limit))

    async def keep(self, execution_id: str, request_id: str, data: bytes, now: datetime) -> None:
        self._streams.setdefault(execution_id, [])
        self._fell_silent(execution_id, now)
        self._resumes.setdefault(request_id, Kept(execution_id, data))

    async def kept(self, request_id: str) -> Kept | None:
        return self._resumes.get(request_id)

    async def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        held = self._leases.get(name)
        if held is not None and held.holder != holder and held.until > now:
            return False
        self._leases[name] = _Lease(holder, until)
        return True

    async def release(self, name: str, holder: str) -> None:
        if name in self._leases and self._leases[name].holder == holder:
            del self._leases[name]

    def listen(self, hear: Hear) -> None:
        self._changes.hear = hear

    async def prune(self, before: datetime, *, limit: int) -> int:
        left = limit
        pending = {request.execution_id for request in self._requests.values() if request.is_open}
        former = self._pruned_to
        for since, execution_id in sorted((since, id) for id, since in self._quiet_since.items() if id not in pending):
            if since < before and left:
                left -= self._prune_first(execution_id, left)
        if self._pruned_to > former:
            self._origin = str(uuid.uuid4())  # the old one lies before what is gone
        if left:
            self._leases = {name: lease for name, lease in self._leases.items() if lease.until >= before}
        return limit - left

    async def pending(self) -> Mapping[tuple[str, str], int]:
        return Counter((one.asked_by, one.execution_id) for one in self._requests.values() if one.is_open)

    async def count_open(self, most: int) -> int:
        return min(most, len(self._open))

    async def remains(self, request_id: str) -> Request | None:
        return self._tombstones.get(request_id)

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, secrets.token_bytes(SECRET_BYTES))

    async def keys(self) -> Sequence[Key]:
        return in_order(self._keys.values())

    async def change_keys(self, change: Callable[[Sequence[Key]], Change]) -> Change:
        done = change(in_order(self._keys.values()))
        self._keys.update((key.id, key) for key in done.put)
        for id in done.removed:
            del self._keys[id]
        return done

    async def used_keys(self, last: Mapping[str, datetime]) -> None:
        for id, moment in last.items():
            if (key := self._keys.get(id)) and (key.last_used_at is None or key.last_used_at < moment):
                self._keys[id] = msgspec.structs.replace(key, last_used_at=moment)

    async def redeem(self, ticket_id: str, until: datetime, now: datetime) -> bool:
        self._tickets = {id: end for id, end in self._tickets.items() if end >= now}
        if ticket_id in self._tickets:
            return False
        self._tickets[ticket_id] = until
        return True

    async def begin_notifier(self, name: str) -> Standing:
        standing = self._notifiers.setdefault(name, Standing(self._last_position, 0, "", 0))
        return standing._replace(owed=len(self._owed.setdefault(name, {})))

    async def owed(self, name: str, executions: Sequence[str] | None = None, *, limit: int = 0) -> Sequence[Owed]:
        there = self._owed.get(name, {})
        if executions is not None:
            return [there[id] for id in executions if id in there]
        return sorted(there.values(), key=lambda one: one.due_at)[:limit]

    async def advance_notifier(
        self, name: str, now: Standing, *, owed: Sequence[Owed] = (), done: Sequence[str] = ()
    ) -> bool:
        there = self._notifiers.get(name)
        if there is None or there.version != now.version:
            return False
        self._notifiers[name] = now._replace(version=now.version + 1)
        for id in done:
            self._owed[name].pop(id, None)
        self._owed[name].update((one.execution_id, one) for one in owed)
        return True

    async def replay_notifier(self, name: str, position: int, now: datetime) -> None:
        at = self._notifiers[name]
        self._notifiers[name] = Standing(min(at.position, position), at.version + 1, "", 0)
        self._owed[name] = {
            id: Owed(id, min(one.position, position), 0, now, one.why) for id, one in self._owed[name].items()
        }

    async def subscriptions(self) -> Sequence[Subscription]:
        return [one for _, one in sorted(self._subscriptions.items())]

    async def change_subscriptions(self, change: SubscriptionsChange) -> SubscriptionChange:
        done = change(await self.subscriptions())
        if done.put:
            self._subscriptions[done.one.id] = done.one
            await self.begin_notifier(place_of(done.one.id))
        if done.removed:
            for there in (self._notifiers, self._owed):
                there.pop(place_of(done.one.id), None)
            self._subscriptions.pop(done.one.id, None)
        return done

    def _fell_silent(self, execution_id: str, now: datetime) -> None:
        self._quiet_since[execution_id] = max(now, self._quiet_since.get(execution_id, now))

    def _prune_first(self, execution_id: str, limit: int) -> int:
        """Says how much went."""
        kept = sorted(id for id, one in self._resumes.items() if one.execution_id == execution_id)
        for id in kept[:limit]:
            del self._resumes[id]
        left = limit - len(kept[:limit])
        stream = self._streams.get(execution_id, [])
        gone, rest = stream[:left], stream[left:]
        for event in gone:
            del self._events[event.event_id]
            self._pruned_to = max(self._pruned_to, event.position)
            if event.type == "human_input_completed":
                del self._positions[event.request_id]
                self._bury(self._requests.pop(event.request_id))
        self._log = [event for event in self._log if event.event_id in self._events]
        self._streams[execution_id] = rest
        if not rest and len(kept) <= limit:
            del self._streams[execution_id], self._quiet_since[execution_id]
        return limit - left + len(gone)

    def _bury(self, gone: Request) -> None:
        assert gone.settled_at is not None and gone.settled_by is not None  # noqa: S101 - it was settled
        self._tombstones[gone.request_id] = Request.removed(
            gone.request_id, gone.execution_id, gone.status, gone.settled_by, gone.settled_at
        )

    def _stream(self, execution_id: str | None) -> Sequence[Event]:
        return self._log if execution_id is None else self._streams.get(execution_id, [])

    def _append(self, fact: Fact) -> Event:
        stream = self._streams.setdefault(fact.execution_id, [])
        self._last_position += 1
        event = Event.of(fact, position=self._last_position, seq=stream[-1].seq + 1 if stream else 1)
        stream.append(event)
        self._log.append(event)
        self._events[event.event_id] = event
        return event

    def _note(self, request: Request) -> None:
        chain = self._audit.setdefault(request.execution_id, [])
        last = chain[-1] if chain else None
        chain.append(Draft.of(request).after(last.number if last else 0, last.hash if last else None))

    def _asks_what_is_open(self, event: Event) -> bool:
        return event.type == "human_input_required" and self._requests[event.request_id].is_open


def _mentions(request: Request, text: str) -> bool:
    return mentions(
        text,
        title=request.title,
        prompt=request.prompt,
        execution_id=request.execution_id,
        context_data=request.context_data,
    )


def _is_after(position: int, after: int, newest: bool) -> bool:
    return position > after if not newest else not after or position < after


def _fits(request: Request, position: int, filter: Filter) -> bool:
    return (
        (filter.status is None or request.status in filter.status)
        and filter.execution_id in (None, request.execution_id)
        and filter.durable in (None, request.durable)
        and fits(request.execution_id, filter.among)
        and (filter.until is None or position <= filter.until)
        and (filter.due_before is None or (request.deadline is not None and request.deadline < filter.due_before))
        and (filter.text is None or _mentions(request, filter.text))
    )
