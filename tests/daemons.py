"""Programs that the tests start beside them (PostgreSQL, PgBouncer): each in a folder of its own, as a user who is not
root, and gone when the tests are, however these end."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

_NOBODY: Final = 65_534
"""Whom root runs them as: PostgreSQL and PgBouncer refuse to be root's."""
_chance: Final = random.SystemRandom()  # not one that a test's seed repeats
_PATIENCE: Final = 60.0
"""Seconds in which whatever is started is ready, on a machine that has much else to do."""
_WATCHER: Final = """
cat >/dev/null  # until the tests let go of the other end, or are dead
living() { for one in /proc/[0-9]*; do
    case "$(readlink "$one/cwd" 2>/dev/null)/" in "$1"/*) echo "${one#/proc/}";; esac
done; }
for signal in QUIT QUIT QUIT QUIT KILL KILL KILL; do
    processes=$(living "$1")
    [ -z "$processes" ] && break
    kill -CONT $processes 2>/dev/null
    kill -$signal $processes 2>/dev/null
    for turn in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(living "$1")" ] && break; sleep 0.05; done
done
memory=$(sed -n 's/^ *[0-9][0-9]*  *\\([0-9][0-9]*\\)$/\\1/p' "$1/data/postmaster.pid" 2>/dev/null)
[ -z "$memory" ] || ipcrm -m "$memory" 2>/dev/null  # what a PostgreSQL leaves that was killed
rm -rf "$1"
"""
"""A process beside the tests: ends whatever lives in the folder, and removes that."""


class Home:
    """A folder that is the programs' own, under a path that they reach: not among the tests' folders, which are closed
    to everybody else, as root's home is."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"sayso-{name}-")).resolve()
        self.as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(self.folder, _NOBODY, _NOBODY)
            self.as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self._watcher = subprocess.Popen(
            ["sh", "-c", _WATCHER, "sh", str(self.folder)], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
        )

    def write(self, name: str, text: str) -> Path:
        """A file that the programs may read, and nobody else."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self.as_user:
            os.chown(path, _NOBODY, _NOBODY)
        return path

    def run(self, *command: str | Path, **environment: str) -> str:
        """Runs `command` to its end; gives its output. Raises RuntimeError with what it said."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=_plain(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
            **self.as_user,
        )
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(
        self, *command: str | Path, is_ready: Callable[[int], bool], **environment: str
    ) -> subprocess.Popen[bytes]:
        """Starts `command`, and returns when it (its process is given) is ready. Raises RuntimeError with its log."""
        log = self.folder / f"{Path(command[0]).name}.log"
        with log.open("ab") as said:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=_plain(environment),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # a Ctrl-C is not for it
                **self.as_user,
            )
        until = time.monotonic() + _PATIENCE
        while not is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                process.wait()
                raise RuntimeError(f"{Path(command[0]).name} did not start:\n{log.read_text()[-4_000:]}")
            time.sleep(0.01)
        return process

    def close(self) -> None:
        """Ends whatever lives here, and removes the folder."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(_PATIENCE)


def _plain(environment: dict[str, str]) -> dict[str, str]:
    """What a program gets: nothing of PostgreSQL's variables (PGHOST, …) that whoever runs the tests has set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | environment


def free_port() -> int:
    """One that stays free while its server is away: of those that no connection is given by chance, and, where several
    processes run the tests side by side, of this one's."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + 1_000 * (worker % 12)  # below what Linux gives away
    for port in _chance.sample(range(first, first + 1_000), 1_000):
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {first} to {first + 999} is free on 127.0.0.1")


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
