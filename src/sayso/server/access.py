"""How the server's routes reach the gateway, which may live on another loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from sayso import limits
from sayso.gateway import Batch, Gateway, Place

T = TypeVar("T")


class Access(Protocol):
    """A way to the gateway."""

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway. Raises Unavailable while there is none."""


async def begin(access: Access, execution_id: str | None, last_event_id: str | None) -> Batch:
    """Where a follower of an execution (None: of all) begins; see `Gateway.start`."""
    return await access.call(lambda gateway: gateway.start(execution_id, last_event_id))


async def follow(access: Access, batch: Batch) -> AsyncGenerator[Batch]:
    """The stream from where `begin` put it: batches as they come, an empty one after each quiet `limits.HEARTBEAT`.

    The last one is `ended`. Raises Unavailable when the store fails; the client can resume.
    """
    if batch.reset:
        yield batch
    while not batch.ended:
        batch = await _read_on(access, batch.place)
        yield batch


async def _read_on(access: Access, place: Place) -> Batch:
    return await access.call(lambda gateway: gateway.read(place, wait=limits.HEARTBEAT))
