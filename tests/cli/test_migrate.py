"""`sayso migrate`: what it says, what may end it, and whoever followed the old server."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from sayso import AsyncClient
from sayso.cli import main
from sayso.cli.migrate import _progress
from sayso.store.postgres import PostgresStore
from sayso.store.sqlite import SQLiteStore
from tests.builders import question
from tests.cli.conftest import AtTerminal
from tests.conftest import KEY
from tests.daemons import free_port
from tests.postgres import Cluster
from tests.runtime.programs import SAYSO, Program, program
from tests.store.filled import filled, put, said_at

PASSWORD = "hunter2-and-more"


@pytest.fixture(scope="module")
def some_thousand_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "old.db"
    asyncio.run(filled(path, requests=1_000))
    return path


@pytest.fixture
def source(some_thousand_rows: Path, tmp_path: Path) -> str:
    """The URL of a store that is the test's own, closed."""
    shutil.copy(some_thousand_rows, tmp_path)
    return f"sqlite:///{tmp_path / 'old.db'}"


def sayso(*arguments: str, **environment: str) -> Result:
    ended = CliRunner().invoke(main, ["migrate", *arguments], env=environment, prog_name="sayso")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), repr(ended.exception)
    return ended


async def run(*arguments: str, **environment: str) -> Result:
    """In a thread: it has a loop of its own."""
    async with asyncio.timeout(60):
        return await asyncio.to_thread(sayso, *arguments, **environment)


async def contents(source: str) -> dict[str, Any]:
    return await said_at(SQLiteStore(Path(source.removeprefix("sqlite:///"))))


async def test_the_command_tells_what_it_moved_and_what_to_do_next(source: str, database: str, tmp_path: Path) -> None:
    (file := tmp_path / "url").write_text(f"{database}\n")
    first, again = await run(source, database), await run(source, SAYSO_STORE_FILE=str(file))

    found = "1003 requests (500 pending) of 9 executions, 1506 events"
    next_steps = (
        "Now start the servers with --store and the URL of the database.\n"
        f"Keep {source} as a backup; start no server on it any more.\n"
    )
    assert (first.exit_code, first.stdout) == (0, f"{found}: moved; checked\n{next_steps}")
    assert (again.exit_code, again.stdout) == (0, f"{found}: moved before; checked\n{next_steps}")
    told = first.stderr.splitlines()
    assert told[0] == "checking the store"
    assert [line for line in told if line.startswith("moving: ")][-1].endswith(" rows")
    assert 5 < len(told) < 25


async def test_the_command_tells_json(source: str, database: str) -> None:
    ended = await run(source, database, "--json")

    assert json.loads(ended.stdout) == {
        "source": source,
        "executions": 9,
        "requests": 1_003,
        "pending": 500,
        "events": 1_506,
        "already": False,
    }


async def test_a_terminal_shows_how_far_it_has_come_in_one_line(source: str, database: str) -> None:
    at = AtTerminal("migrate", source, database)
    try:
        await asyncio.to_thread(at.until, "checking the copy: 2,")
        assert await asyncio.to_thread(at.end) == 0
    finally:
        at.close()
    _, *shown, last = at.output.split(
        "\r\x1b[K"
    )  # first comes a warning: the tests' PostgreSQL does not wait for the disk
    assert all("\n" not in one for one in shown)
    assert shown[0] == "checking the store"
    assert last.startswith("1003 requests")


def test_elsewhere_a_few_lines_tell_it_however_long_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with _progress() as told:
        for done in range(1, 1_001):
            told("moving", done, 1_000)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert (lines[0], lines[-1]) == ("moving: 1 of 1,000 rows", "moving: 1,000 of 1,000 rows")


@pytest.mark.promise("MOVE-1", "MOVE-2")
@pytest.mark.parametrize("said", ["checking the store", "moving", "moving: 2,", "checking the copy"])
async def test_a_move_that_is_killed_is_run_again(source: str, cluster: Cluster, database: str, said: str) -> None:
    before = await contents(source)
    async with program(SAYSO, "migrate", source, database) as running:
        await running.line(said)
        running.send(signal.SIGKILL)
        await running.end()

    again = await run(source, database)

    assert again.exit_code == 0, again.stderr
    assert await said_at(PostgresStore(database)) == before


async def test_ctrl_c_leaves_the_database_as_it_was(source: str, cluster: Cluster, database: str) -> None:
    async with program(SAYSO, "migrate", source, database) as running:
        await running.line("moving")
        running.send(signal.SIGINT)
        code = await running.end()

    assert (code, "Traceback" in running.output) == (130, False)
    assert cluster.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'sayso'", database) == ["0"]


# passwords


@pytest.mark.parametrize(
    "target",
    [
        "postgresql://sayso:{password}@127.0.0.1:{port}/{name}",  # wrong
        "postgresql://sayso:{password}@127.0.0.1:1/{name}",  # nobody there
        "postgresql://sayso:{password}@127.0.0.1:{port}/nowhere?sslmode=maybe",
        "postgresql://sayso:a/{password}@127.0.0.1:{port}/{name}",
        "postgresql://sayso:1/{password}@127.0.0.1:{port}/{name}",
        "postgresql://sayso:1?{password}@127.0.0.1:{port}/{name}",
        "postgresql://sayso:1#{password}@127.0.0.1:{port}/{name}",
        "postgresql://sayso:{password}/1@127.0.0.1:{port}/{name}",
        "postgresql://sayso:[{password}@127.0.0.1:{port}/{name}",
        "mysql://sayso:{password}@127.0.0.1:{port}/{name}",
    ],
)
async def test_no_error_shows_the_password(
    source: str, cluster: Cluster, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    ended = await run(source, target.format(password=PASSWORD, port=cluster.port, name="postgres"))

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert PASSWORD not in ended.stderr + caplog.text
    assert "Error: " in ended.stderr


async def test_nothing_else_shows_the_password_either(
    source: str, cluster: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = PostgresStore(database)
    await store.open()
    await put(store)
    await store.close()

    refused = await run(source, database)
    moved = await run(source, cluster.database(), "--json")

    assert (refused.exit_code, moved.exit_code) == (1, 0)
    assert "is not empty" in refused.stderr
    assert cluster.password not in refused.output + moved.output + caplog.text


async def test_the_password_may_come_from_the_environment(source: str, cluster: Cluster, database: str) -> None:
    ended = await run(source, database.replace(f":{cluster.password}@", "@"), PGPASSWORD=cluster.password)

    assert ended.exit_code == 0, ended.stderr


# whoever was there before


@asynccontextmanager
async def serving(port: int, store: str) -> AsyncIterator[Program]:
    command = (SAYSO, "serve", "--port", str(port), "--store", store)
    async with program(*command, SAYSO_API_KEY=KEY, SAYSO_HOST="127.0.0.1") as server:
        await server.line("listens on")
        yield server


@pytest.mark.promise("MOVE-1", "STREAM-1", "STREAM-2", "SESSION-1")
async def test_whoever_followed_the_old_server_goes_on_at_the_new_one(tmp_path: Path, database: str) -> None:
    """Followers that stay, cursors that were kept, an answer on the way, a session; the old server is killed."""
    port, old = free_port(), f"sqlite:///{tmp_path / 'old.db'}"
    url = f"http://127.0.0.1:{port}"
    told: dict[str | None, list[Any]] = {None: [], "run-1": []}
    news = asyncio.Condition()

    async def follow(client: AsyncClient, execution_id: str | None, after: str | None) -> None:
        async with aclosing(client.follow(execution_id, after=after)) as events:
            async for event in events:
                told[execution_id].append(event)
                async with news:
                    news.notify_all()

    async def until(count: int) -> None:
        async with news:
            await news.wait_for(lambda: len(told[None]) >= count and len(told["run-1"]) >= count // 2)

    async with (
        asyncio.timeout(90),
        AsyncClient(url, KEY) as client,
        httpx.AsyncClient(base_url=url, headers={"Origin": url}) as browser,
        asyncio.TaskGroup() as tasks,
    ):
        async with serving(port, old) as server:
            origin = (await client.page()).cursor
            following = [tasks.create_task(follow(client, one, origin if one is None else None)) for one in told]
            asked = [await client.ask(question(execution_id=f"run-{number % 2}")) for number in range(20)]
            for one in asked[:10]:
                await client.answer(one.request_id, text="yes", answer_id=f"answer-{one.request_id}")
            await until(30)
            assert (await browser.post("/session", json={"key": KEY})).status_code == 200
            server.send(signal.SIGKILL)
            await server.end()
        assert (await run(old, database)).exit_code == 0
        async with serving(port, database):
            again = await client.answer(asked[9].request_id, text="yes", answer_id=f"answer-{asked[9].request_id}")
            for one in asked[10:]:
                await client.answer(one.request_id, text="yes")
            late = await client.ask(question(prompt="late?"))
            await until(41)
            assert not again.is_open
            listed = await browser.get("/requests", headers={"Sec-Fetch-Site": "same-origin"})
            cursors = [event.event_id for event in told[None]]
            left = [await seen(client, cursor) for cursor in (origin, cursors[0], cursors[17], cursors[35])]
        for one in following:
            one.cancel()

    assert [event.event_id for event in told["run-1"]] == [e.event_id for e in told[None] if e.execution_id == "run-1"]
    assert [event.seq for event in told["run-1"]] == list(range(1, 22))
    assert [event.seq for event in told[None] if event.execution_id == "run-0"] == list(range(1, 21))
    assert told[None][-1].request_id == late.request_id
    assert left == [cursors, cursors[1:], cursors[18:], cursors[36:]]
    assert listed.status_code == 200
    assert len(listed.json()["requests"]) == 21


async def seen(client: AsyncClient, cursor: str) -> list[str]:
    """The events after `cursor`, to the last."""
    found: list[str] = []
    async with aclosing(client.follow(after=cursor)) as events:
        async for event in events:
            found.append(event.event_id)
            if getattr(event, "prompt", "") == "late?":
                break
    return found
