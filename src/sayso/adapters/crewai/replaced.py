"""A method of crewAI's that offers no other way in, replaced while somebody is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


class Replaced:
    """`make` gets crewAI's own method and gives the one to stand in for it."""

    def __init__(self, owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._owner = next(kind for kind in owner.__mro__ if name in vars(kind))
        self._name = name
        self._own: Callable[..., Any] = vars(self._owner)[name]
        self._stand_in = wraps(self._own)(make(self._own))

    def put(self) -> None:
        """Leaves a method that someone else has replaced."""
        if vars(self._owner)[self._name] is self._own:
            setattr(self._owner, self._name, self._stand_in)

    def take_out(self) -> None:
        """Leaves a method that someone else has wrapped around ours, which then passes everything through."""
        if vars(self._owner)[self._name] is self._stand_in:
            setattr(self._owner, self._name, self._own)
