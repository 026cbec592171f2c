"""What the PostgreSQL store promises beyond the contract: many processes, one order, a database that comes and goes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.errors import Misconfigured, StoreFailed, StoreTooNew
from sayso.gateway import Gateway
from sayso.model import Question, Request
from sayso.store import Filter
from sayso.store.postgres import PostgresStore, hints, watcher
from sayso.store.postgres.address import Address
from sayso.store.postgres.gone import AFTER, Gone
from sayso.store.postgres.lane import Lane
from sayso.store.postgres.writer import LANES
from sayso.store.sql import migrations, queries
from sayso.wire import Event
from tests.builders import answered, asked, completed, request
from tests.postgres import Cluster
from tests.store.hints import Hints

IDS = st.from_regex(r"[A-Za-z0-9._~:-]{1,128}", fullmatch=True)


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    async with opened(database) as store:
        yield store


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def put(store: PostgresStore, **members: Any) -> Request:
    new = request(**members)
    return (await store.put(new, asked(new))).request


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it holds; a test that waits for ever fails."""
    async with asyncio.timeout(40):
        while not await condition():  # noqa: ASYNC110 - of another process, which sets no event here
            await asyncio.sleep(0.02)


async def held(store: PostgresStore, duty: str) -> None:
    """Returns when it holds the duty."""

    async def holds() -> bool:
        return store.holds(duty)

    await until(holds)


async def run(url: str, *statements: str) -> list[Any]:
    """What the last one gives, row by row."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return list(await connection.fetch(statements[-1]))
    finally:
        await connection.close()


async def end_sessions(url: str) -> None:
    """Ends all sessions of the stores."""
    assert await run(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sayso'")


# one order


@pytest.mark.promise("STREAM-1")
async def test_two_processes_append_to_one_order_without_holes(database: str) -> None:
    async with opened(database) as one, opened(database) as other:
        await asyncio.gather(*(put(store, execution_id=f"run-{n % 3}") for n in range(200) for store in (one, other)))

        events = await one.read(None, after=0, limit=1_000)

    assert [event.position for event in events] == list(range(1, 401))
    for run in range(3):
        assert [event.seq for event in events if event.execution_id == f"run-{run}"] == list(
            range(1, 1 + sum(event.execution_id == f"run-{run}" for event in events))
        )


@given(
    texts=st.dictionaries(st.text(max_size=9) | st.just('"seq":0,'), st.booleans()),
    prompt=st.text(min_size=1),
    seq=st.integers(1, 2**53),
)
def test_a_number_put_in_later_makes_the_event_that_was_numbered_at_once(
    texts: dict[str, bool], prompt: str, seq: int
) -> None:
    fact = asked(request(prompt=f'x{prompt}"seq":0,', metadata=dict(texts), context_data=dict(texts)))
    before, after = Event.around_seq(fact)

    assert before + str(seq).encode() + after == Event.of(fact, position=1, seq=seq).data


async def test_what_is_asked_at_once_shares_its_commits(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = list[int]()
    append = Lane.append

    async def counted(self: Lane, columns: list[list[Any]]) -> Any:
        batches.append(len(columns[0]))
        return await append(self, columns)

    monkeypatch.setattr(Lane, "append", counted)
    await asyncio.gather(*(put(store) for _ in range(300)))

    assert sum(batches) == 300
    assert len(batches) <= 5 * LANES


async def test_a_large_batch_is_shared_out_by_its_bytes(store: PostgresStore) -> None:
    large = [request(context="x" * 120_000, execution_id=f"run-{n}") for n in range(150)]
    puts = await asyncio.gather(*(store.put(one, asked(one)) for one in large))

    assert all(one.created for one in puts)


async def test_a_value_that_cannot_be_stored_harms_no_other(store: PostgresStore) -> None:
    pending = [await put(store) for _ in range(3)]
    done = [answered(one, by=by) for one, by in zip(pending, ["key:a", "key:\0", "key:b"], strict=True)]

    outcomes = await asyncio.gather(*(store.settle(one, completed(one)) for one in done), return_exceptions=True)

    assert [isinstance(outcome, StoreFailed) for outcome in outcomes] == [False, True, False]
    assert [(await store.get(one.request_id) or one).is_open for one in pending] == [False, True, False]


# an outage


@pytest.mark.promise("ASK-2")
@pytest.mark.parametrize("committed", [True, False])
async def test_what_an_outage_swallowed_the_word_of_is_known_again(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    append = Lane.append
    failed = asyncio.Event()

    async def cut_off(self: Lane, columns: list[list[Any]]) -> Any:
        if failed.is_set():
            return await append(self, columns)
        failed.set()
        if committed:
            await append(self, columns)
        raise ConnectionResetError

    monkeypatch.setattr(Lane, "append", cut_off)
    new = request()
    stored = await store.put(new, asked(new))
    failed.clear()
    done = answered(new)
    settled = await store.settle(done, completed(done))
    late = answered(new)

    assert stored.created
    assert settled.won
    assert (await store.settle(late, completed(late))).won is False
    assert len(await store.read(None, after=0, limit=9)) == 2


async def test_a_restart_is_a_delay_for_who_asks(tmp_path: Path) -> None:
    del tmp_path
    cluster = Cluster()
    try:
        async with opened(cluster.database()) as store:
            await put(store)
            await asyncio.to_thread(cluster.kill)
            asking = asyncio.gather(*(put(store) for _ in range(5)), store.list(Filter(), limit=9))
            await asyncio.sleep(0.2)  # they find nobody there
            await asyncio.to_thread(cluster.start)
            await asking

            assert [event.position for event in await store.read(None, after=0, limit=9)] == [1, 2, 3, 4, 5, 6]
    finally:
        cluster.close()


async def test_an_outage_that_lasts_is_an_error_that_acknowledges_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database) as store:

        async def refused(*_: object, **__: object) -> Any:
            raise ConnectionRefusedError

        monkeypatch.setattr("sayso.store.postgres.lane.connect", refused)
        monkeypatch.setattr("sayso.store.postgres.connection.limits.OUTAGE", 0.2)
        with pytest.raises(StoreFailed, match="could not be used"):
            await asyncio.wait_for(put(store), 30)
    assert "commit failed" in caplog.text


async def test_a_waiting_write_is_committed_when_the_store_closes(database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    writes = [asyncio.create_task(put(store)) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    with pytest.raises(StoreFailed, match="closed"):
        await put(store)

    async with opened(database) as again:
        assert len(await again.read(None, after=0, limit=99)) == 50


@pytest.mark.parametrize(("lower", "becomes"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
async def test_a_commit_waits_for_the_disk_whatever_the_database_is_told(
    database: str, lower: str, becomes: str
) -> None:
    """Seen by a trigger in the very transaction."""
    async with opened(database):
        pass
    see = "FOR EACH ROW EXECUTE FUNCTION see()"
    await run(
        database,
        f"ALTER ROLE CURRENT_USER IN DATABASE {database.rpartition('/')[2]} SET synchronous_commit = {lower}",
        "CREATE TABLE seen (value text)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
        f"CREATE TRIGGER see AFTER INSERT ON sayso.events {see}",
        f"CREATE TRIGGER see AFTER INSERT ON sayso.resumes {see}",
    )
    async with opened(database) as store:
        one = await put(store)
        await store.keep(one.execution_id, one.request_id, b"kept", one.created_at)

    assert [row["value"] for row in await run(database, "SELECT value FROM seen")] == [becomes, becomes]


# news


@pytest.mark.promise("STREAM-1")
async def test_another_process_is_told_at_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_POLL", 3_600)
    async with opened(database) as one, opened(database) as other:
        heard = Hints(other)
        await put(one, execution_id="run-7")

        assert await heard.next() == {"run-7": None}


@pytest.mark.promise("STREAM-1")
async def test_what_nobody_told_is_found_by_looking(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "written", lambda *_: [])
    async with opened(database) as one, opened(database) as other:
        heard = Hints(other)
        await put(one, execution_id="run-7")

        assert await heard.next() == {"run-7": None}


async def test_a_look_wakes_nobody_for_what_was_told(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_POLL", 3_600)
    async with opened(database) as one, opened(database) as other:
        heard = Hints(other)
        await put(one, execution_id="run-7")
        assert await heard.next() == {"run-7": None}

        for store in (one, other):
            assert store._watcher is not None
            await store._watcher._look()
        await put(one, execution_id="run-8")

        assert await heard.next() == {"run-8": None}


async def test_a_lost_connection_wakes_everyone(database: str) -> None:
    async with opened(database) as store:
        heard = Hints(store)
        await end_sessions(database)

        assert await heard.next() is None


@given(node=st.integers(1, 2**31 - 1), came=st.dictionaries(IDS, st.integers(1, 2**63 - 1), max_size=60))
def test_a_notification_says_who_and_how_far(node: int, came: dict[str, int]) -> None:
    heard: dict[str, int] = {}
    for payload in hints.written(node, came):
        assert len(payload.encode()) < 8_000
        who, said = hints.read(payload)
        assert who == node
        assert said is not None
        heard |= said

    assert heard == came


def test_many_executions_are_told_as_any() -> None:
    (payload,) = hints.written(7, {f"run-{number:0>90}": number for number in range(1_000)})

    assert hints.read(payload) == (7, None)


@given(st.text())
def test_any_notification_is_read(payload: str) -> None:
    hints.read(payload)


# duties


async def test_one_process_has_a_duty_and_another_when_it_ends(database: str) -> None:
    async with opened(database) as one:
        await held(one, "work")
        async with opened(database) as other:
            assert not other.holds("work")
            await other.read(None, after=0, limit=1)
            await one.close()
            await held(other, "work")


async def test_different_duties_may_be_of_different_processes(database: str) -> None:
    async with opened(database) as one, opened(database) as other:
        await held(one, "work")
        await held(other, "other work")
        assert not other.holds("work")


async def test_a_process_that_is_not_heard_of_loses_its_duties(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "IDLE", 1)
    monkeypatch.setattr(watcher, "_POLL", 0.2)
    monkeypatch.setattr(watcher, "_ANSWER", 0.3)
    async with opened(database) as frozen, opened(database) as other:
        await held(frozen, "work")
        assert frozen._watcher is not None
        for task in frozen._watcher._tasks:  # it stands still: its connection is there, and nothing comes over it
            task.cancel()
        assert not other.holds("work")

        await held(other, "work")
        assert not frozen.holds("work")


async def test_what_a_gone_process_asked_for_itself_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sayso.store.postgres.gone.AFTER", 0.2)
    async with opened(database) as other:
        async with opened(database) as gone:
            orphan = await put(gone, durable=False)
            await put(gone, durable=True)
            await put(other, durable=False)
            await asyncio.sleep(0.3)
            assert await other.orphans(9) == []
            assert await other.orphans(9) == []

        async def is_found() -> bool:
            return list(await other.orphans(9)) == [orphan]

        await until(is_found)
        done = answered(orphan)
        await other.settle(done, completed(done))
        assert await other.orphans(9) == []


async def test_without_a_session_nobody_is_taken_for_gone(
    pgbouncer: Any, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sayso.store.postgres.gone.AFTER", 0.0)
    pooled = f"{pgbouncer.url(database)}?pgbouncer=true"
    async with opened(pooled) as one, opened(pooled) as other, opened(database) as third:
        await put(one, durable=False)

        assert [await store.orphans(9) for store in (one, other, third)] == [[], [], []]
        assert one.holds("work")
        assert other.holds("work")


def test_a_process_is_gone_only_after_a_while_without_its_lock() -> None:
    gone = Gone()

    assert gone.seen([1, 2], 100.0) == []
    assert gone.seen([1], 100.0 + AFTER) == [1]
    assert gone.seen([1, 2], 101.0 + AFTER) == [1]  # the other one had come back


# opening


async def test_many_open_a_new_database_at_once(database: str) -> None:
    stores = [PostgresStore(database) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))

    async with opened(database) as store:
        assert (await put(store)).is_open


async def test_a_newer_schema_is_used_until_it_says_that_it_may_not_be(database: str) -> None:
    """So that servers of two versions run side by side while one after the other is upgraded."""
    async with opened(database):
        pass
    newer = migrations("postgres")[-1][0] + 1
    raise_to = f"UPDATE sayso.meta SET value = '{newer}' WHERE key = "  # noqa: S608 - a number
    await run(database, f"{raise_to} 'schema_version'")
    async with opened(database) as store:
        await put(store)
    await run(database, f"{raise_to} 'readable_from'")

    with pytest.raises(StoreTooNew, match="upgrade this one"):
        await PostgresStore(database).open()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("/sayso_", "/nowhere_"), "does not exist"),
        (("sayso:", "sayso:x"), "password authentication failed"),
        (("127.0.0.1", "127.0.0.1:1@127.0.0.1"), "does not let us in|authentication"),
    ],
    ids=["no-database", "password", "at-sign"],
)
async def test_a_database_that_lets_nobody_in_is_a_setting_to_correct(
    database: str, wrong: tuple[str, str], says: str
) -> None:
    password = database.split(":")[2].partition("@")[0]
    with pytest.raises(Misconfigured, match=says) as refused:
        await PostgresStore(database.replace(*wrong)).open()

    assert password not in str(refused.value)


async def test_who_may_not_make_the_tables_is_told_so(cluster: Cluster, database: str) -> None:
    cluster.sql(f"ALTER DATABASE {database.rpartition('/')[2]} OWNER TO postgres")

    with pytest.raises(
        Misconfigured, match=r"permission denied for database .*; the first start, and each start after"
    ):
        await PostgresStore(database).open()


async def test_nobody_there_is_an_error_that_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sayso.store.postgres.connection.limits.OUTAGE", 0.2)
    with pytest.raises(StoreFailed, match=r"postgresql://127\.0\.0\.1:1/db cannot be reached") as refused:
        await PostgresStore("postgresql://someone:secret@127.0.0.1:1/db").open()

    assert "secret" not in str(refused.value)


async def test_a_disk_that_may_lose_what_it_acknowledged_is_told(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "sayso"):
        async with opened(database):
            pass

    assert "has fsync off" in caplog.text  # these tests' own


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:p@h:5/d", Address("postgresql://u:p@h:5/d", is_pooled=False, direct=None, shown="postgresql://h:5/d")),
        ("postgres://h/d?sslmode=require", Address("postgres://h/d?sslmode=require", is_pooled=False, direct=None, shown="postgresql://h/d")),
        (
            "postgresql://u:p@h:6/d?pgbouncer=true&direct=db:5&ssl=true",
            Address("postgresql://u:p@h:6/d?ssl=true", is_pooled=True, direct="postgresql://u:p@db:5/d?ssl=true", shown="postgresql://h:6/d"),
        ),
        ("postgresql://u:p@a:1,b:2/d", Address("postgresql://u:p@a:1,b:2/d", is_pooled=False, direct=None, shown="postgresql://a:1,b:2/d")),
    ],
)  # fmt: skip
def test_a_url_says_how_the_database_is_reached(url: str, address: Address) -> None:
    assert Address.of(url) == address


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:secret@h:port/d", "postgresql://u:secret@h/d?pgbouncer", "postgresql://u:secret@h/d?direct=db:5",
     "postgresql://u:secret@h/d?pgbouncer=1", "mysql://u:secret@h/d", "postgresql://u:secret@[h/d",
     "postgresql://u:1/secret@h/d", "postgresql://u:1?secret@h/d", "postgresql://u:1#secret@h/d",
     "postgresql://u:secret@h/d?a=\udc80"],
)  # fmt: skip
def test_a_url_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        Address.of(url)

    assert "secret" not in str(refused.value)


def test_every_statement_has_a_name_and_a_use() -> None:
    code = "".join(file.read_text() for file in Path(str(files("sayso.store.postgres"))).glob("*.py"))

    assert set(queries("postgres")) == {name for name in queries("postgres") if re.search(rf'"{name}"', code)}


# a fail-over that lost the end of the log

GO_BACK = """
DELETE FROM sayso.events WHERE position > 1;
DELETE FROM sayso.requests WHERE position > 1;
UPDATE sayso.streams SET last_seq = 1, pending = 1;
UPDATE sayso.feed SET position = 1
"""
OTHERS = """
INSERT INTO sayso.events
SELECT n + 1, 'run-2', n, 'new-' || n, 'human_input_required', 'new-' || n, '{}' FROM generate_series(1, 3) AS n;
UPDATE sayso.feed SET position = 4
"""


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("stream", [None, "run-1"])
@pytest.mark.parametrize("written_since", [False, True])
async def test_a_follower_is_told_when_the_log_goes_back(
    database: str, stream: str | None, *, written_since: bool
) -> None:
    """Its place would lie beyond the end, or in the middle of other events, and what comes next pass it by."""
    gateway = Gateway(PostgresStore(database))
    question = Question(execution_id="run-1", prompt="Ship it?")
    async with gateway.running():
        kept, _ = await gateway.ask(question, by="key:a", durable=True)
        for _ in range(2):
            await gateway.ask(question, by="key:a", durable=True)
        place = (await gateway.read((await gateway.start(stream, kept.asked_event_id)).place)).place
        waiting = asyncio.create_task(gateway.read(place, wait=60))
        await asyncio.sleep(0)
        await run(
            database,
            f"BEGIN; {GO_BACK}; {OTHERS if written_since else ''}; COMMIT",
            "SELECT 1",
        )

        told = await asyncio.wait_for(waiting, 30)

        assert told.reset is not None
        assert told.reset.reason == "unknown-cursor"
        assert [request.request_id for request in told.reset.requests] == [kept.request_id]
        assert (await gateway.read(told.place)).reset is None
