"""The hints a store gives after each commit, gathered until somebody reads them. Lives on the store's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable


class Changes:
    """Executions with new events, or None where it might be any; any number of them collapse into one item per read."""

    def __init__(self) -> None:
        self._executions: set[str] = set()
        self._any = False
        self._news = asyncio.Event()
        self._ended = False

    def add(self, *executions: str) -> None:
        self.update(executions)

    def update(self, executions: Iterable[str]) -> None:
        self._executions.update(executions)
        self._news.set()

    def add_any(self) -> None:
        """It is not known what became of a write."""
        self._any = True
        self._news.set()

    def end(self) -> None:
        """What was gathered is still read; then `follow` ends."""
        self._ended = True
        self._news.set()

    async def follow(self) -> AsyncIterator[frozenset[str] | None]:
        """One reader at a time."""
        while not (self._ended and not self._executions and not self._any):
            await self._news.wait()
            self._news.clear()
            if self._executions or self._any:
                executions = None if self._any else frozenset(self._executions)
                self._executions, self._any = set(), False
                yield executions
