"""The keys of the PostgreSQL store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from sayso.keys import Change, Key, in_order
from sayso.store.postgres.connection import Connection
from sayso.store.sql import queries
from sayso.wire import decode_key, encode

_Q: Final = queries("postgres")


def keys_of(rows: Iterable[Any]) -> Sequence[Key]:
    return in_order(msgspec.structs.replace(decode_key(data), last_used_at=used) for used, data in rows)


async def change_keys(connection: Connection, change: Callable[[Sequence[Key]], Change]) -> Change:
    """See `Keys.change_keys`. Done again after an outage that swallowed the word of it, it changes nothing more."""
    async with connection.transaction():
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        await connection.execute(_Q["wait_for_disk"])
        await connection.execute(_Q["lock_keys"])
        done = change(keys_of(await connection.fetch(_Q["keys"])))
        for key in done.put:
            data = encode(msgspec.structs.replace(key, last_used_at=None))
            await connection.execute(_Q["put_key"], key.id, data)
        await connection.execute(_Q["remove_keys"], list(done.removed))
        return done
