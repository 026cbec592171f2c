"""The load client, on a core of its own; see `bench/load/load.c` for what it does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 240.0
"""Seconds after which a run has failed."""
Options = Mapping[str, str | int | float | bool]


class Failed(Exception):
    """A run that went wrong: an event was missed, came broken or twice, or a server did not answer."""


class Client:
    def __init__(self, program: Path, core: int) -> None:
        self._command = ["taskset", "-c", str(core), str(program)]

    def run(self, what: str, options: Options) -> dict[str, Any]:
        """What the client prints. Raises Failed."""
        command = [*self._command, what, *_written(options)]
        try:
            done = subprocess.run(  # noqa: S603 - our own
                command, check=False, capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"no end after {PATIENCE:.0f} s: {' '.join(command)}") from None
        if done.returncode:
            raise Failed(f"{done.stderr.strip()}\n  of {' '.join(command)}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    @contextmanager
    def holding(self, options: Options) -> Iterator[dict[str, Any]]:
        """Followers that stay while entered. Raises Failed."""
        command = [*self._command, "hold", *_written(options)]
        with subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            assert client.stdin and client.stdout and client.stderr
            line = client.stdout.readline()
            if not line:
                raise Failed(f"{client.stderr.read().strip()}\n  of {' '.join(command)}")
            try:
                yield json.loads(line)
            finally:
                client.stdin.close()


def _written(options: Options) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        if value is not False:
            words += [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)]
    return words
