"""What a store hints at, kept for a test to look at."""

from __future__ import annotations

import asyncio

from sayso.store import Hint, Store


class Hints:
    """Everything that `store` hints at from now on."""

    def __init__(self, store: Store) -> None:
        self._heard: asyncio.Queue[Hint | None] = asyncio.Queue()
        store.listen(self._heard.put_nowait)

    @property
    def left(self) -> int:
        """How many are waiting to be looked at."""
        return self._heard.qsize()

    async def next(self) -> Hint | None:
        """Raises TimeoutError where there is none for 20 s."""
        async with asyncio.timeout(20):
            return await self._heard.get()

    async def names(self) -> set[str]:
        """The executions of the next one."""
        hint = await self.next()
        assert hint is not None
        return set(hint)
