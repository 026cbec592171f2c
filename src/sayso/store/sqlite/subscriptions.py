"""The devices of the SQLite store that are told by push."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from sayso.errors import StoreDamaged
from sayso.store.sql import queries
from sayso.store.sqlite.notified import begin
from sayso.store.sqlite.rows import row_of_subscription, subscription_of
from sayso.subscription import Subscription, SubscriptionChange, SubscriptionsChange, place_of

logger = logging.getLogger(__name__)

_Q: Final = queries("sqlite")


def all_subscriptions(db: sqlite3.Connection) -> Sequence[Subscription]:
    """See `Subscribed.subscriptions`."""
    found = []
    for row in db.execute(_Q["subscriptions"]):
        try:
            found.append(subscription_of(row))
        except StoreDamaged:
            logger.exception("a damaged device is told nothing")
    return found


def change_subscriptions(db: sqlite3.Connection, change: SubscriptionsChange) -> SubscriptionChange:
    """See `Subscribed.change_subscriptions`; what happens within the write transaction happens alone."""
    done = change(all_subscriptions(db))
    place = place_of(done.one.id)
    if done.put:
        db.execute(_Q["put_subscription"], row_of_subscription(done.one))
        begin(db, place)
    if done.removed:
        db.execute(_Q["remove_subscription"], {"id": done.one.id})
        db.execute(_Q["end_notifier"], {"name": place})
        db.execute(_Q["end_owed"], {"name": place})
    return done
