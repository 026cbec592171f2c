"""One notifier at work: it follows the log from a place in the store, step by step, and keeps what is owed there."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from sayso.clock import Clock
from sayso.model import Request
from sayso.notify.file import Configured
from sayso.notify.progress import Progress
from sayso.notify.rules import due
from sayso.notify.schedule import pause
from sayso.notify.sending import NotDelivered, Refused
from sayso.store import Notified, Owed, Standing
from sayso.wire import Event

logger = logging.getLogger(__name__)

_EVENTS: Final = 50
"""Events of one step; what was delivered in a step that a crash ends is delivered again."""
_BEHIND: Final = 16
"""Executions that are behind and get their turn in one step."""
_AT_ONCE: Final = 8
"""Executions delivered side by side: so many receivers' replies are waited for, so much is held in memory."""
_LOOK: Final = 60.0
"""Seconds until the next look when nothing is due: the hub wakes it before."""
_AGAIN: Final = 1.0
"""Seconds until the next look while another process does it, or after the store failed."""


class Log(Protocol):
    """What a worker needs of a store, besides `Notified`."""

    async def read(self, execution_id: str | None, *, after: int, limit: int) -> Sequence[Event]: ...

    async def get(self, request_id: str) -> Request | None: ...


class _Way(NamedTuple):
    """What became of one execution in a step: it is done, or owed."""

    execution_id: str
    owed: Owed | None
    refused: str = ""


class Worker:
    """Delivers what `notifier` takes. At least once, in the order of each execution, at any time by one process.

    `is_ours`: whether that is this one. `news` waits for news of the log, so many seconds at most. `dice`: from 0 to 1.
    """

    def __init__(
        self,
        notifier: Configured,
        log: Log,
        places: Notified,
        clock: Clock,
        is_ours: Callable[[], bool],
        *,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.notifier = notifier
        self.progress = Progress()
        self._log = log
        self._places = places
        self._clock = clock
        self._is_ours = is_ours
        self._dice = dice
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def keep(self, news: Callable[[], Callable[[float], Awaitable[object]]]) -> None:
        """Runs until cancelled. `news()`, taken before a look, gives what waits for what came after it."""
        while True:
            wait = news()
            try:
                seconds = await self._step_if_ours()
            except Exception:  # the store's, or a carrier's own fault; it may pass
                logger.exception("a notifier could not go on; trying again", extra={"notifier": self.notifier.name})
                await asyncio.sleep(_AGAIN)
                continue
            await (wait(seconds) if seconds else asyncio.sleep(0))  # no turn of the loop is ours alone

    async def _step_if_ours(self) -> float:
        if self._is_ours():
            return await self.step()
        self.progress.is_others()
        return _AGAIN

    async def step(self) -> float:
        """Delivers some, and says in how many seconds to go on where there are no news before; 0: there is more."""
        name, now = self.notifier.name, self._clock.now()
        at = await self._places.begin_notifier(name)
        if at.off:
            self.progress.looked(at.owed, is_off=True, has_news=False)
            return _LOOK
        soon = await self._places.owed(name, limit=_BEHIND + 1)
        turn = [one for one in soon[:_BEHIND] if one.due_at <= now]
        events = await self._log.read(None, after=at.position, limit=_EVENTS)
        self.progress.looked(at.owed, is_off=False, has_news=bool(events))
        fresh: dict[str, list[Event]] = {}
        for event in events:
            fresh.setdefault(event.execution_id, []).append(event)
        behind = {one.execution_id for one in await self._places.owed(name, list(fresh))} if fresh else set()
        end = events[-1].position if events else at.position
        works = [self._catch_up(one, end) for one in turn]
        works += [
            self._deliver(Owed(id, at.position, 0, now, ""), own) for id, own in fresh.items() if id not in behind
        ]
        if not works and end == at.position:
            return _LOOK if not soon else min(_LOOK, max(0.0, (soon[0].due_at - now).total_seconds()))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in works]
        await self._note(at._replace(position=end), [one.result() for one in running])
        return 0.0

    async def _note(self, at: Standing, ways: Sequence[_Way]) -> None:
        refused = next((way.refused for way in ways if way.refused), "")
        if refused:
            name = self.notifier.name
            logger.warning("%s: switched off: %s", name, refused, extra={"notifier": name})
        await self._places.advance_notifier(
            self.notifier.name,
            at._replace(off=refused),
            owed=[way.owed for way in ways if way.owed is not None],
            done=[way.execution_id for way in ways if way.owed is None],
        )  # where another process was first, the next look says how far it is

    async def _catch_up(self, one: Owed, end: int) -> _Way:
        """An execution that is behind, up to `end`: what lies after it is fresh in a later step."""
        async with self._turns:
            read = await self._log.read(one.execution_id, after=one.position, limit=_EVENTS)
            events = [event for event in read if event.position <= end]
            way = await self._run(one, events)
        if way.owed is None and read and read[-1].position <= end:  # there may be more of it
            return way._replace(owed=Owed(one.execution_id, read[-1].position, 0, self._clock.now(), ""))
        return way

    async def _deliver(self, one: Owed, events: Sequence[Event]) -> _Way:
        async with self._turns:
            return await self._run(one, events)

    async def _run(self, one: Owed, events: Sequence[Event]) -> _Way:
        """Delivers these, one after the other, until one is not to be had yet or fails."""
        position, attempts = one.position, one.attempts
        for event in events:
            at = await self._due(event)
            if at is not None:
                now = self._clock.now()
                if at > now:
                    return _Way(one.execution_id, Owed(one.execution_id, position, 0, at, ""))
                try:
                    await self.notifier.carrier.send(event)
                    self.progress.deliveries["delivered"] += 1
                except Refused as exc:
                    owed = Owed(one.execution_id, position, attempts + 1, now, exc.detail)
                    self.progress.deliveries["failed"] += 1
                    return _Way(one.execution_id, owed, refused=exc.detail)
                except NotDelivered as exc:
                    return _Way(one.execution_id, self._failed(one.execution_id, position, attempts + 1, exc))
                except Exception as exc:  # a fault of the carrier at this event must not hold up all others
                    logger.exception("a delivery failed in itself", extra={"notifier": self.notifier.name})
                    why = NotDelivered(f"sayso failed at it: {type(exc).__name__}; its log says more")
                    return _Way(one.execution_id, self._failed(one.execution_id, position, attempts + 1, why))
            position, attempts = event.position, 0
        return _Way(one.execution_id, None)

    def _failed(self, execution_id: str, position: int, attempts: int, why: NotDelivered) -> Owed:
        self.progress.deliveries["failed"] += 1
        wait = pause(attempts, self._dice(), why.retry_after)
        fields = {"notifier": self.notifier.name, "execution_id": execution_id, "attempts": attempts}
        logger.warning("%s: a delivery failed: %s", self.notifier.name, why.detail, extra=fields)
        return Owed(execution_id, position, attempts, self._clock.now() + wait, why.detail)

    async def _due(self, event: Event) -> datetime | None:
        rules = self.notifier.rules
        if not rules:
            return datetime.min.replace(tzinfo=self._clock.now().tzinfo)
        request = await self._log.get(event.request_id)
        return None if request is None else due(rules, event, request)
