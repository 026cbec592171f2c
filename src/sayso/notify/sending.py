"""The seam to what carries a delivery: a webhook, and whatever comes later; and what that may use of its server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from sayso.clock import Clock
from sayso.errors import Misconfigured
from sayso.model import Request
from sayso.wire import Event


class Surroundings(NamedTuple):
    """What a carrier may use of the server it is in. `request`: by its id; None for one that is not there (any more).

    `link`: the token of an answer link to a request, for its owner, until then. `public_url`: where people reach the
    server; None where nobody has said so.
    """

    clock: Clock
    request: Callable[[str], Awaitable[Request | None]]
    link: Callable[[str, str, datetime], Awaitable[str]]
    public_url: str | None = None

    def address(self, path: str) -> str:
        """`path` as people reach it. Raises Misconfigured where nobody has said how."""
        if self.public_url is None:
            raise Misconfigured("it sends links, so say where people reach this server: --public-url https://…")
        return f"{self.public_url}{path}"


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
