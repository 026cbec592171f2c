"""Group commit: whatever waits while a batch is being committed becomes the next batch, in one statement."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sayso.audit import Draft
from sayso.errors import StoreFailed
from sayso.model import Fact, InputRequired, Request
from sayso.store.commits import Commits
from sayso.store.postgres.address import Address
from sayso.store.postgres.connection import failures, is_refusal, through_outages
from sayso.store.postgres.lane import Lane
from sayso.store.sql import queries
from sayso.wire import Event, encode

logger = logging.getLogger(__name__)

_BATCH: Final = 256
"""Items in one commit at the most: past this, waiting for the batch costs more than the next commit."""
_SMALL: Final = 32
"""Items that are not worth two commits."""
_BATCH_BYTES: Final = 8 * 1024 * 1024
LANES: Final = 2
"""While PostgreSQL commits one batch, and it can only one at a time, this process sees to the other: what became of it,
and what comes next."""

_Q: Final = queries("postgres")


class Became(NamedTuple):
    """What became of an item; see `sayso.append` in the first migration, and `sayso.append_2`."""

    outcome: str
    stored: bytes | None
    position: int | None


@dataclass(frozen=True, eq=False)
class Item:
    """A row for `sayso.append_2`, and who waits for what becomes of it."""

    row: tuple[Any, ...]
    execution_id: str
    size: int
    became: asyncio.Future[Became]

    @classmethod
    def of(cls, request: Request, fact: Fact, node: int | None) -> Item:
        """`node`: the process that lives while it holds its lock; None where it has none."""
        data, (head, tail), note = encode(request), Event.around_seq(fact), Draft.of(request)
        row = (
            isinstance(fact, InputRequired),
            request.request_id,
            request.execution_id,
            request.status,
            request.durable,
            request.deadline,
            request.settled_at,
            request.settled_by,
            None if request.durable else node,
            data,
            fact.event_id,
            head,
            tail,
            note.head,
            note.tail,
        )
        size = len(data) + len(head) + len(tail)
        return cls(row, request.execution_id, size, asyncio.get_running_loop().create_future())


class Writer:
    """The connections of this process that append. `told` hears after each commit which executions came how far."""

    def __init__(
        self,
        address: Address,
        told: Callable[[Mapping[str, int]], None],
        unsure: Callable[[], None],
        commits: Commits,
    ) -> None:
        self._told = told
        self._unsure = unsure
        self._commits = commits
        self._waiting: deque[Item] = deque()
        self._news = asyncio.Event()
        self._closing = False
        self._lanes = [asyncio.create_task(self._run(Lane(address)), name="sayso-write") for _ in range(LANES)]

    async def append(self, item: Item) -> Became:
        """Raises StoreFailed."""
        if self._closing:
            raise StoreFailed("the store is closed")
        self._waiting.append(item)
        self._news.set()
        return await item.became

    async def close(self) -> None:
        """Finishes what waits."""
        self._closing = True
        self._news.set()
        await asyncio.gather(*self._lanes)

    async def _run(self, lane: Lane) -> None:
        try:
            while not (self._closing and not self._waiting):
                await self._news.wait()
                while self._waiting:
                    await self._commit(lane, self._next_batch())
                if not self._closing:
                    self._news.clear()
        finally:
            await lane.let_go()

    def _next_batch(self) -> list[Item]:
        """Half of what waits, at least _SMALL: another lane takes the rest, so that PostgreSQL has no pause."""
        count = min(_BATCH, max(_SMALL, len(self._waiting) // LANES))
        batch, size = [self._waiting.popleft()], 0
        while self._waiting and len(batch) < count and (size := size + batch[-1].size) < _BATCH_BYTES:
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, lane: Lane, batch: list[Item]) -> None:
        columns = [list(column) for column in zip(*(item.row for item in batch), strict=True)]
        began = time.perf_counter()
        try:
            rows = await through_outages(lambda: lane.append(columns))
            self._commits.done(time.perf_counter() - began, len(batch))
        except Exception as exc:
            if len(batch) > 1 and is_refusal(exc):
                for item in batch:  # what is wrong with one is not the others' fault
                    await self._commit(lane, [item])
            else:
                self._fail(batch, exc)
            return
        came = {}
        for item, row in zip(batch, rows, strict=True):
            became = Became(*row)
            if became.position is not None:
                came[item.execution_id] = became.position
            if not item.became.done():
                item.became.set_result(became)
        if came:
            self._told(came)

    def _fail(self, batch: list[Item], exc: Exception) -> None:
        self._commits.failed()
        logger.error("commit failed", exc_info=exc, extra={"writes": len(batch)})
        self._unsure()
        for item in batch:
            if not item.became.done():
                try:
                    with failures():
                        raise exc
                except Exception as error:
                    item.became.set_exception(error)
