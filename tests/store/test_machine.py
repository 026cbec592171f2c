"""Random histories: each durable store does whatever the plain one in memory does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec import structs

from sayso.chain import Chains
from sayso.errors import NotFound, RequestMismatch
from sayso.model import STATUSES, Request
from sayso.store import AuditPlace, Filter, Page, Put, Store
from sayso.store.memory import MemoryStore
from sayso.store.postgres import PostgresStore
from sayso.store.sqlite import SQLiteStore
from sayso.wire import Event
from tests.builders import NOW, answered, asked, completed, request
from tests.postgres import Cluster

EXECUTIONS = st.sampled_from(["run-1", "run-2", "run-3"])
IDS = st.sampled_from(["draft-1", "draft-2", "draft-3"])
STREAMS = st.none() | EXECUTIONS
MOMENTS = st.integers(0, 5).map(lambda days: NOW + timedelta(days=days))
POSITIONS = st.just(0) | st.integers(0, 40)
LIMITS = st.integers(1, 5)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FILTERS = st.builds(
    Filter,
    status=st.sampled_from([None, None, frozenset({"pending"}), frozenset(STATUSES[1:]), frozenset()]),
    execution_id=st.none() | STREAMS,
    durable=st.sampled_from([None, None, None, True, False]),
    due_before=st.none() | st.none() | MOMENTS,
    until=st.none() | st.none() | POSITIONS,
)


class Twins(RuleBasedStateMachine):
    """Every call goes to both stores; what they give must be equal."""

    requests: Bundle[Request] = Bundle("requests")

    def __init__(self, durable: Callable[[], AbstractContextManager[Store]]) -> None:
        """`durable`: gives a new and empty store, and removes it."""
        super().__init__()
        self._runner = asyncio.Runner()
        self._changes = 0
        self._memory = MemoryStore()
        self._place = durable()
        self._durable = self._place.__enter__()
        self._run(self._memory.open())
        self._run(self._durable.open())

    def teardown(self) -> None:
        self._run(self._durable.close())
        self._runner.close()
        self._place.__exit__(None, None, None)

    @rule(target=requests, execution=EXECUTIONS, durable=st.booleans(), deadline=st.none() | MOMENTS, text=TEXTS)
    def put(self, execution: str, durable: bool, deadline: datetime | None, text: str) -> Request:
        new = request(execution_id=execution, durable=durable, deadline=deadline, context=text, metadata={text: text})
        self._put(new)
        return new

    @rule(stored=requests, execution=EXECUTIONS)
    def put_again(self, stored: Request, execution: str) -> None:
        repeat = request(request_id=stored.request_id, execution_id=execution, prompt="another", durable=stored.durable)
        self._put(repeat)

    @rule(target=requests)
    def invent(self) -> Request:
        """A request that was never stored: settling it is settling an unknown one."""
        return request()

    @rule(pending=requests, text=TEXTS, now=MOMENTS, given_up=st.booleans())
    def settle(self, pending: Request, text: str, now: datetime, given_up: bool) -> None:
        if stored := self._run(self._memory.get(pending.request_id)):
            self._changes += stored.is_open
            pending = structs.replace(pending, execution_id=stored.execution_id)
        if given_up:
            done = pending.cancelled("no", by="key:a", channel="http", now=now, event_id=request().request_id)
        else:
            done = answered(pending, text, now=now)
        self._both(lambda store: store.settle(done, completed(done)))

    @rule(execution=EXECUTIONS, now=MOMENTS)
    def settle_everything(self, execution: str, now: datetime) -> None:
        page = self._run(self._memory.list(Filter(execution_id=execution, status=frozenset({"pending"})), limit=100))
        for pending in page.requests:
            self.settle(pending, "yes", now, given_up=False)

    @rule(one=requests)
    def get(self, one: Request) -> None:
        self._both(lambda store: store.get(one.request_id))

    @rule(filter=FILTERS)
    def list_page_by_page(self, filter: Filter) -> None:
        for limit in (1, 2, 3):
            after: int | None = 0
            while after is not None:
                self.list(filter, after, limit)
                after = self._run(self._memory.list(filter, after=after, limit=limit)).next

    @rule(filter=FILTERS, after=POSITIONS, limit=LIMITS)
    def list(self, filter: Filter, after: int, limit: int) -> None:
        self._both(lambda store: store.list(filter, after=after, limit=limit))

    @rule(stream=STREAMS, after=POSITIONS, limit=LIMITS, open_only=st.booleans())
    def read(self, stream: str | None, after: int, limit: int, open_only: bool) -> None:
        self._both(lambda store: store.read(stream, after=after, limit=limit, open_only=open_only))

    @rule(one=requests)
    def locate(self, one: Request) -> None:
        self._both(lambda store: store.locate(one.asked_event_id))

    @rule(execution=EXECUTIONS, id=IDS, now=MOMENTS, text=TEXTS)
    def keep(self, execution: str, id: str, now: datetime, text: str) -> None:
        self._both(lambda store: store.keep(execution, id, text.encode(), now))

    @rule(id=IDS)
    def kept(self, id: str) -> None:
        self._both(lambda store: store.kept(id))

    @rule(name=IDS, holder=IDS, until=MOMENTS, now=MOMENTS)
    def lease(self, name: str, holder: str, until: datetime, now: datetime) -> None:
        self._both(lambda store: store.lease(name, holder, until, now))

    @rule(name=IDS, holder=IDS)
    def release(self, name: str, holder: str) -> None:
        self._both(lambda store: store.release(name, holder))

    @rule(before=MOMENTS, limit=st.sampled_from([1, 2, 3, 100]))
    def prune(self, before: datetime, limit: int) -> None:
        self._both(lambda store: store.prune(before, limit=limit))

    @rule(one=requests)
    def remains(self, one: Request) -> None:
        self._both(lambda store: store.remains(one.request_id))

    @rule(execution=STREAMS, after=EXECUTIONS, number=st.integers(0, 9), limit=LIMITS)
    def audit(self, execution: str | None, after: str, number: int, limit: int) -> None:
        place = AuditPlace(execution or after, number)
        self._both(lambda store: store.audit(execution, after=place, limit=limit))

    @rule()
    def reopen(self) -> None:
        self._run(self._durable.close())
        self._run(self._durable.open())

    @invariant()
    def holds_the_same_log(self) -> None:
        self._both(lambda store: store.read(None, after=0, limit=1_000))

    @invariant()
    def holds_the_same_audit(self) -> None:
        self._both(lambda store: store.audit(None, after=AuditPlace(), limit=1_000))

    @invariant()
    def has_noted_every_change_that_was_made(self) -> None:
        """Also of what was pruned since, and nothing else."""
        entries = self._run(self._durable.audit(None, after=AuditPlace(), limit=1_000))
        chains = Chains()
        for entry in entries:
            chains.add(msgspec.json.decode(entry.line))
        chains.end()
        assert len(entries) == self._changes

    def _put(self, one: Request) -> None:
        outcome = self._both(lambda store: store.put(one, asked(one)))
        self._changes += isinstance(outcome, Put) and outcome.created

    def _both(self, call: Any) -> Any:
        outcome = self._outcome(call, self._durable)
        assert outcome == self._outcome(call, self._memory)
        return outcome

    def _outcome(self, call: Any, store: Store) -> Any:
        try:
            return _comparable(self._run(call(store)))
        except (NotFound, RequestMismatch) as refusal:
            return type(refusal)

    def _run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)


def _comparable(outcome: Any) -> Any:
    """Events are compared by what they hold, each store's own origin by its name; everything else as it is."""
    if isinstance(outcome, list):
        return [vars(event) if isinstance(event, Event) else event for event in outcome]
    return outcome._replace(head_event_id="origin") if isinstance(outcome, Page) and not outcome.head else outcome


_SETTINGS = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_sqlite_does_whatever_memory_does() -> None:
    @contextmanager
    def in_sqlite() -> Iterator[Store]:
        with tempfile.TemporaryDirectory() as folder:
            yield SQLiteStore(Path(folder) / "twin.db")

    run_state_machine_as_test(lambda: Twins(in_sqlite), settings=_SETTINGS)


def test_postgres_does_whatever_memory_does(cluster: Cluster) -> None:
    @contextmanager
    def in_postgres() -> Iterator[Store]:
        url = cluster.database()
        yield PostgresStore(url)
        cluster.drop(url)

    run_state_machine_as_test(lambda: Twins(in_postgres), settings=_SETTINGS)
