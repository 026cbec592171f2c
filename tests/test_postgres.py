"""The PostgreSQL that tests stand on: whoever runs it, it keeps what it should, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.daemons import Home
from tests.pgbouncer import PgBouncer
from tests.postgres import USER, Cluster, _programs
from tests.runtime.programs import Program, program

ROOT = Path(__file__).parents[1]
_WHO = ["whoever runs this", "a plain user"] if os.geteuid() == 0 else ["whoever runs this"]
_PROGRAM = """
import os, signal, sys
from tests.postgres import Cluster
if sys.argv[1] == "a plain user":
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
cluster = Cluster()
print("started in", cluster.home.folder, cluster.sql("SELECT 6 * 7", cluster.database()), flush=True)
signal.pause()
"""


@asynccontextmanager
async def elsewhere(who: str) -> AsyncIterator[tuple[Program, Path]]:
    """A cluster of another process, and its folder."""
    async with program(sys.executable, "-c", _PROGRAM, who, PYTHONPATH=str(ROOT)) as other:
        line = await other.line("started in")
        assert "['42']" in line
        yield other, Path(line.split()[2])


def alive_in(folder: Path) -> list[psutil.Process]:
    """Processes that live there."""
    found = []
    for one in psutil.process_iter():
        try:
            if Path(one.cwd()).is_relative_to(folder):
                found.append(one)
        except (psutil.Error, OSError):
            continue
    return found


async def gone(folder: Path) -> None:
    """Returns once nothing is left of what lived there."""
    async with asyncio.timeout(30):
        # They are nobody's children any more: nothing says when they end.
        while folder.exists() or alive_in(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("who", _WHO)
async def test_it_runs_and_when_the_tests_are_killed_nothing_is_left_of_it(who: str) -> None:
    async with elsewhere(who) as (other, folder):
        assert len(alive_in(folder)) > 3
        assert (folder / "data").stat().st_uid != 0

        other.send(signal.SIGKILL)

        await gone(folder)


async def test_one_whose_processes_were_killed_or_stopped_is_removed_too() -> None:
    killed, stopped = await asyncio.gather(asyncio.to_thread(Cluster), asyncio.to_thread(Cluster))
    killed.kill()
    os.kill(alive_in(stopped.home.folder)[0].pid, signal.SIGSTOP)

    for cluster in (killed, stopped):
        await asyncio.to_thread(cluster.close)

        assert not cluster.home.folder.exists()
        assert alive_in(cluster.home.folder) == []


def test_its_programs_may_lie_where_only_root_goes(tmp_path: Path) -> None:
    (closed := tmp_path / "closed").mkdir(mode=0o700)
    package = _programs().parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        (closed / folder.name).symlink_to(folder)
    cluster = Cluster(programs=closed / package.name / "pginstall" / "bin")
    try:
        assert cluster.sql("SHOW data_checksums") == ["on"]
    finally:
        cluster.close()


@pytest.fixture
def durable() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


async def test_what_was_committed_outlives_a_kill_and_a_stop_at_the_same_address(durable: Cluster) -> None:
    url = durable.database()
    for number, end in enumerate([durable.kill, durable.stop, durable.kill]):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE IF NOT EXISTS facts (number integer)")
        await connection.execute("INSERT INTO facts VALUES ($1)", number)
        end()
        assert alive_in(durable.home.folder) == []
        durable.start()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.execute("INSERT INTO facts VALUES (-1)")
        connection.terminate()

    assert durable.sql("SELECT number FROM facts ORDER BY 1", url) == ["0", "1", "2"]
    assert durable.sql("SHOW fsync") == ["on"]


def test_what_it_says_when_it_does_not_start_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)postgres did not start:.*no_such_setting"):
        Cluster(no_such_setting="1")


def test_what_a_program_says_that_fails_is_told() -> None:
    home = Home("failing")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)sh failed:.*it is so"):
            home.run("sh", "-c", "echo it is so >&2; exit 3")
    finally:
        home.close()


async def test_each_database_is_new_and_its_owner_is_nobody_special(cluster: Cluster) -> None:
    one, two = cluster.database(), cluster.database()
    for url in (one, two):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE facts (number integer)")
        assert await connection.fetchval("SELECT current_user") == USER
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE ROLE other")
        await connection.close()
        cluster.drop(url)


async def test_without_the_password_nobody_gets_in(cluster: Cluster) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(cluster.url().replace(cluster.password, "guess"))


async def test_pgbouncer_gives_a_connection_for_a_transaction(pgbouncer: PgBouncer, database: str) -> None:
    connections = [await asyncpg.connect(pgbouncer.url(database), statement_cache_size=0) for _ in range(30)]

    pids = {await connection.fetchval("SELECT pg_backend_pid()") for connection in connections}

    assert len(pids) < 30
    for connection in connections:
        await connection.close()
