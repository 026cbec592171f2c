"""A server that asks for real crews, people who answer, and a console that nobody may touch."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest
from crewai.core.providers import human_input

from sayso import HumanInputServer
from sayso.adapters.crewai.install import _places
from tests.crewai.person import LONGEST, Decide, Person


class Console:
    """Stands in for the terminal. Refuses every read, and remembers it, until lines are fed to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.reads = 0
        self.refused = 0

    def feed(self, *lines: str) -> None:
        self.lines.extend(lines)

    def input(self, prompt: object = "") -> str:
        if not self.lines:
            self.refused += 1
            raise AssertionError("the console was asked")
        self.reads += 1
        return self.lines.pop(0)

    async def read_line(self) -> str:
        return self.input()


class _Closed(io.TextIOBase):
    """A standard input that cannot be read in any way."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def read(self, size: int | None = -1, /) -> str:
        return self._console.input()

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # narrower than typeshed's
        return self._console.input()


@pytest.fixture(autouse=True)
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A test fails that reads from the console more than was fed to it, also where crewAI swallows the error."""
    console = Console()
    monkeypatch.setattr(builtins, "input", console.input)
    monkeypatch.setattr(sys, "stdin", _Closed(console))
    monkeypatch.setattr(human_input, "_async_readline", console.read_line)
    yield console
    assert console.refused == 0, "the console was asked"


@pytest.fixture(autouse=True)
def own_context() -> Iterator[None]:
    """Each test begins as a program does: without the provider that an earlier one left in this thread's context."""
    human_input._provider.set(None)
    _places._owners.clear()  # servers that other tests made and never started
    _places.put_or_take_out()
    yield
    human_input._provider.set(None)


@pytest.fixture
def server(serve: Callable[..., HumanInputServer]) -> Iterator[HumanInputServer]:
    """Asks for every crew of this process; stopped when a test takes far too long, so that no crew waits for ever."""
    server = serve(adapters=True)
    guard = threading.Timer(12 * LONGEST, server.stop)
    guard.start()
    yield server
    guard.cancel()


@pytest.fixture
def person(server: HumanInputServer) -> Iterator[Callable[..., Person]]:
    """Makes people who follow the server and answer by a script, until the test ends."""
    with ExitStack() as people:

        def follow(decide: Decide, **settings: Any) -> Person:
            return people.enter_context(Person(server.url, decide, gone=server.stop, **settings))

        yield follow


@pytest.fixture
def aside() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a function in a plain thread of its own; its result or error is in the future."""
    threads: list[threading.Thread] = []

    def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as exc:  # whoever takes the result gets it
                future.set_exception(exc)

        thread = threading.Thread(target=work, daemon=True)
        threads.append(thread)
        thread.start()
        return future

    yield run
    for thread in threads:
        thread.join(LONGEST)
