"""A connection that appends."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import asyncpg

from sayso.store.postgres.address import Address
from sayso.store.postgres.connection import CONNECT, Own, connect, statement
from sayso.store.sql import queries

_Q: Final = queries("postgres")


class Lane:
    """Appends one batch after the other; on a new connection after anything that went wrong on the last."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: Own | None = None

    async def append(self, columns: list[list[Any]]) -> list[asyncpg.Record]:
        """Safe to repeat: what is there already is told as such."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._address.url, is_pooled=self._address.is_pooled)
        try:
            async with statement(self._connection, is_pooled=self._address.is_pooled):
                return await self._connection.fetch(_Q["append"], *columns)
        except BaseException:
            self._connection.terminate()
            self._connection = None
            raise

    async def let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close(timeout=CONNECT)
            connection.terminate()
