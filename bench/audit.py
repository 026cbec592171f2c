"""What the audit costs whoever asks: `bench/audit.py [ROUNDS [ASKS]]`.

100 askers ask at a store, as often as they can, with the audit and without it: in turn, each time on a new and empty
store, so that whatever else the machine does falls on both. The ratio is the median of those of the pairs.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.postgres import Cluster

from sayso.audit import Draft
from sayso.gateway import Gateway
from sayso.model import Question
from sayso.store import Store
from sayso.store.postgres import PostgresStore, writer
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite import writer as sqlite_writer

ASKERS = 100
PROMPT = "Please read the draft below and say what should be changed before it goes to the customer tomorrow."
CONTEXT = "The ferry leaves at nine. Bring your ticket and a coat, since it is windy out there on the deck. " * 4
OLD = "SELECT outcome, stored, at FROM sayso.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


@contextmanager
def without() -> Iterator[None]:
    """No entry is made, written or sent: as before there were any."""

    def append(self: writer.Writer, columns: list[list[Any]]) -> Any:
        return real(self, columns[:13])

    real = writer.Writer._append
    with ExitStack() as patches:
        patches.enter_context(
            patch.object(Draft, "of", classmethod(lambda cls, request: Draft(request.execution_id, b"", b"")))
        )
        patches.enter_context(patch.object(sqlite_writer, "append_entries", lambda db, notes: None))
        patches.enter_context(patch.dict(writer._Q, {"append": OLD}))
        patches.enter_context(patch.object(writer.Writer, "_append", append))
        yield


@contextmanager
def with_it() -> Iterator[None]:
    yield


async def asks_per_second(store: Store, asks: int) -> float:
    """Of ASKERS, each of which asks again when it is told that its question is stored."""
    gateway = Gateway(store)
    left = itertools.count()

    async def ask(run: str) -> None:
        while next(left) < asks:
            await gateway.ask(
                Question(execution_id=run, prompt=PROMPT, context=CONTEXT, kind="review"), by="key:bench", durable=True
            )

    async with gateway.running(), asyncio.TaskGroup() as warming:
        for number in range(ASKERS):
            warming.create_task(ask_once(gateway, f"run-{number}"))
    async with gateway.running():
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as askers:
            for number in range(ASKERS):
                askers.create_task(ask(f"run-{number}"))
        return asks / (time.perf_counter() - begun)


async def ask_once(gateway: Gateway, run: str) -> None:
    await gateway.ask(Question(execution_id=run, prompt=PROMPT), by="key:bench", durable=True)


@asynccontextmanager
async def in_sqlite() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        yield SQLiteStore(Path(folder) / "bench.db")


def compare(name: str, new: Callable[[], Any], rounds: int, asks: int) -> None:
    async def once(how: Callable[[], Any]) -> float:
        with how():
            async with new() as store:
                return await asks_per_second(store, asks)

    pairs = []
    for number in range(rounds):
        ways = (without, with_it) if number % 2 else (with_it, without)
        measured = {way: asyncio.run(once(way)) for way in ways}
        pairs.append((measured[without], measured[with_it]))
    before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(before / after for before, after in pairs)
    print(f"{name:12} {before:8,.0f} asks/s without, {after:8,.0f} with; an ask takes {ratio:.2f} times as long")


def main() -> None:
    rounds, asks = (int(given) for given in (*sys.argv[1:], *("7", "10000")[len(sys.argv) - 1 :]))
    compare("SQLite", in_sqlite, rounds, asks)
    cluster = Cluster()

    @asynccontextmanager
    async def in_postgres() -> AsyncIterator[Store]:
        url = cluster.database()
        yield PostgresStore(url)
        cluster.drop(url)

    try:
        compare("PostgreSQL", in_postgres, rounds, asks)
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
