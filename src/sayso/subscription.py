"""Devices that are told by Web Push: what is kept of one, how those of a store change, and the seam by which they come
and go. Pure: no clock, no dice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from sayso import limits
from sayso.errors import NotFound, TooMany
from sayso.model import Moment

NO_DEVICE = "There is no such device."


class Subscription(Struct, frozen=True, kw_only=True):
    """A device as it is kept. `endpoint`: the address at its push service, which is as good as a password. `p256dh`
    and `auth`: what is encrypted for (RFC 8291), in URL-safe Base64. `owner`: the mark of the key it was made with.
    """

    id: str
    endpoint: str
    p256dh: str
    auth: str
    owner: str
    created_at: Moment


class DeviceKeys(Struct, frozen=True, kw_only=True):
    """Of one device, in URL-safe Base64: its public key, and the secret that both share."""

    p256dh: str
    auth: str


class SubscriptionWanted(Struct, frozen=True, kw_only=True):
    """The body of `POST /push`, as a browser's `PushSubscription.toJSON()` gives it."""

    endpoint: str
    keys: DeviceKeys


class SubscriptionShown(Struct, frozen=True, kw_only=True):
    """A device that is told from here on."""

    id: str
    created_at: Moment


class PushShown(Struct, frozen=True, kw_only=True):
    """What a device needs to be told by: the server's public key (RFC 8292), in URL-safe Base64.

    null where this server sends no push messages; `why` says so.
    """

    public_key: str | None
    why: str = ""


class Owner(NamedTuple):
    """Who has a device. `name`: of the key, None where there is none; `key`: its id, where it is one of the store's."""

    name: str | None
    key: str | None


class SubscriptionChange(NamedTuple):
    """How the devices of a store change. `one`: the one that it is about; it is new, or has other values, where it is
    `put`, and goes where it is `removed`."""

    one: Subscription
    put: bool = False
    removed: bool = False


SubscriptionsChange = Callable[[Sequence[Subscription]], SubscriptionChange]


def place_of(id: str) -> str:
    """Under which name a store keeps how far a device was told: no notifier of a file has such a one."""
    return f"push:{id}"


def subscribed(there: Sequence[Subscription], new: Subscription) -> SubscriptionChange:
    """`new` among those that are there. A device comes again with the same endpoint: it keeps its id, and its place.

    Raises TooMany.
    """
    known = next((one for one in there if one.endpoint == new.endpoint), None)
    if known is not None:
        again = replace(new, id=known.id, created_at=known.created_at)
        return SubscriptionChange(again, put=again != known)
    if len(there) >= limits.DEVICES or sum(one.owner == new.owner for one in there) >= limits.DEVICES_PER_KEY:
        raise TooMany("there are as many devices as this key, or this server, may have; switch one of them off")
    return SubscriptionChange(new, put=True)


def unsubscribed(there: Sequence[Subscription], id: str, owner: str | None = None) -> SubscriptionChange:
    """Without the device of this id, which is that owner's, or (None) anyone's. Raises NotFound."""
    for one in there:
        if one.id == id and owner in (None, one.owner):
            return SubscriptionChange(one, removed=True)
    raise NotFound(NO_DEVICE)


class Pushing(Protocol):
    """Those who are told by push, at one process. All methods belong to the gateway's loop."""

    async def keep(self) -> None:
        """Tells them until cancelled; raises nothing."""

    async def shown(self) -> PushShown:
        """What a device needs before it can subscribe."""

    async def subscribe(self, wanted: SubscriptionWanted, owner: Owner) -> tuple[SubscriptionShown, bool]:
        """Tells this device from here on; and whether it is new. Durable on return.

        Raises Invalid, TooMany; NotFound where no push messages are sent.
        """

    async def unsubscribe(self, id: str, owner: Owner) -> None:
        """Tells it no more. Raises NotFound for one that is not there, or somebody else's."""


class NoPush:
    """The Pushing of a server that sends none; `why`: what would have to change."""

    def __init__(self, why: str = "this server sends no push messages") -> None:
        self._why = why

    async def keep(self) -> None:
        import asyncio  # noqa: PLC0415 - a command that needs no loop shall load none

        await asyncio.Event().wait()

    async def shown(self) -> PushShown:
        return PushShown(public_key=None, why=self._why)

    async def subscribe(self, wanted: SubscriptionWanted, owner: Owner) -> tuple[SubscriptionShown, bool]:
        raise NotFound(self._why)

    async def unsubscribe(self, id: str, owner: Owner) -> None:
        raise NotFound(NO_DEVICE)
