"""Which processes are gone: each holds a lock of PostgreSQL's while it lives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

AFTER: Final = 45.0
"""Seconds without its lock after which a process counts as gone: a restart of the database frees every lock, and all
come back within a few seconds."""


class Gone:
    """Remembers since when processes have been without their lock."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def seen(self, without_lock: Iterable[int], now: float) -> list[int]:
        """Those of these that are gone at `now`, in seconds of a clock that only grows."""
        self._since = {node: self._since.get(node, now) for node in without_lock}
        return [node for node, since in self._since.items() if now - since >= AFTER]
