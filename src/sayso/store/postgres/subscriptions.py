"""The devices of the PostgreSQL store that are told by push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sayso.store.postgres.connection import Connection
from sayso.store.sql import queries
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange, place_of
from sayso.wire import decode_kept_subscription, encode

_Q: Final = queries("postgres")


def subscriptions_of(rows: Iterable[Any]) -> Sequence[Subscription]:
    return [decode_kept_subscription(data) for (data,) in rows]


async def change_subscriptions(connection: Connection, change: SubscriptionsChange) -> SubscriptionChange:
    """See `Subscribed.change_subscriptions`."""
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        await connection.execute(_Q["wait_for_disk"])
        await connection.execute(_Q["lock_subscriptions"])
        done = change(subscriptions_of(await connection.fetch(_Q["subscriptions"])))
        place = place_of(done.one.id)
        if done.put:
            await connection.execute(_Q["put_subscription"], done.one.id, encode(done.one))
            await connection.execute(_Q["begin_notifier"], place)
        if done.removed:
            await connection.execute(_Q["remove_subscription"], done.one.id)
            await connection.execute(_Q["end_notifier"], place)
            await connection.execute(_Q["end_owed"], place)
        return done
