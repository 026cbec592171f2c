"""The commands as a test runs them: in this process against a real server, and at a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, TCPServer
from typing import Any, Self

import pytest
from click.testing import CliRunner, Result

from sayso import Client, HumanInputServer, Request
from sayso.cli import connection, main
from tests.builders import question
from tests.client.relay import Relay, free_port
from tests.conftest import KEY
from tests.runtime.programs import SAYSO

HOSTILE = "\x1b[31mred\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\\x9b32m\u202ereversed\u2066\x07\rover\nbelow"
"""Colours, a link, an 8-bit CSI, marks that reverse the order of reading, a bell, a return and a new line."""
FORBIDDEN = ("\x1b[31m", "\x1b]", "\x9b", "\u202e", "\u2066", "\x07", "\rover")
"""What of `HOSTILE` a terminal must never get."""

SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'

Run = Callable[..., Result]
Put = Callable[..., Request]
Serve = Callable[..., HumanInputServer]


def runner(**settings: str) -> Run:
    """Runs a command with no terminal. `env`: further variables; None takes one away."""

    def run(*arguments: str, input: str | bytes | None = None, env: dict[str, str | None] | None = None) -> Result:
        result = CliRunner().invoke(
            main, arguments, input=input, env={"COLUMNS": "120"} | settings | (env or {}), prog_name="sayso"
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return run


@pytest.fixture
def sayso(server: HumanInputServer) -> Run:
    """Runs a command against the server."""
    return runner(SAYSO_URL=server.url, SAYSO_API_KEY=KEY)


@pytest.fixture
def alone(impatient: None) -> Run:
    """Runs a command where there is no server: what ends with anything but 1 has not needed one."""
    return runner(SAYSO_URL=f"http://127.0.0.1:{free_port()}", SAYSO_API_KEY=KEY)


@pytest.fixture
def person(server: HumanInputServer) -> Iterator[Client]:
    with Client(server.url, KEY) as client:
        yield client


@pytest.fixture
def put(person: Client) -> Callable[..., Request]:
    """Asks; gives the stored request."""
    return lambda **members: person.ask(question(**members))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands try an unreachable server once."""
    monkeypatch.setattr(connection, "_PATIENCE", 0.0)


def settings_of(server: HumanInputServer) -> dict[str, str]:
    """For a program of its own; without unbuffered output, which would hide what is not flushed."""
    return {"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY, "PYTHONUNBUFFERED": ""}


@contextmanager
def listening(server: TCPServer) -> Iterator[str]:
    """The address of something that is no sayso server."""
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def web_page(status: int, body: bytes = b"<h1>It works!</h1>") -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Page


class Mute(BaseRequestHandler):
    """Takes the call and hangs up."""

    def handle(self) -> None:
        self.request.recv(1)


def lines(output: str) -> list[dict[str, Any]]:
    """JSON, one object a line."""
    return [json.loads(one) for one in output.splitlines()]


def answered(person: Client, request: Request) -> dict[str, Any]:
    """What was answered, without what was left out."""
    settled = person.get(request.request_id)
    assert settled.answer is not None, settled
    members = {name: getattr(settled.answer, name) for name in ("decision", "text", "option_ids", "values", "edited")}
    return {name: value for name, value in members.items() if value not in (None, ())}


def is_waited_for(relay: Relay) -> bool:
    """Whether a call that waits for an outcome has come by."""
    return any(call.startswith("GET /requests/") for call in relay.calls)


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


Terminal = Callable[..., AtTerminal]


@pytest.fixture
def terminal(server: HumanInputServer) -> Iterator[Terminal]:
    """Runs a command at a terminal of its own, against the server."""
    started: list[AtTerminal] = []

    def start(*arguments: str, **environment: str) -> AtTerminal:
        started.append(AtTerminal(*arguments, **{"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY} | environment))
        return started[-1]

    yield start
    for one in started:
        one.close()
