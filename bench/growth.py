"""How much slower a store that has grown is than a nearly empty one: `bench/growth.py [EVENTS [OPEN [FOLDER]]]`.

One store of EVENTS events (1,000,000) with OPEN open requests (100,000), and one of 4,000 events. Every operation is
done on both in turn, at the gateway, so that whatever else the machine does falls on both; the ratio is of the medians.
The large store is kept in FOLDER where one is given, and used again.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sayso import limits
from sayso.gateway import Gateway, Place
from sayso.model import Question, Submission
from sayso.store import Filter
from sayso.store.sqlite import SQLiteStore

ROUNDS = 300
TOGETHER = 100
PER_RUN = 5
"""Requests in one execution."""
WHO = {"by": "key:bench", "channel": "http"}
LONG = 3_000 * 86_400.0
PROMPT = "Please read the draft below and say what should be changed before it goes to the customer tomorrow."
CONTEXT = "The ferry leaves at nine. Bring your ticket and a coat, since it is windy out there on the deck. " * 4
OPEN = Filter(status=frozenset({"pending"}))


def question(execution_id: str, **members: Any) -> Question:
    return Question(execution_id=execution_id, prompt=PROMPT, context=CONTEXT, kind="review", **members)


class Filled(NamedTuple):
    """A gateway with what is in its store. `cursors`: some events' ids, of all ages."""

    gateway: Gateway
    store: SQLiteStore
    runs: list[str]
    open: list[str]
    ended: list[str]
    cursors: list[tuple[str, str]]


async def fill(gateway: Gateway, events: int, open: int) -> None:
    """Until there are so many events; so many requests stay open, spread over all of them."""
    requests = (events + open) // 2
    chance = random.Random(7)  # noqa: S311 - a made up past, no secret
    stay_open = set(chance.sample(range(requests), open))
    turns = asyncio.Semaphore(1_000)
    begun = time.perf_counter()

    async def one(number: int) -> None:
        async with turns:
            run = f"run-{chance.randrange(requests // PER_RUN)}"
            asked, _ = await gateway.ask(question(run, timeout=LONG), by="key:bench", durable=True)
            if number not in stay_open:
                await gateway.answer(asked.request_id, Submission(text="Make it shorter, please."), **WHO)

    for first in range(0, requests, 10_000):
        await asyncio.gather(*(one(number) for number in range(first, min(requests, first + 10_000))))
        print(f"\r{min(requests, first + 10_000):,} of {requests:,} requests", end="", file=sys.stderr, flush=True)
    print(f"\rfilled in {time.perf_counter() - begun:.0f} s          ", file=sys.stderr)


async def look_around(gateway: Gateway, store: SQLiteStore) -> Filled:
    """Requests and events of all ages, to ask for."""
    head = (await store.list(Filter(), limit=1)).head
    found = {
        one.request_id: one
        for after in range(0, head, max(1, head // 100))
        for one in (await store.list(Filter(), after=after, limit=10)).requests
    }.values()
    more = (await store.list(OPEN, limit=limits.PAGE)).requests
    runs = [one.execution_id for one in found]
    cursors = [(one.execution_id, one.asked_event_id) for one in found]
    open = list({one.request_id for one in (*found, *more) if one.is_open})
    ended = [one.request_id for one in found if not one.is_open]
    return Filled(gateway, store, runs, open, ended, cursors)


Operation = Callable[[Filled, random.Random], Awaitable[object]]


async def _read(gateway: Gateway, execution_id: str | None, cursor: str) -> object:
    return await gateway.read((await gateway.start(execution_id, cursor)).place)


async def _ask_together(on: Filled) -> object:
    new = [question(f"new-{random.getrandbits(64):x}") for _ in range(TOGETHER)]
    return await asyncio.gather(*(on.gateway.ask(one, by="key:bench", durable=True) for one in new))


OPERATIONS: dict[str, Operation] = {
    "ask, new run": lambda on, chance: on.gateway.ask(
        question(f"new-{chance.getrandbits(64):x}"), by="key:bench", durable=True
    ),
    "ask, old run": lambda on, chance: on.gateway.ask(question(chance.choice(on.runs)), by="key:bench", durable=True),
    "ask, deadline": lambda on, chance: on.gateway.ask(
        question(chance.choice(on.runs), timeout=LONG), by="key:bench", durable=True
    ),
    "answer": lambda on, chance: on.gateway.answer(
        on.open.pop(chance.randrange(len(on.open))), Submission(text="Yes."), **WHO
    ),
    f"ask, {TOGETHER} at once": lambda on, chance: _ask_together(on),
    "look at one": lambda on, chance: on.gateway.settled(chance.choice(on.ended), wait=0),
    "list, open": lambda on, chance: on.gateway.list(OPEN),
    "list, open, next page": lambda on, chance: on.gateway.list(OPEN, after=200),
    "list, all": lambda on, chance: on.gateway.list(Filter()),
    "list, three statuses": lambda on, chance: on.gateway.list(
        Filter(status=frozenset({"answered", "expired", "cancelled"}))
    ),
    "list, expired": lambda on, chance: on.gateway.list(Filter(status=frozenset({"expired"}))),
    "list, one run": lambda on, chance: on.gateway.list(Filter(execution_id=chance.choice(on.runs))),
    "follow all": lambda on, chance: on.gateway.start(None, None),
    "follow a run": lambda on, chance: on.gateway.read(Place(chance.choice(on.runs), 0)),
    "resume a run": lambda on, chance: _read(on.gateway, *chance.choice(on.cursors)),
    "resume all, 100 events": lambda on, chance: on.gateway.read(Place(None, 50), limit=100),
    "unknown cursor": lambda on, chance: on.gateway.start(None, "0190f5c0-0000-7000-8000-000000000000"),
    "deadlines": lambda on, chance: on.gateway._due(datetime.now(UTC) + timedelta(seconds=60)),
    "orphans": lambda on, chance: on.gateway._orphaned(0, 500),
    "retention": lambda on, chance: on.gateway._prune(datetime.now(UTC) - timedelta(days=30), 200),
}


async def timed(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def compare(small: Filled, large: Filled) -> None:
    print(f"{'':24} {'small':>10} {'large':>10} {'ratio':>6}")
    for name, operation in OPERATIONS.items():
        times: dict[int, list[float]] = {0: [], 1: []}
        rounds = ROUNDS // 10 if "at once" in name else ROUNDS
        for number in range(rounds + 10):
            for which in (0, 1) if number % 2 else (1, 0):
                on = (small, large)[which]
                spent = await timed(operation(on, random.Random(number)))  # noqa: S311 - the same for both
                if number >= 10:
                    times[which].append(spent)
        ours, theirs = (statistics.median(times[which]) * 1_000 for which in (0, 1))
        print(f"{name:24} {ours:7.3f} ms {theirs:7.3f} ms {theirs / ours:6.2f}", flush=True)


async def opened(path: Path) -> tuple[Gateway, SQLiteStore, Any]:
    store = SQLiteStore(path)
    running = (gateway := Gateway(store)).running()
    begun = time.perf_counter()
    await running.__aenter__()
    print(f"{path.name} opened in {time.perf_counter() - begun:.2f} s")
    return gateway, store, running


async def asking_while(gateway: Gateway, is_over: Callable[[], Awaitable[bool]]) -> list[float]:
    """How long questions take until it is over, one at a time, in seconds."""
    times = list[float]()
    while not await is_over():
        new = question(f"new-{random.getrandbits(64):x}")
        times.append(await timed(gateway.ask(new, by="key:bench", durable=True)))
    return times


def spread(times: list[float]) -> str:
    most = sorted(times)[-1 - len(times) // 100]
    return f"{statistics.median(times) * 1_000:.1f} ms (half), {most * 1_000:.0f} ms (99 %)"


def size_of(path: Path) -> int:
    return path.stat().st_size


def read_through(path: Path) -> None:
    """Into the system's cache of files: what is compared is the work, not how cold the disk is."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


async def orphans(path: Path, count: int) -> None:
    """A start on what a killed process left pending."""
    async with (gateway := Gateway(SQLiteStore(path))).running():
        for first in range(0, count, 1_000):
            new = [question(f"run-{number}") for number in range(first, first + 1_000)]
            await asyncio.gather(*(gateway.ask(one, by="process", durable=False) for one in new))
    begun = time.perf_counter()
    async with (gateway := Gateway(SQLiteStore(path))).running():
        ready = time.perf_counter() - begun

        async def is_over() -> bool:
            return not gateway._orphans.are_left

        times = await asking_while(gateway, is_over)
        over = time.perf_counter() - begun
    print(f"{count:,} orphans: ready after {ready:.2f} s, all given up after {over:.1f} s; asking: {spread(times)}")


async def retention(path: Path, events: int) -> None:
    """Questions while all that was settled before is removed."""
    async with (gateway := Gateway(SQLiteStore(path))).running():
        await fill(gateway, events, 0)

        async def is_done() -> bool:
            return next(counted) > ROUNDS

        counted = iter(range(10**6))
        before = await asking_while(gateway, is_done)
    size, begun = size_of(path), time.perf_counter()
    async with (gateway := Gateway(store := SQLiteStore(path), retention=timedelta(0))).running():

        async def is_over() -> bool:
            return not (await store.list(Filter(status=frozenset({"answered"})), limit=1)).requests

        meanwhile = await asking_while(gateway, is_over)
        over = time.perf_counter() - begun
    print(f"{events:,} events removed in {over:.0f} s; asking before: {spread(before)}; meanwhile: {spread(meanwhile)}")
    print(
        f"the file had {size / 1e6:.0f} MB, and has {size_of(path) / 1e6:.0f} MB with {len(meanwhile):,} new questions"
    )


async def main() -> None:
    events, open = (int(given) for given in (*sys.argv[1:3], *("1000000", "100000")[len(sys.argv[1:3]) :]))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(made)
        path = folder / f"{events}-{open}.db"
        if not path.exists():
            async with (filling := Gateway(SQLiteStore(path))).running():
                await fill(filling, events, open)
        size = size_of(path)
        print(f"{events:,} events, {open:,} open requests: {size / 1e6:,.0f} MB, {size / events:,.0f} bytes an event")
        small_gateway, small_store, small_running = await opened(Path(made) / "small.db")
        await fill(small_gateway, 4_000, 400)
        large_gateway, large_store, large_running = await opened(path)
        read_through(path)
        await compare(await look_around(small_gateway, small_store), await look_around(large_gateway, large_store))
        for running in (small_running, large_running):
            await running.__aexit__(None, None, None)
        await orphans(Path(made) / "orphans.db", open)
        await retention(Path(made) / "retention.db", events // 10)


if __name__ == "__main__":
    asyncio.run(main())
