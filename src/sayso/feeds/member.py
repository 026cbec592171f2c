"""A follower that is told what a feed hears."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sayso.gateway import Place
from sayso.wire import Event

if TYPE_CHECKING:
    from sayso.feeds.feed import Feed

Encode = Callable[[Sequence[Event]], bytes]
"""How a transport writes events down. One function for all its followers, who share what it gives."""


NEVER: Final = math.inf
"""A position that no event has."""


class Member:
    """A follower in a feed. What is written to it must not come back into the feed's hands, except by `leave`."""

    __slots__ = ("feed", "is_paused", "joined")

    encode: Encode
    """How it wants events written."""

    def __init__(self) -> None:
        self.feed: Feed | None = None
        self.joined: float = NEVER
        """From which position on it is told; infinite while it is in no feed."""
        self.is_paused = False
        """It does not take what it was told."""

    def write(self, data: bytes) -> None:
        """Tells it what `encode` made of events."""
        raise NotImplementedError

    def lag(self, place: Place) -> None:
        """It is out of the feed, and has been told everything up to `place`."""
        raise NotImplementedError

    def end(self) -> None:
        """It is out of the feed, since the server ends its streams."""
        raise NotImplementedError

    def leave(self) -> None:
        """It wants to be told no more. Idempotent."""
        if self.feed is not None:
            self.feed.lose(self)
