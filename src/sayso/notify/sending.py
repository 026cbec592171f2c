"""The seam to what carries a delivery: a webhook, and whatever comes later."""

from __future__ import annotations

from typing import Protocol

from sayso.wire import Event


class NotDelivered(Exception):
    """It did not arrive, as far as is known. `detail` is shown to operators: no secret, nothing that a receiver wrote.

    `retry_after`: seconds for which the receiver wants to be left alone.
    """

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class Refused(NotDelivered):
    """The receiver wants no more, ever."""


class Carrier(Protocol):
    """Delivers events to one target; called by one task or by several at once."""

    @property
    def target(self) -> str:
        """Where to, as an operator may see it."""

    async def send(self, event: Event) -> None:
        """Returns once the receiver has it; again, it is the same under the same id. Bounded in time and memory.

        Raises NotDelivered. Safe to cancel.
        """

    async def close(self) -> None:
        """Lets go of connections."""
