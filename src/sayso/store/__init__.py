"""The seam to durable storage: the log of events and the requests they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from sayso import limits
from sayso.audit import Entry
from sayso.keys import Change, Key
from sayso.meters import Metric
from sayso.model import InputCompleted, InputRequired, Request, Status
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange
from sayso.wire import Event

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which requests a list holds; None leaves that member out of the choice.

    `until`: asked at this position of the log, or before.
    """

    status: frozenset[Status] | None = None
    execution_id: str | None = None
    durable: bool | None = None
    due_before: datetime | None = None
    text: str | None = None
    """Stands somewhere in what `mentions` looks at."""
    until: int | None = None
    among: tuple[str, ...] | None = None
    """Patterns (`keys.fits`), one of which is that of the execution."""


class Page(NamedTuple):
    """Requests in the order they were asked, or the other way round, seen at one moment.

    `next` continues the list (None: there is no more). `head` is the last event of the filter's stream at that moment,
    as event id and position (while there is none: the store's origin, and 0): a follower from there misses nothing the
    list lacks.
    """

    requests: tuple[Request, ...]
    next: int | None
    head_event_id: str
    head: int


class Put(NamedTuple):
    """The stored request, and whether this call stored it."""

    request: Request
    created: bool


class Settled(NamedTuple):
    """The request as it stands, and whether this call settled it."""

    request: Request
    won: bool


class Located(NamedTuple):
    """Where an event lies; `execution_id` None and position 0: before every event, the store's origin.

    `has_gap`: events of other executions that came after it were pruned.
    """

    execution_id: str | None
    position: int
    has_gap: bool = False


class Kept(NamedTuple):
    """What was kept, and the execution with which it goes."""

    execution_id: str
    data: bytes


class AuditPlace(NamedTuple):
    """How far the audit was read: up to entry `number` of this execution. By default: nothing yet."""

    execution_id: str = ""
    number: int = 0


Hint = Mapping[str, Sequence[Event] | None]
"""Executions that got events, each with all that it got since it was last named, in order; None: the log has them."""
Hear = Callable[[Hint | None], None]


TAKEN: Final = "This request_id belongs to a question that was settled and then removed; use a new id."
"""What whoever asks under the id of a pruned request is told."""


def mentions(text: str, *, title: str, prompt: str, execution_id: str, context_data: Mapping[str, Any] | None) -> bool:
    """Whether `text`, in whatever case, stands in a request's title, prompt, execution or agent's name."""
    agent = (context_data or {}).get("agent")
    wanted, places = text.casefold(), (title, prompt, execution_id, agent if isinstance(agent, str) else "")
    return any(wanted in place.casefold() for place in places)


def is_whole(events: Sequence[Event], limit: int) -> bool:
    """Whether a read that was given `limit` and gave `events` came to the end of what there was."""
    return len(events) < limit and sum(len(event.data) for event in events) < limits.BATCH


def within_batch(events: Iterable[Event]) -> Iterator[Event]:
    """The first of `events`, until they are limits.BATCH bytes; the last one may go beyond."""
    return first_of(events, lambda event: len(event.data))


def first_of(items: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """The first of `items`, until they are limits.BATCH bytes by `size`; the last one may go beyond."""
    total = 0
    for item in items:
        yield item
        total += size(item)
        if total >= limits.BATCH:
            return


class Store(Protocol):
    """One log and its requests. Every method raises StoreFailed when the storage does; then nothing was acknowledged.

    All methods belong to the loop that called `open`. Cancelling a call gives up its result, not its effect.
    """

    async def open(self) -> None:
        """Makes the store ready, creating it if need be. Raises StoreInUse, StoreTooNew."""

    async def close(self) -> None:
        """Finishes what was begun and lets go of the storage. Idempotent."""

    async def put(self, request: Request, fact: InputRequired) -> Put:
        """Stores a new request, its event and its entry in the audit, all or none, durable on return; a taken id
        changes nothing.

        Raises RequestMismatch for the id of a request that was pruned.
        """

    async def settle(self, request: Request, fact: InputCompleted) -> Settled:
        """Replaces the pending request of the same id and appends its event and its entry in the audit, all or none,
        durable on return.

        Compare-and-set: of many calls exactly one wins, ever. Raises NotFound for an unknown id.
        """

    async def get(self, request_id: str) -> Request | None:
        """The request, or None."""

    async def list(self, filter: Filter, *, after: int = 0, limit: int, newest: bool = False) -> Page:
        """At most `limit` requests that fit, and none after they are limits.BATCH bytes, in asking order (`newest`:
        against it), after a former page's `next`."""

    async def locate(self, event_id: str) -> Located | None:
        """Where this event, or the store's origin, lies; None when it is unknown or was pruned.

        The origin is a cursor of each store's own, from its making on: it lies before the first event of any stream. A
        store that prunes gets a new one, since the old one lies before what is gone.
        """

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        """Events after position `after`, in order, of one execution or (None) of all: at most `limit`, and none after
        they are limits.BATCH bytes. `is_whole` says whether there were more.

        Never shows an event before one with a smaller position has become visible; a position that is missing between
        two others was pruned. `open_only`: only the asking events
        of requests that are still pending.
        """

    async def audit(self, execution_id: str | None, *, after: AuditPlace, limit: int) -> Sequence[Entry]:
        """At most `limit` entries of the audit after that place, of one execution or (None) of all: in the order of the
        executions' ids, as bytes, and of each in the order of its chain.

        Entries are never changed and never removed; `prune` leaves them, and their numbers go on after it.
        """

    async def keep(self, execution_id: str, request_id: str, data: bytes, now: datetime) -> None:
        """Keeps what an agent needs to go on from a request, which need not be there yet, durably, until its execution
        is pruned. What was kept first under an id stays."""

    async def kept(self, request_id: str) -> Kept | None:
        """What was kept under this id, or None."""

    async def lease(self, name: str, holder: str, until: datetime, now: datetime) -> bool:
        """Whether the piece of work called `name` is `holder`'s until then; it is not while another one holds it."""

    async def release(self, name: str, holder: str) -> None:
        """Gives it back before its time, if it is still `holder`'s."""

    def listen(self, hear: Hear) -> None:
        """Has `hear` called on the store's loop, soon after each commit, with the executions that got events (None: any
        of them). Hints; the log is the truth. There is one listener."""

    async def prune(self, before: datetime, *, limit: int) -> int:
        """Removes at most `limit` events and things kept, and says how many: of executions whose every request was
        settled, and everything kept, before `before`, one execution after the other, from the one that fell silent the
        longest ago; of each, what was kept first, and then its events, the first ones first.

        A request goes with its last event, and leaves a tombstone: its id is never free again.
        """

    async def pending(self) -> Mapping[tuple[str, str], int]:
        """How many requests are pending, by who asked them and in which execution."""

    async def count_open(self, most: int) -> int:
        """How many requests are pending; no more than `most` are counted."""

    async def remains(self, request_id: str) -> Request | None:
        """What is left of a request that was pruned (`Request.removed`), or None."""


SECRET_BYTES: Final = 32
"""As long as the digest of the MACs that are made with it."""


@runtime_checkable
class Secrets(Protocol):
    """What a store may offer besides: secrets that every process of this store shares and no one else has."""

    async def secret(self, name: str) -> bytes:
        """SECRET_BYTES random bytes: made at the first call for this `name`, durable on return, the same ever after."""


@runtime_checkable
class Keys(Protocol):
    """What a store may offer besides: keys that every process of this store knows, and tickets that one takes, once."""

    async def keys(self) -> Sequence[Key]:
        """Every key that is kept, in the order in which they were made. One that is damaged is left out, and logged."""

    async def change_keys(self, change: Callable[[Sequence[Key]], Change]) -> Change:
        """Does what `change`, which must be pure, makes of all keys, one change after the other, durable on return.

        Nothing is done when it raises. Older code, which would let in whoever has no key, cannot open the store from
        then on.
        """

    async def used_keys(self, last: Mapping[str, datetime]) -> None:
        """Keeps when these keys, by id, were last used; a later time that is kept already stays."""

    async def redeem(self, ticket_id: str, until: datetime, now: datetime) -> bool:
        """Whether this is the first call for the ticket. Those that ended before `now` are forgotten."""


class Standing(NamedTuple):
    """How far a notifier has come: up to `position` everything is delivered or owed. `version` grows with each step;
    `off`: why it delivers nothing, or ""; `owed`: how many executions are."""

    position: int
    version: int
    off: str
    owed: int


class Owed(NamedTuple):
    """An execution that is behind: delivered up to its `position`, to go on at `due_at`, after so many failed
    `attempts` at what comes next. `why`: what the last one came to, or "" while it waits for its time."""

    execution_id: str
    position: int
    attempts: int
    due_at: datetime
    why: str


@runtime_checkable
class Notified(Protocol):
    """What a store may offer besides: how far those have come who tell others of the log, by name."""

    async def begin_notifier(self, name: str) -> Standing:
        """Where it stands, durable on return; a new one stands at the end of the log."""

    async def owed(self, name: str, executions: Sequence[str] | None = None, *, limit: int = 0) -> Sequence[Owed]:
        """Those of these executions that are behind; or (None) at most `limit` of all, what is due first before the
        others."""

    async def advance_notifier(
        self, name: str, now: Standing, *, owed: Sequence[Owed] = (), done: Sequence[str] = ()
    ) -> bool:
        """Moves it to `now`, whose `version` is that of the step before, with what is owed from here on and which
        executions are not any more; all or none. False, and nothing is changed, where another took a step meanwhile."""

    async def replay_notifier(self, name: str, position: int, now: datetime) -> None:
        """Switches it on, makes what is owed due, and takes it back to `position` where it is further on."""


@runtime_checkable
class Subscribed(Protocol):
    """What a store that is `Notified` may offer besides: devices that are told by push, and how far each was."""

    async def subscriptions(self) -> Sequence[Subscription]:
        """All that are kept, in the order of their ids. One that is damaged is left out, and logged."""

    async def change_subscriptions(self, change: SubscriptionsChange) -> SubscriptionChange:
        """Does what `change`, which must be pure, makes of all of them, one change after the other, durable on return.

        A new device stands at the end of the log, under `place_of`; one that goes takes its place along. Nothing is
        done when it raises.
        """


@runtime_checkable
class Metered(Protocol):
    """What a store may offer besides: how its commits go."""

    def metrics(self) -> Iterable[Metric]:
        """What this process has counted so far. Returns at once."""


@runtime_checkable
class Shared(Protocol):
    """What a store that several processes have open at once offers besides."""

    @property
    def era(self) -> int:
        """Grows when the log is found to have gone back: what was there is gone, and positions may mean others."""

    def holds(self, duty: str) -> bool:
        """Whether the work called `duty` is this process's at present.

        Of all processes that ask, one has it; when it ends, or is not heard of for half a minute, another gets it. What
        is done under it must bear being done twice: two may believe in it for a moment.
        """

    async def orphans(self, limit: int) -> Sequence[Request]:
        """At most `limit` pending requests, not durable, whose process is gone: none could take the answer."""
