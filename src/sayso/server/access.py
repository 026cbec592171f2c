"""How the server's routes reach the gateway, which may live on another loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from starlette.requests import HTTPConnection

from sayso import limits
from sayso.gateway import Batch, Gateway, Place
from sayso.server.caller import Caller, caller_of
from sayso.server.permitted import Permitted

T = TypeVar("T")


class Access(Protocol):
    """A way to the gateway."""

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway. Raises Unavailable while there is none."""


@dataclass(frozen=True)
class CallersAccess:
    """The way of one caller: to no more of the gateway than it may use."""

    access: Access
    caller: Caller

    async def call(self, use: Callable[[Permitted], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway. Raises Unavailable, and what `Permitted` does."""
        return await self.access.call(lambda gateway: use(Permitted(gateway, self.caller)))


def access_of(connection: HTTPConnection, access: Access) -> CallersAccess:
    """The way of whoever makes this call."""
    return CallersAccess(access, caller_of(connection))


async def begin(access: CallersAccess, execution_id: str | None, last_event_id: str | None) -> Batch:
    """Where a follower of an execution (None: of all) begins; see `Gateway.start`."""
    return await access.call(lambda gateway: gateway.begin(execution_id, last_event_id))


async def follow(access: CallersAccess, batch: Batch) -> AsyncGenerator[Batch]:
    """The stream from where `begin` put it: batches as they come, an empty one after each quiet `limits.HEARTBEAT`.

    The last one is `ended`. Raises Unauthorised when the caller's key ends; Unavailable when the store fails, and the
    client can resume.
    """
    if batch.reset:
        yield batch
    while not batch.ended:
        batch = await _read_on(access, batch.place)
        yield batch


async def _read_on(access: CallersAccess, place: Place) -> Batch:
    return await access.call(lambda gateway: gateway.read(place, wait=limits.HEARTBEAT))
