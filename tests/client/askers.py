"""Askers of servers elsewhere, with an end: a program's own live as long as it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sayso.client import RemoteAsker, connect

Connect = Callable[..., RemoteAsker]


@contextmanager
def connecting() -> Iterator[Connect]:
    """`sayso.connect`; what waits still is given up on leaving, and the connections are closed."""
    made: list[RemoteAsker] = []

    def make(url: str, api_key: str | None = None) -> RemoteAsker:
        made.append(connect(url, api_key=api_key))
        return made[-1]

    try:
        yield make
    finally:
        for asker in made:
            asker.close()
