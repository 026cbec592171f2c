"""A server that runs, on a core of its own: from its start to its end, what it uses, and when it has come to rest."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

import psutil

from bench.harness.built import BENCH
from bench.harness.client import Failed
from bench.harness.servers import Plan

_START: Final = 30.0
_REST: Final = 20.0
_STOP: Final = 3.0
_STEP: Final = 0.05
_IDLE: Final = 0.05
"""Share of a core below which a server is at rest: it has let go of those who left."""


class Running:
    def __init__(self, plan: Plan, process: subprocess.Popen[bytes]) -> None:
        self.plan = plan
        self._process = psutil.Process(process.pid)

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def processes(self) -> list[int]:
        return [one.pid for one in self._all()]

    def processor_time(self) -> float:
        """Seconds."""
        times = [one.cpu_times() for one in self._all()]
        return float(sum(one.user + one.system for one in times))

    def memory(self) -> int:
        """Bytes that it has in memory, of its own or shared."""
        return int(sum(one.memory_info().rss for one in self._all()))

    def rest(self) -> None:
        """Returns when it does nothing any more, or after a while."""
        until = time.monotonic() + _REST
        while time.monotonic() < until:
            before = self.processor_time()
            time.sleep(2 * _STEP)
            if self.processor_time() - before <= 2 * _STEP * _IDLE:
                return


def is_free(port: int) -> bool:
    """Whether a server can listen there."""
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(plan: Plan, port: int, core: int) -> Iterator[Running]:
    """The server while entered; it listens on `port`. Raises Failed."""
    command = ["taskset", "-c", str(core), *plan.command]
    environment = os.environ | {"PYTHONPATH": str(BENCH.parent)} | plan.environment
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - one of ours
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        ) as process,
    ):
        try:
            _wait_for(process, port, said)
            yield Running(plan, process)
        finally:
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(process: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    until = time.monotonic() + _START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if process.poll() is not None:
                said.seek(0)
                raise Failed(f"{process.args!r} ended: {said.read().decode(errors='replace')[-2_000:]}") from None
            if time.monotonic() > until:
                raise Failed(f"{process.args!r} does not listen") from None
            time.sleep(_STEP)
        else:
            return
