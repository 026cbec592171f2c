"""Those who are told by Web Push, at one process: a worker for each device, as long as the store has it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sayso.clock import Clock
from sayso.errors import Invalid, Misconfigured, NotFound
from sayso.gateway import Gateway
from sayso.keys import EVERY
from sayso.meters import Metric
from sayso.notify.news import news
from sayso.notify.progress import OUTCOMES, Progress
from sayso.notify.sending import Carrier, Refused, Surroundings
from sayso.signing import mac
from sayso.store import Notified, Store, Subscribed
from sayso.subscription import (
    Owner,
    PushShown,
    Subscription,
    SubscriptionChange,
    SubscriptionShown,
    SubscriptionWanted,
    place_of,
    subscribed,
    unsubscribed,
)
from sayso.wire import Event

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

logger = logging.getLogger(__name__)

_SENDER: Final = "vapid"
"""The name of the store's secret that is the private key of all its servers."""
_OWN: Final = "push"
"""The name of the one that marks the server's own key."""
_LOOK: Final = 5.0
"""Seconds after which a device that came, or went, at another process of the store is known here."""
_DUTY: Final = "push"
"""One for all devices: a lock for each would be many."""


class SubscribedStore(Store, Notified, Subscribed, Protocol):
    """A store that keeps devices, and how far each was told."""


class _Work(NamedTuple):
    one: Subscription
    carrier: Carrier
    progress: Progress
    task: asyncio.Task[None]


class _Pruned:
    """A carrier whose target is forgotten once it wants no more."""

    def __init__(self, carrier: Carrier, prune: Callable[[], Awaitable[None]]) -> None:
        self._carrier = carrier
        self._prune = prune
        self.target = carrier.target

    async def send(self, event: Event) -> None:
        try:
            await self._carrier.send(event)
        except Refused:
            await self._prune()
            raise

    async def close(self) -> None:
        await self._carrier.close()


class Push:
    """The Pushing of a process. `api_key`: the server's own, or None. `allow`: networks besides the internet that
    push services may lie in. What it takes to seal and send is loaded with the first device.
    """

    def __init__(
        self,
        store: SubscribedStore,
        gateway: Gateway,
        clock: Clock,
        *,
        api_key: str | None,
        public_url: str | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._around = Surroundings(clock, store.get, gateway.links.made, public_url)
        self._hash = None if api_key is None else hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()
        self._allow = tuple(allow)
        self._is_ours = gateway.duty(_DUTY)
        self._works: dict[str, _Work] = {}
        self._gone: set[str] = set()
        self._stirred = asyncio.Event()
        self._private: EllipticCurvePrivateKey | None = None
        self._marked = ""
        self._ended = Progress()
        """Of devices that went."""
        gateway.meters.add(self._metrics)

    def _metrics(self) -> Iterator[Metric]:
        """Of all devices together: there is no end to their names."""
        all = [self._ended, *(work.progress for work in self._works.values())]
        yield Metric(
            name="sayso_push_devices",
            help="Devices that the store's servers tell by push.",
            kind="gauge",
            samples=(((), float(len(self._works))),),
        )
        yield Metric(
            name="sayso_push_deliveries",
            help="Push messages that this node tried to deliver, by what came of them.",
            kind="counter",
            labels=("outcome",),
            samples=tuple(((one,), float(sum(each.deliveries[one] for each in all))) for one in OUTCOMES),
        )

    async def keep(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._stirred.clear()
                    try:
                        await self._look(tasks)
                    except Exception:  # the store's; it may pass
                        logger.exception("devices that are told by push were not looked for; trying again")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK):
                            await self._stirred.wait()
        finally:
            works, self._works = list(self._works.values()), {}
            for work in works:
                await work.carrier.close()

    async def shown(self) -> PushShown:
        from sayso.notify.sealing import public_text  # noqa: PLC0415 - loaded when somebody wants push

        return PushShown(public_key=public_text(await self._key()))

    async def subscribe(self, wanted: SubscriptionWanted, owner: Owner) -> tuple[SubscriptionShown, bool]:
        from sayso.notify.device import checked  # noqa: PLC0415
        from sayso.notify.sealing import Receiver  # noqa: PLC0415

        checked(wanted.endpoint)
        Receiver(wanted.keys.p256dh, wanted.keys.auth)
        new = Subscription(
            id=self._clock.new_id(),
            endpoint=wanted.endpoint,
            p256dh=wanted.keys.p256dh,
            auth=wanted.keys.auth,
            owner=await self._mark(owner),
            created_at=self._clock.now(),
        )
        done = await self._store.change_subscriptions(lambda there: subscribed(there, new))
        self._stirred.set()
        return SubscriptionShown(id=done.one.id, created_at=done.one.created_at), done.one.id == new.id

    async def unsubscribe(self, id: str, owner: Owner) -> None:
        mark = await self._mark(owner)
        await self._store.change_subscriptions(lambda there: unsubscribed(there, id, mark))
        self._stirred.set()

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        there = {one.id: one for one in await self._store.subscriptions()}
        await self._end([id for id, work in self._works.items() if there.get(id) != work.one])
        await self._forget([id for id in self._gone if id not in there])
        for id in there.keys() - self._works.keys():
            await self._begin(there[id], tasks)

    async def _begin(self, one: Subscription, tasks: asyncio.TaskGroup) -> None:
        from sayso.notify.device import GONE, Device  # noqa: PLC0415
        from sayso.notify.file import Configured  # noqa: PLC0415
        from sayso.notify.post import Target  # noqa: PLC0415
        from sayso.notify.worker import Worker  # noqa: PLC0415

        name = place_of(one.id)
        try:
            to = Target(one.endpoint, self._allow, self._clock, gone=GONE, tls=self._tls)
            device = Device(one, self._around, to, await self._key(), partial(self._visible, one))
        except (Invalid, Misconfigured):  # kept by a version that took it
            logger.exception("a device cannot be told", extra={"notifier": name})
            return
        worker = Worker(
            Configured(name, "push", (), _Pruned(device, partial(self._prune, one.id))),
            self._store,
            self._store,
            self._clock,
            self._is_ours,
        )
        stirred = asyncio.Event()
        task = tasks.create_task(worker.keep(partial(news, self._gateway, stirred)), name=f"sayso-{name}")
        self._works[one.id] = _Work(one, device, worker.progress, task)

    async def _prune(self, id: str) -> None:
        with suppress(NotFound):  # of several deliveries the first one did it
            await self._store.change_subscriptions(lambda there: unsubscribed(there, id))
        self._stirred.set()

    async def _end(self, ids: Iterable[str]) -> None:
        """A worker that is at a step would bring its place back, so the place goes after it."""
        for id in ids:
            work = self._works.pop(id)
            work.task.cancel()
            await asyncio.wait([work.task])
            await work.carrier.close()
            for outcome in OUTCOMES:
                self._ended.deliveries[outcome] += work.progress.deliveries[outcome]
            self._gone.add(id)

    async def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            await self._store.change_subscriptions(partial(_without_place, id, self._clock.now()))
        self._gone.clear()

    async def _visible(self, one: Subscription) -> tuple[str, ...] | None:
        """See `device.Visible`. The owner of a key that has ended is told nothing more, and its device forgotten."""
        among: tuple[str, ...] | None = None
        if one.owner in ("", await self._own_mark()):
            is_live = one.owner != "" or not await self._needs_key()
        else:
            key = await self._gateway.keys.live(one.owner)
            is_live = key is not None
            among = None if key is None or set(key.executions) & set(EVERY) else key.executions
        if not is_live:
            raise Refused("the key that the device was told by has ended")
        return among

    async def _needs_key(self) -> bool:
        return self._hash is not None or await self._gateway.keys.are_needed()

    async def _mark(self, owner: Owner) -> str:
        """Tells the owner's key from others, and nothing of the key; "" where there is none."""
        if owner.key is not None:
            return owner.key
        return "" if owner.name is None else await self._own_mark()

    async def _own_mark(self) -> str:
        """The mark of the server's own key; "" without one."""
        if self._hash is not None and not self._marked:
            self._marked = mac(await self._gateway.secret(_OWN), "key", self._hash)
        return self._marked

    async def _key(self) -> EllipticCurvePrivateKey:
        from sayso.notify.sealing import private_key  # noqa: PLC0415

        if self._private is None:
            self._private = private_key(await self._gateway.secret(_SENDER))
        return self._private

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """One for all devices: it holds the certificates of the system."""
        return ssl.create_default_context()


def _without_place(id: str, now: datetime, there: Sequence[Subscription]) -> SubscriptionChange:
    """Of a device that went, nothing stays, whatever was written of its place since. It may be back."""
    gone = Subscription(id=id, endpoint="", p256dh="", auth="", owner="", created_at=now)
    return SubscriptionChange(gone, removed=all(one.id != id for one in there))
