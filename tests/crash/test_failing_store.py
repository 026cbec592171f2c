"""An error at every n-th thing that is asked of the database: nothing is acknowledged that is not there, and everything
goes on."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso.errors import AlreadySettled, StoreFailed
from sayso.gateway import Gateway
from sayso.model import Request, Submission
from sayso.store import Filter
from sayso.store.sqlite import SQLiteStore
from sayso.store.sqlite import store as sqlite_store
from sayso.wire import Event
from tests.builders import NOW, question
from tests.crash.doubles import CarelessWriter

WHO = {"by": "key:a", "channel": "http"}
LONG_AGO = NOW - timedelta(days=9_000)


@dataclass
class Fault:
    """At the `at`-th call an error, and at the next ones, `times` in all; `late`: each after it did its work."""

    at: int = 0
    late: bool = False
    times: int = 1
    count: int = 0

    def call(self, work: Callable[[], Any]) -> Any:
        self.count += 1
        is_now = 0 < self.at <= self.count < self.at + self.times
        if is_now and not self.late:
            raise sqlite3.OperationalError("disk I/O error")
        done = work()
        if is_now:
            raise sqlite3.OperationalError("disk I/O error")
        return done


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """What happens to every connection that is made from here on."""
    fault = Fault()

    class Connection(sqlite3.Connection):
        def execute(self, *statement: Any) -> Any:
            return fault.call(lambda: super(Connection, self).execute(*statement))

        def executemany(self, *statement: Any) -> Any:
            return fault.call(lambda: super(Connection, self).executemany(*statement))

        def executescript(self, script: str) -> Any:
            return fault.call(lambda: super(Connection, self).executescript(script))

        def rollback(self) -> None:
            fault.call(super().rollback)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **how: connect(*args, factory=Connection, **how))
    return fault


async def ask(gateway: Gateway, id: str, **members: Any) -> Request:
    return (await gateway.ask(question(request_id=id, **members), by="key:a", durable=True))[0]


async def answer(gateway: Gateway, id: str) -> Request:
    return await gateway.answer(id, Submission(text="yes", answer_id=f"answer-{id}"), **WHO)


async def cancel(gateway: Gateway, id: str) -> Request:
    """Also where that was done, and the reply was an error."""
    try:
        return await gateway.cancel(id, "no", **WHO)
    except AlreadySettled as exc:
        request: Request = exc.request
        return request


async def wait(gateway: Gateway) -> asyncio.Task[Request]:
    """Begins to wait for an answer, as an asker does."""
    waiting = asyncio.create_task(gateway.settled("a", wait=None))
    try:
        for _ in range(5):  # it has looked, and waits, when these have looked
            await gateway.get("a")
    except StoreFailed:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        raise
    return waiting


async def read_all(gateway: Gateway, stream: str | None, cursor: str | None = None) -> list[Event]:
    batch = await gateway.start(stream, cursor)
    found: list[Event] = []
    while batch.place.open_until or (batch := await gateway.read(batch.place)).events:
        if batch.place.open_until:
            batch = await gateway.read(batch.place)
        found.extend(batch.events)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where the system has such: hundreds of histories, none of which is about the disk's own pace."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own in it
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as made:
        yield Path(made)


Step = Callable[[Gateway], Awaitable[Any]]


def steps() -> dict[str, Step]:
    """What clients do, each under a name; each may be done again."""
    return {
        "ask a": lambda gateway: ask(gateway, "a", execution_id="run-3"),
        "ask b": lambda gateway: ask(gateway, "b", timeout=3_600),
        "wait for a": wait,
        "answer a": lambda gateway: answer(gateway, "a"),
        "ask a again": lambda gateway: ask(gateway, "a", execution_id="run-3"),
        "cancel b": lambda gateway: cancel(gateway, "b"),
        "list": lambda gateway: gateway.list(Filter()),
        "look at a": lambda gateway: gateway.settled("a", wait=0),
        "follow": lambda gateway: read_all(gateway, "run-1"),
        "remove": lambda gateway: gateway._prune(LONG_AGO, 9),
        "ask c": lambda gateway: ask(gateway, "c", execution_id="run-2"),
        "ask d": lambda gateway: ask(gateway, "d", execution_id="run-2"),
        "answer d": lambda gateway: answer(gateway, "d"),
    }


async def history(path: Path, fault: Fault) -> list[str]:
    """What is wrong after a run with that fault."""
    acknowledged: dict[str, Any] = {}
    wrong: list[str] = []
    try:
        async with (gateway := Gateway(SQLiteStore(path))).running():
            for name, step in steps().items():
                try:
                    acknowledged[name] = await step(gateway)
                except StoreFailed:
                    continue
                except Exception as exc:
                    if f"ask {name[-1]}" in acknowledged:
                        wrong.append(f"{name}: {exc!r}")
            fault.at = 0
            wrong += await _compare(gateway, acknowledged)
            if waiting := acknowledged.get("wait for a"):
                await asyncio.wait([waiting], timeout=0 if (await gateway.get("a")).is_open else 10)
                wrong += [] if waiting.done() or (await gateway.get("a")).is_open else ["who waits is not told"]
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
    except* StoreFailed:
        fault.at = 0
    Path(f"{path}.mark").unlink(missing_ok=True)  # another guard, which would find out first
    async with (gateway := Gateway(SQLiteStore(path))).running():
        wrong += await _compare(gateway, acknowledged)
        for name, step in steps().items():
            if name not in acknowledged and not name.startswith("wait"):
                try:
                    await step(gateway)
                except Exception as exc:
                    wrong.append(f"{name}, said again: {exc!r}")
        wrong += await _sound(gateway)
    return wrong


async def _compare(gateway: Gateway, acknowledged: dict[str, Any]) -> list[str]:
    """What was acknowledged and is not there."""
    wrong = []
    for name, given in acknowledged.items():
        if isinstance(given, Request):
            found = {one.request_id: one for one in (await gateway.list(Filter())).requests}.get(given.request_id)
            if found is None or (not given.is_open and found != given):
                wrong.append(f"{name}: acknowledged, and not there")
    return wrong


async def _sound(gateway: Gateway) -> list[str]:
    """Each request asked and ended once, in streams without a gap."""
    runs = ("run-1", "run-2", "run-3")
    log = [event for run in runs for event in await read_all(gateway, run)]
    seqs = {run: [event.seq for event in log if event.execution_id == run] for run in runs}
    counted = Counter((event.request_id, event.type) for event in log)
    wrong = [f"{run}: {seq}" for run, seq in seqs.items() if seq != list(range(1, len(seq) + 1))]
    wrong += [f"{what} {count} times" for what, count in counted.items() if count > 1]
    asked = {id for id, type in counted if type == "human_input_required"}
    ended = {id for id, type in counted if type == "human_input_completed"}
    return wrong + ([] if (asked, ended) == ({*"abcd"}, {*"abd"}) else [f"asked {asked}, ended {ended}"])


async def every_fault(folder: Path, fault: Fault, *, until_wrong: bool = False) -> dict[int, list[str]]:
    """What was wrong after an error at the first call, at the second, …, until a whole run has had none."""
    wrong: dict[int, list[str]] = {}
    async with Gateway(SQLiteStore(folder / "empty.db")).running():
        pass
    for at in range(1, 1_000):
        shutil.copy(folder / "empty.db", folder / f"{at}.db")
        fault.at, fault.count = at, 0
        complaints = await history(folder / f"{at}.db", fault)
        if complaints:
            wrong[at] = complaints
        if fault.count < at or (wrong and until_wrong):
            print(f"errors from each of {at - 1} calls on")
            return wrong
    raise AssertionError("a run has no end")


@pytest.mark.promise("DISK-2", "ASK-1", "ANSWER-1")
@pytest.mark.parametrize(("times", "late"), [(1, False), (3, True)], ids=["once", "three-times-and-late"])
async def test_whatever_fails_nothing_is_acknowledged_that_is_not_there(
    folder: Path, fault: Fault, *, times: int, late: bool
) -> None:
    fault.times, fault.late = times, late
    async with asyncio.timeout(120):
        assert await every_fault(folder, fault) == {}


async def test_a_writer_that_acknowledges_what_failed_is_found_out(
    folder: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same faults, another writer."""
    monkeypatch.setattr(sqlite_store, "Writer", CarelessWriter)

    async with asyncio.timeout(120):
        wrong = await every_fault(folder, fault, until_wrong=True)

    print(wrong)
    assert wrong
