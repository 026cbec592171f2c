"""The commands as a test runs them: in this process against a real server, and at a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from sayso import Client, HumanInputServer, Request
from sayso.cli import main
from tests.builders import question
from tests.conftest import KEY
from tests.runtime.programs import SAYSO

HOSTILE = "\x1b[31mred\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\\x9b32m\u202ereversed\u2066\x07\rover\nbelow"
"""Colours, a link, an 8-bit CSI, marks that reverse the order of reading, a bell, a return and a new line."""
FORBIDDEN = ("\x1b[31m", "\x1b]", "\x9b", "\u202e", "\u2066", "\x07", "\rover")
"""What of `HOSTILE` a terminal must never get."""

Run = Callable[..., Result]


@pytest.fixture
def sayso(server: HumanInputServer) -> Run:
    """Runs a command against the server, with no terminal. `env`: further variables; None takes one away."""

    def run(*arguments: str, input: str | None = None, env: dict[str, str | None] | None = None) -> Result:
        settings = {"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY, "COLUMNS": "120"} | (env or {})
        result = CliRunner().invoke(main, arguments, input=input, env=settings, prog_name="sayso")
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return run


@pytest.fixture
def person(server: HumanInputServer) -> Iterator[Client]:
    with Client(server.url, KEY) as client:
        yield client


@pytest.fixture
def put(person: Client) -> Callable[..., Request]:
    """Asks; gives the stored request."""
    return lambda **members: person.ask(question(**members))


def lines(output: str) -> list[dict[str, Any]]:
    """JSON, one object a line."""
    return [json.loads(one) for one in output.splitlines()]


class AtTerminal:
    """`sayso` at a terminal of its own, 100 columns wide, and the fingers of a person."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._fd, other = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        self._process = subprocess.Popen(
            [SAYSO, *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), other),
            start_new_session=True,
            env=kept | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "50"} | environment,
        )
        os.close(other)
        self.output = ""
        self._read = b""
        self._told = 0

    def until(self, text: str) -> Self:
        """Reads until `text` comes, after what was waited for before."""
        while (found := self.output.find(text, self._told)) < 0:
            assert self._more(), f"it ended without saying {text!r}:\n{self.output}"
        self._told = found + len(text)
        return self

    def type(self, text: str) -> Self:
        os.write(self._fd, f"{text}\n".encode())
        return self

    def end(self) -> int:
        """The exit code, once it has ended by itself."""
        while self._more():
            pass
        return self._process.wait(30)

    def _more(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], 10)
        assert ready, f"it says nothing more:\n{self.output}"
        try:
            data = os.read(self._fd, 65_536)
        except OSError:  # how Linux says that the other side is closed
            data = b""
        self._read += data
        self.output = self._read.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        os.close(self._fd)


@pytest.fixture
def terminal(server: HumanInputServer) -> Iterator[Callable[..., AtTerminal]]:
    """Runs a command at a terminal of its own, against the server."""
    started: list[AtTerminal] = []

    def start(*arguments: str, **environment: str) -> AtTerminal:
        started.append(AtTerminal(*arguments, **{"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY} | environment))
        return started[-1]

    yield start
    for one in started:
        one.close()
