"""The use cases: ask, answer, cancel, expire, look, wait, follow. Knows store and hub; no transport, no framework."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from sayso import limits, tracing
from sayso.answer_link import AnswerLinks
from sayso.asking import as_request, default_answer
from sayso.audit import Entry
from sayso.clock import Clock
from sayso.counts import Counts
from sayso.deadlines import Deadlines
from sayso.errors import (
    AlreadySettled,
    Fault,
    Invalid,
    Leased,
    NotFound,
    RequestMismatch,
    SaysoError,
    StoreDamaged,
    StoreFailed,
    TooLarge,
    TooMany,
)
from sayso.hub import Hub, Topic
from sayso.keyring import Keyring
from sayso.keys import fits
from sayso.kinds import resolve
from sayso.meters import Meters, Metric
from sayso.model import (
    ASKER_GONE,
    HTTP,
    ID_RULE,
    SYSTEM,
    InputCompleted,
    InputRequired,
    Question,
    Request,
    Status,
    Submission,
    is_id,
    size,
)
from sayso.notifier import NoNotifiers, Notifiers
from sayso.orphans import Orphans, OthersOrphans
from sayso.quotas import Quotas
from sayso.readiness import Readiness
from sayso.retention import Retention
from sayso.store import SECRET_BYTES, AuditPlace, Filter, Hint, Metered, Page, Secrets, Shared, Store, is_whole
from sayso.subscription import NoPush, Pushing
from sayso.waiting import MOST, Open, Waiting
from sayso.waker import Waker
from sayso.wire import Event, Reason, Reset

logger = logging.getLogger(__name__)

_BEGINNING: Final = AuditPlace()
_OPEN: Final[frozenset[Status]] = frozenset({"pending"})
_READY: Final = "/ready"
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
NO_REQUEST: Final = "There is no such request; it may have been removed after it was settled."
"""What whoever names one is told, also where there is one that is not for them to see."""
_RESET_REQUESTS: Final = 100
"""Open requests told with a reset; a follower that needs more asks `GET /requests`."""
_AGAIN: Final = 1.0
"""Seconds until what the store failed to read is read again."""


class Place(Struct, frozen=True):
    """How far a follower has come: after `position` in the stream of `execution_id` (None: all executions).

    Until `open_until`, only requests that are still open are shown: how the stream of all executions begins. `era`: of
    the log, in which the position means something. `among`: patterns, of which a shown execution fits one
    (`keys.fits`).
    """

    execution_id: str | None
    position: int
    open_until: int = 0
    era: int = 0
    among: tuple[str, ...] | None = None


class Batch(Struct, frozen=True):
    """What a follower gets: the events since its place, and its new place.

    `cursor`: what the place is called outside, where that is known without an event. `more`: there are further events
    already. `ended`: the server ends its streams.
    """

    place: Place
    events: tuple[Event, ...] = ()
    cursor: str | None = None
    reset: Reset | None = None
    more: bool = False
    ended: bool = False


class Gateway:
    """Everything that can be done with requests. All methods belong to the loop that runs `running()`.

    `retention`: for how long executions are kept after the last settlement in them; None: for ever.
    """

    def __init__(self, store: Store, clock: Clock | None = None, *, retention: timedelta | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()
        self._hub = Hub()
        self._waker = Waker(self._hub, lambda stream, after, limit: store.read(stream, after=after, limit=limit))
        self.keys = Keyring(store, self._clock)
        self._own_secrets: dict[str, bytes] = {}
        self.links = AnswerLinks(self.secret, self._clock)
        """To answer one question each, without a key."""
        self._shared = store if isinstance(store, Shared) else None
        self._deadlines = Deadlines(self._clock, self._due, self.expire, self.duty("deadlines"))
        self._retention = (
            None if retention is None else Retention(self._clock, retention, self._prune, self.duty("retention"))
        )
        self._orphans = Orphans(self._orphaned, self.abandon)
        self._quotas = Quotas(store.pending)
        self._readiness = Readiness(self._clock, self._write_nothing)
        self._waiting = Waiting(self._clock, self._look_what_waits)
        self.counts = Counts()
        self.meters = Meters(self.counts.read)
        """What this process counts; whatever runs beside the gateway adds its own."""
        if isinstance(store, Metered):
            self.meters.add(store.metrics)
        self._opened_at = 0
        self.notifiers: Notifiers = NoNotifiers()
        """Who tells others of the log; set before `running`."""
        self.push: Pushing = NoPush()
        """Who tells people's devices; likewise."""
        self.on_written: Callable[[str, str], None] = lambda execution_id, event_id: None
        """Called with each event that this process has written, once it is durable and before its writer hears so."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the store, keeps followers awake and deadlines kept, and closes it again.

        Raises StoreInUse, StoreTooNew, StoreFailed.
        """
        self._store.listen(self._hear)
        await self._store.open()
        try:
            self._opened_at = (await self._store.list(Filter(), limit=1)).head
            if self._shared is None:
                await self._orphans.give_up_first()
            await self.notifiers.begin()
            async with asyncio.TaskGroup() as tasks:
                kept = [
                    tasks.create_task(keeping)
                    for keeping in (
                        self._waker.keep(),
                        self._deadlines.keep(),
                        self.keys.keep(),
                        self._quotas.keep(),
                        self._waiting.keep(),
                    )
                ]
                kept.append(tasks.create_task(self.notifiers.keep()))
                kept.append(tasks.create_task(self.push.keep()))
                if self._retention is not None:
                    kept.append(tasks.create_task(self._retention.keep()))
                if self._shared is not None:
                    others = OthersOrphans(self._shared.orphans, self.abandon, self.duty("orphans"))
                    kept.append(tasks.create_task(others.keep()))
                elif self._orphans.are_left:
                    kept.append(tasks.create_task(self._give_up_orphans()))
                try:
                    yield
                finally:
                    self.end_streams()
                    for task in kept:
                        task.cancel()
        finally:
            await self._store.close()

    def end_streams(self) -> None:
        """Tells every follower and every waiter that this server ends; what they await is still in the store."""
        self._hub.end()

    @property
    def is_draining(self) -> bool:
        """Whether this node ends soon."""
        return self._readiness.is_draining

    def drain(self) -> None:
        """This node ends soon: it is not ready any more, and goes on as before."""
        self._readiness.is_draining = True

    async def check_ready(self) -> None:
        """Raises Unready, which says what keeps this node from taking questions."""
        await self._readiness.check()

    async def ask(
        self, question: Question, *, by: str, durable: bool, channel: str = HTTP, capped: bool = False
    ) -> tuple[Request, bool]:
        """The stored request, and whether it is new; a repeat of the same question gives what is stored.

        Durable on return. Raises Invalid, RequestMismatch for an id that another question has, and, where it is
        `capped`, TooMany for a new question of who has too many open.
        """
        with tracing.of_request("sayso.asked", question.metadata) as told:
            stored, created = await self._ask(question, by=by, durable=durable, channel=channel, capped=capped)
            told(stored)
        return stored, created

    async def _ask(
        self, question: Question, *, by: str, durable: bool, channel: str, capped: bool
    ) -> tuple[Request, bool]:
        request = as_request(
            question,
            now=self._clock.now(),
            steady=self._clock.steady(),
            request_id=self._clock.new_id(),
            event_id=self._clock.new_id(),
            by=by,
            durable=durable,
            channel=channel,
        )
        if capped:
            await self._check_quota(request)
        try:
            stored, created = await self._store.put(request, InputRequired.of(request))
        except SaysoError as error:
            _tell_which(request, error)
            raise
        if created:
            self._quotas.asked(stored)
            self.counts.asked(stored)
            self.on_written(stored.execution_id, stored.asked_event_id)
        if not stored.same_question(request):
            raise RequestMismatch
        if created and stored.deadline is not None:
            self._deadlines.added()
        return stored, created

    async def answer(
        self, request_id: str, given: Submission, *, by: str, channel: str, traceparent: str | None = None
    ) -> Request:
        """The request with this answer; the same `answer_id` again gives the same result. `traceparent`: the context
        of whoever answers.

        Durable on return. Raises AlreadySettled with the answer that won, NotFound; Invalid and ActionMismatch, with
        which the request stays open.
        """
        request = await self._known(request_id)
        answer_id = given.answer_id or self._clock.new_id()
        if not request.is_open:
            return _first_answer(request, answer_id)
        answer = resolve(request, given, answer_id)
        settled = request.answered(answer, by=by, channel=channel, now=self._clock.now(), event_id=self._clock.new_id())
        return await self._settle(settled, answer_id, traceparent)

    async def link(self, request_id: str, owner: str, until: datetime) -> str:
        """The token of an answer link to a request that is open. Raises NotFound, AlreadySettled."""
        request = await self._known(request_id)
        if not request.is_open:
            raise AlreadySettled(request)
        return await self.links.made(request_id, owner, until)

    async def cancel(self, request_id: str, reason: str, *, by: str, channel: str) -> Request:
        """The request, given up. Durable on return. Raises NotFound, AlreadySettled."""
        if size(reason) > limits.COMMENT:
            raise Invalid(Fault("/reason", f"must be at most {limits.COMMENT} bytes of UTF-8"))
        request = await self._known(request_id)
        settled = request.cancelled(
            reason, by=by, channel=channel, now=self._clock.now(), event_id=self._clock.new_id()
        )
        return await self._settle(settled, None)

    async def expire(self, request: Request) -> Request:
        """The request after its deadline, with what its `on_timeout` chose; an answer that came first stays."""
        answer = default_answer(request, self._clock.new_id())
        settled = request.expired(answer, now=self._clock.now(), event_id=self._clock.new_id())
        try:
            return await self._settle(settled, None)
        except AlreadySettled as exc:
            settled_before: Request = exc.request
            return settled_before

    async def abandon(self, request_id: str) -> Request:
        """The request, cancelled because its asker is gone, or as it was settled before."""
        try:
            return await self.cancel(request_id, ASKER_GONE, by="system:asker", channel=SYSTEM)
        except AlreadySettled as exc:
            settled: Request = exc.request
            return settled

    async def get(self, request_id: str) -> Request:
        """Raises NotFound."""
        request = await self._store.get(request_id) if is_id(request_id) else None
        if request is None:
            raise NotFound(NO_REQUEST)
        return request

    async def find(self, request_id: str) -> Request | None:
        """The request, or what is left of it; None where there never was one."""
        if not is_id(request_id):
            return None
        return await self._store.get(request_id) or await self._store.remains(request_id)

    async def _known(self, request_id: str) -> Request:
        """Like `get`, but raises AlreadySettled for a request that was removed after it was settled."""
        try:
            return await self.get(request_id)
        except NotFound:
            left = await self._store.remains(request_id) if is_id(request_id) else None
            if left is None:
                raise
            end = f"{left.status}, by {left.settled_by}" if left.settled_by else left.status
            raise AlreadySettled(
                left, f"The request was settled long ago ({end}); its contents were removed."
            ) from None

    async def keep(self, execution_id: str, request_id: str, data: bytes) -> None:
        """Keeps what an agent needs to go on from a request that it is about to make; what was kept first stays.

        Durable on return. Raises Invalid, TooLarge.
        """
        _check_ids(execution_id=execution_id, request_id=request_id)
        if len(data) > limits.RESUME:
            raise TooLarge(f"what is kept for a request is at most {limits.RESUME} bytes")
        await self._store.keep(execution_id, request_id, data, self._clock.now())

    async def kept(self, request_id: str, *, among: tuple[str, ...] | None = None) -> bytes:
        """What was kept for this request, in an execution that fits. Raises NotFound."""
        kept = await self._store.kept(request_id) if is_id(request_id) else None
        if kept is None or not fits(kept.execution_id, among):
            raise NotFound("Nothing is kept for such a request.")
        return kept.data

    async def lease(self, name: str, holder: str, seconds: float) -> None:
        """The piece of work called `name` is `holder`'s for so long; again before that, for longer.

        Raises Invalid, Leased while it is another's.
        """
        _check_ids(name=name, holder=holder)
        if not 0 < seconds <= limits.LEASE:
            raise Invalid(Fault("/seconds", f"must be more than 0 and at most {limits.LEASE:.0f}"))
        now = self._clock.now()
        if not await self._store.lease(name, holder, now + timedelta(seconds=seconds), now):
            raise Leased

    async def release(self, name: str, holder: str) -> None:
        """Gives it back before its time. Raises Invalid."""
        _check_ids(name=name, holder=holder)
        await self._store.release(name, holder)

    async def list(
        self, filter: Filter, *, after: int = 0, limit: int = limits.LIST_PAGE, newest: bool = False
    ) -> Page:
        """Requests in asking order, or the newest first, and the cursor from which a follower misses nothing later."""
        return await self._store.list(filter, after=after, limit=min(limit, limits.PAGE), newest=newest)

    async def audit(
        self, execution_id: str | None = None, *, after: AuditPlace = _BEGINNING, limit: int = limits.PAGE
    ) -> Sequence[Entry]:
        """Entries of the audit after that place, of one execution or of all; see `Store.audit`."""
        return await self._store.audit(execution_id, after=after, limit=min(limit, limits.PAGE))

    async def settled(self, request_id: str, *, wait: float | None) -> Request:
        """The request once it is settled; or as it is after `wait` seconds (None: no limit) or when the server ends.

        Raises NotFound.
        """
        left = _timer(self._clock, wait)
        request = await self.get(request_id)
        topic = self._hub.topic(request.execution_id)
        while True:
            try:
                request = await self.get(request_id)
            except StoreDamaged:
                raise
            except StoreFailed:  # what is waited for outlasts an outage of the store
                if self._hub.ended or left() == 0:
                    raise
                await asyncio.sleep(_AGAIN)
                continue
            if not request.is_open or self._hub.ended:
                return request
            news = await topic.news(left())
            if news is None:
                return await self.get(request_id)
            topic = news.topic

    async def metrics(self) -> Sequence[Metric]:
        """What there is to watch here, at this moment; what waits, as of a few seconds ago."""
        return [*await self._waiting.read(), *self.meters.read()]

    async def start(
        self, execution_id: str | None, last_event_id: str | None, *, among: tuple[str, ...] | None = None
    ) -> Batch:
        """Where a follower begins: after `last_event_id`, or a reset when that cursor means nothing in this stream.

        Without a cursor: at the first retained event of an execution, or, for all, at the requests that are open.
        `among`: patterns, of which an execution that is shown fits one.
        """
        begin = Place(execution_id, 0, era=self.era, among=among)
        if last_event_id is None:
            if execution_id is not None:
                return Batch(begin)
            page = await self._store.list(Filter(status=_OPEN, among=among), limit=1)
            place = replace(begin, open_until=page.head) if page.requests else replace(begin, position=page.head)
            return Batch(place, cursor=page.head_event_id)
        found = await self._store.locate(last_event_id) if is_id(last_event_id) else None
        if found is None or (execution_id is None and found.has_gap):
            return await self._reset(begin, "unknown-cursor")
        if execution_id is not None and found.execution_id not in (None, execution_id):
            return await self._reset(begin, "foreign-cursor")
        return Batch(replace(begin, position=found.position), cursor=last_event_id)

    async def read(self, place: Place, *, wait: float = 0.0, limit: int = limits.PAGE) -> Batch:
        """The events after `place`, at most `limit`; when there are none yet, waits up to `wait` seconds for some.

        Where `place.among` hides events, the batch has the cursor of the last one that was read, and may hold none.
        Safe to cancel and to repeat: the place is the caller's, nothing is consumed here.
        """
        if place.among is None:
            return await self._read_on(place, wait, limit)
        left, cursor = _timer(self._clock, wait), None
        while True:
            seconds = left() or 0.0
            batch = await self._read_on(place, seconds, limit)
            if batch.reset:
                return batch
            if place.open_until and not batch.more:
                cursor = None  # all that was open is read, so the place is further on than the last of it
            elif batch.events:
                cursor = batch.events[-1].event_id
            shown = tuple(event for event in batch.events if fits(event.execution_id, place.among))
            if shown or not batch.events or not seconds:
                return replace(batch, events=shown, cursor=cursor)
            place = batch.place

    async def _read_on(self, place: Place, wait: float, limit: int) -> Batch:
        if place.era != self.era:
            return await self._reset(place, "unknown-cursor")
        if place.open_until:
            return await self._read_open(place, limit)
        left = _timer(self._clock, wait)
        topic = self._hub.topic(place.execution_id) if wait else self._hub.heard(place.execution_id)
        events: Sequence[Event] = ()
        heard = topic.told
        if topic.after != place.position or not wait:
            events = await self._read(place, limit + 1)
            if not events:
                topic.looked(place.position, heard)
        while not events and wait and not self._hub.ended:
            news = await topic.news(left())
            if news is None:
                break
            if place.era != self.era:
                return await self._reset(place, "unknown-cursor")
            topic, told = news.topic, news.since(place.position)
            events = (await self._read(place, limit + 1)) if told is None else told
        if not events:
            return Batch(place, ended=self._hub.ended)
        if place.execution_id is None and place.position and events[0].position != place.position + 1:
            return await self._reset(place, "unknown-cursor")  # what comes next was removed while it was on its way
        shown, more = tuple(events[:limit]), not is_whole(events, limit + 1)
        return Batch(replace(place, position=shown[-1].position), shown, more=more)

    def heard(self, execution_id: str | None) -> Topic:
        """Where to listen for news of a stream: listen first, read second."""
        return self._hub.heard(execution_id)

    def topic(self, execution_id: str | None) -> Topic:
        """Where to wait for news of a stream: take it first, read second, wait third."""
        return self._hub.topic(execution_id)

    @property
    def is_alone(self) -> bool:
        """Whether no other process writes to the store."""
        return self._shared is None

    @property
    def has_ended_streams(self) -> bool:
        return self._hub.ended

    async def secret(self, name: str) -> bytes:
        """Random bytes that this store keeps under `name`; where it keeps none, they last as long as this process."""
        if isinstance(self._store, Secrets):
            return await self._store.secret(name)
        return self._own_secrets.setdefault(name, secrets.token_bytes(SECRET_BYTES))

    async def _reset(self, place: Place, reason: Reason) -> Batch:
        filter = Filter(status=_OPEN, execution_id=place.execution_id, among=place.among)
        page = await self._store.list(filter, limit=_RESET_REQUESTS)
        self.counts.reset(reason)
        reset = Reset(reason, page.head_event_id, page.requests, page.next is not None)
        after = replace(place, position=page.head, open_until=0, era=self.era)
        return Batch(after, cursor=page.head_event_id, reset=reset)

    async def _read(self, place: Place, limit: int) -> tuple[Event, ...]:
        return tuple(await self._store.read(place.execution_id, after=place.position, limit=limit))

    async def _read_open(self, place: Place, limit: int) -> Batch:
        events = await self._store.read(place.execution_id, after=place.position, limit=limit, open_only=True)
        shown = tuple(event for event in events if event.position <= place.open_until)
        if is_whole(events, limit) or len(shown) < len(events):
            return Batch(replace(place, position=place.open_until, open_until=0), shown)
        return Batch(replace(place, position=shown[-1].position), shown, more=True)

    @property
    def era(self) -> int:
        """Of the log: another one where it went back. A place means something in its own era alone."""
        return 0 if self._shared is None else self._shared.era

    async def _settle(self, request: Request, answer_id: str | None, traceparent: str | None = None) -> Request:
        with tracing.of_request("sayso.settled", request.metadata, cause=traceparent) as told:
            try:
                stored, won = await self._store.settle(request, InputCompleted.of(request))
            except SaysoError as error:
                _tell_which(request, error)
                raise
            told(stored)
        if won:
            self._quotas.settled(stored)
            self.counts.settled(stored)
            self.on_written(stored.execution_id, stored.settled_event_id or "")
        return stored if won else _first_answer(stored, answer_id)

    async def _check_quota(self, request: Request) -> None:
        try:
            self._quotas.check(request.asked_by, request.execution_id)
        except TooMany:
            if await self._store.get(request.request_id) is None:  # a repeat is none more
                raise

    def duty(self, name: str) -> Callable[[], bool]:
        """Says whether this process does the work called `name` at present; alone on its store, it does all."""
        shared = self._shared
        return (lambda: True) if shared is None else (lambda: shared.holds(name))

    async def _due(self, before: datetime) -> tuple[tuple[Request, ...], bool]:
        # Being given up is another end than running out of time.
        durable = True if self._shared is None and self._orphans.are_left else None
        filter = Filter(status=_OPEN, due_before=before, durable=durable)
        page = await self._store.list(filter, limit=limits.PAGE)
        return page.requests, page.next is not None

    async def _look_what_waits(self) -> Open:
        number = await self._store.count_open(MOST)
        first = (await self._store.list(Filter(status=_OPEN), limit=1)).requests
        return Open(number, first[0].created_at if first else None)

    async def _write_nothing(self) -> None:
        """A write like any other: a lease that is over as it is taken, by a name that no caller can give."""
        await self._store.lease(_READY, _READY, _LONG_AGO, self._clock.now())

    async def _prune(self, before: datetime, limit: int) -> int:
        return await self._store.prune(before, limit=limit)

    async def _orphaned(self, after: int, limit: int) -> tuple[tuple[Request, ...], int | None]:
        filter = Filter(status=_OPEN, durable=False, until=self._opened_at)
        page = await self._store.list(filter, after=after, limit=limit)
        return page.requests, page.next

    async def _give_up_orphans(self) -> None:
        await self._orphans.give_up_others()
        self._deadlines.added()  # those of this process were not looked at meanwhile

    def _hear(self, hint: Hint | None) -> None:
        if self._shared is not None:
            self._deadlines.maybe_added()
        self._waker.hear(hint)


def _tell_which(request: Request, error: SaysoError) -> None:
    """Notes in the error to which request it happened."""
    error.about = {"execution_id": request.execution_id, "request_id": request.request_id}


def _check_ids(**ids: str) -> None:
    faults = [Fault(f"/{name}", ID_RULE) for name, id in ids.items() if not is_id(id)]
    if faults:
        raise Invalid(*faults)


def _first_answer(request: Request, answer_id: str | None) -> Request:
    if request.answer is not None and request.answer.answer_id == answer_id:
        return request
    raise AlreadySettled(request)


def _timer(clock: Clock, wait: float | None) -> Callable[[], float | None]:
    """Says how many of the `wait` seconds are left; None: there is no limit."""
    until = None if wait is None else clock.monotonic() + wait
    return lambda: None if until is None else max(0.0, until - clock.monotonic())
