"""The notifiers of one process: each at work by itself, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from sayso.clock import Clock
from sayso.errors import Fault, Invalid, Misconfigured, NotFound
from sayso.gateway import Gateway
from sayso.notifier import Failing, NotifierShown, Trial
from sayso.notify.file import Configured, read
from sayso.notify.news import news
from sayso.notify.progress import metrics
from sayso.notify.sending import NotDelivered, Surroundings
from sayso.notify.worker import Worker
from sayso.store import Notified, Store
from sayso.wire import Event, encode

_SHOWN: Final = 10
"""Executions that are behind, told of one notifier."""


class NotifiedStore(Store, Notified, Protocol):
    """A store that keeps how far notifiers have come."""


class LogNotifiers:
    """The Notifiers that a file configures, on the log of `store`, which `gateway` has."""

    def __init__(self, configured: Sequence[Configured], store: NotifiedStore, gateway: Gateway, clock: Clock) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._workers = {
            one.name: Worker(one, store, store, clock, gateway.duty(f"notify:{one.name}")) for one in configured
        }
        self._stirred: dict[str, asyncio.Event] = {}
        gateway.meters.add(lambda: metrics({name: worker.progress for name, worker in self._workers.items()}))

    async def begin(self) -> None:
        self._stirred = {name: asyncio.Event() for name in self._workers}
        for name in self._workers:
            await self._store.begin_notifier(name)

    async def keep(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, worker in self._workers.items():
                    tasks.create_task(worker.keep(partial(news, self._gateway, self._stirred[name])))
        finally:
            for worker in self._workers.values():
                await worker.notifier.carrier.close()

    async def list(self) -> Sequence[NotifierShown]:
        return [await self._shown(worker.notifier) for worker in self._workers.values()]

    async def test(self, name: str) -> Trial:
        carrier = self._of(name).carrier
        try:
            await carrier.send(_trial(self._clock.new_id(), self._clock.now()))
        except NotDelivered as exc:
            return Trial(name=name, delivered=False, detail=exc.detail)
        return Trial(name=name, delivered=True, detail="the receiver has it")

    async def replay(self, name: str, after: str | None) -> None:
        self._of(name)
        at = await self._store.begin_notifier(name)
        position = at.position
        if after is not None:
            found = await self._store.locate(after)
            if found is None:
                raise Invalid(Fault("/after", "is no event that is kept"))
            position = found.position
        await self._store.replay_notifier(name, position, self._clock.now().astimezone(UTC))
        self._stirred[name].set()

    def _of(self, name: str) -> Configured:
        if name not in self._workers:
            raise NotFound("There is no notifier of this name.")
        return self._workers[name].notifier

    async def _shown(self, one: Configured) -> NotifierShown:
        at = await self._store.begin_notifier(one.name)
        behind = await self._store.owed(one.name, limit=_SHOWN)
        return NotifierShown(
            name=one.name,
            kind=one.kind,
            target=one.carrier.target,
            off=at.off,
            owed=at.owed,
            failing=tuple(
                Failing(execution_id=owed.execution_id, attempts=owed.attempts, due_at=owed.due_at, why=owed.why)
                for owed in behind
                if owed.attempts
            ),
            is_up_to_date=not await self._store.read(None, after=at.position, limit=1),
        )


def notifiers(file: Path, store: Store, gateway: Gateway, clock: Clock, public_url: str | None = None) -> LogNotifiers:
    """Raises Misconfigured."""
    configured = read(file, Surroundings(clock, store.get, gateway.links.made, public_url))
    if not isinstance(store, Notified):
        raise Misconfigured("this store cannot keep how far notifiers have come; use SQLite or PostgreSQL")
    return LogNotifiers(configured, store, gateway, clock)


def _trial(id: str, now: datetime) -> Event:
    """Like an event, but of a type that none has."""
    members = {"type": "test", "event_id": id, "execution_id": "test", "timestamp": now}
    return Event(0, "test", 0, id, "test", "", encode(members))
