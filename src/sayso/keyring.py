"""The keys of a store as this process knows them: made, changed, recognised, and noticed when they end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sayso import keys, limits
from sayso.clock import Clock
from sayso.errors import NotFound, Unauthorised
from sayso.keys import Change, Key, KeyMade, KeyShown, KeyWanted, Rotation
from sayso.store import Keys, Store

logger = logging.getLogger(__name__)


class Keyring:
    """Lives on the loop of its store. What it knows is never older than limits.KEYS_FRESH where it counts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store if isinstance(store, Keys) else None
        self._clock = clock
        self._known: dict[str, Key] = {}
        self._has_any_admin = False
        self._read_at = float("-inf")
        self._reads = 0
        self._reading = asyncio.Lock()
        self._held: dict[str, set[Callable[[], None]]] = {}
        self._uses: dict[str, datetime] = {}
        self._written: dict[str, float] = {}
        self._wanted = asyncio.Event()

    async def create(self, wanted: KeyWanted) -> KeyMade:
        """A new key. Durable on return. Raises Invalid, NameTaken."""
        id, secret, hash = _secret()
        now = self._clock.now()
        return await self._make(lambda there: keys.created(there, wanted, id=id, hash=hash, now=now), secret)

    async def rotate(self, old: str, how: Rotation) -> KeyMade:
        """A second key under the name of the one of this id, which ends later. Raises Invalid, NotFound."""
        id, secret, hash = _secret()
        now = self._clock.now()
        return await self._make(lambda there: keys.rotated(there, old, how, id=id, hash=hash, now=now), secret)

    async def revoke(self, id: str) -> KeyShown:
        """The key, which opens nothing any more: here at once, in every other process within limits.KEYS_FRESH.

        Durable on return. Raises NotFound.
        """
        now = self._clock.now()
        done = await self._change(lambda there: keys.revoked(there, id, now=now))
        return KeyShown.of(done.key, now)

    async def list(self) -> Sequence[KeyShown]:
        """All that live, and those that ended not long ago, in the order in which they were made."""
        now = self._clock.now()
        return [KeyShown.of(key, now) for key in ([] if self._store is None else await self._store.keys())]

    async def are_needed(self) -> bool:
        """Whether whoever has no key is to be kept out: once there was a key that can make keys, whatever became of it.

        A key that runs out must not open what it was to protect. Once that is known, no store is asked.
        """
        if not self._has_any_admin:
            await self._look(limits.KEYS_FRESH)
        return self._has_any_admin

    async def has_admin(self) -> bool:
        """Whether a key that can make keys is live."""
        await self._look(limits.KEYS_FRESH)
        now = self._clock.now()
        return any("admin" in key.scopes and key.is_live(now) for key in self._known.values())

    async def opened_with(self, secret: str) -> Key | None:
        """The live key that this is the secret of."""
        id = keys.id_in(secret)
        key = None if id is None else await self.live(id)
        if key is None or not key.opens_with(secret):
            return None
        self.used(key.id)
        return key

    async def live(self, id: str) -> Key | None:
        """The key of this id while it lives. One that was made elsewhere a moment ago is known, too."""
        await self._look(limits.KEYS_FRESH)
        if id not in self._known:
            await self._look(0.0, pause=limits.KEYS_AGAIN)
        key = self._known.get(id)
        return key if key is not None and key.is_live(self._clock.now()) else None

    def is_known_to_live(self, id: str) -> bool:
        """Whether this key lives, as far as can be told without asking the store."""
        key = self._known.get(id)
        return key is not None and self._is_fresh and key.is_live(self._clock.now())

    @property
    def are_known_to_be_needless(self) -> bool:
        """Whether whoever has no key is let in, as far as can be told without asking the store."""
        return self._store is None or (not self._has_any_admin and self._is_fresh)

    @property
    def _is_fresh(self) -> bool:
        return self._clock.monotonic() - self._read_at < limits.KEYS_FRESH

    async def redeem(self, ticket_id: str, until: datetime) -> bool:
        """Whether this is the first use of a ticket that ends at `until`, in any process of the store."""
        if self._store is None:
            return False
        # Another process's clock may be behind: there the ticket lives longer.
        return await self._store.redeem(ticket_id, until + timedelta(seconds=limits.TICKET), self._clock.now())

    @asynccontextmanager
    async def held(self, id: str | None) -> AsyncIterator[None]:
        """What is done in it ends, with Unauthorised, when the key of this id does. None: a key of no store."""
        if id is None:
            yield
            return
        if await self.live(id) is None:
            raise Unauthorised
        scope = asyncio.timeout(None)

        def end() -> None:
            scope.reschedule(0.0)  # long ago

        try:
            async with scope:
                self.watch(id, end)
                try:
                    yield
                finally:
                    self.unwatch(id, end)
        except TimeoutError:
            if not scope.expired():
                raise
            raise Unauthorised from None

    def watch(self, id: str, end: Callable[[], None]) -> None:
        """Has `end` called, once, when the key of this id ends."""
        self._held.setdefault(id, set()).add(end)
        self._wanted.set()

    def unwatch(self, id: str, end: Callable[[], None]) -> None:
        """Calls that off. Idempotent."""
        watching = self._held.get(id)
        if watching is not None:
            watching.discard(end)
            if not watching:
                del self._held[id]

    async def keep(self) -> None:
        """Ends what is held with a key that has ended, and writes down when keys were used. Runs until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(limits.KEYS_FRESH if self._held else None):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._write_uses()
                await self._look(limits.KEYS_FRESH)
            except Exception:  # of the store: it is looked at again, and time goes on meanwhile
                logger.exception("keys were not read, or their use not written")
            self._end_held()

    async def _make(self, change: Callable[[Sequence[Key]], Change], secret: str) -> KeyMade:
        done = await self._change(change)
        return KeyMade(key=KeyShown.of(done.key, self._clock.now()), secret=secret)

    async def _change(self, change: Callable[[Sequence[Key]], Change]) -> Change:
        if self._store is None:
            raise NotFound("The store of this server keeps no keys.")
        done = await self._store.change_keys(change)
        await self._look(0.0)
        self._end_held()
        return done

    async def _look(self, age: float, *, pause: float = 0.0) -> None:
        """Reads the keys unless what is known of them is younger than `age`. However many want to know, one reads.

        `pause`: seconds since the last reading that it waits for.
        """
        came = self._reads
        if self._store is None or self._clock.monotonic() - self._read_at < age:
            return
        async with self._reading:
            if self._reads > came or self._clock.monotonic() - self._read_at < age:
                return  # somebody began to read after this call came, or just before it
            if (early := self._read_at + pause - self._clock.monotonic()) > 0:
                await asyncio.sleep(early)
            self._reads += 1
            began = self._clock.monotonic()
            found = await self._store.keys()
            self._known, self._read_at = {key.id: key for key in found}, began
            self._has_any_admin = any("admin" in key.scopes for key in found)
            self._written = {id: at for id, at in self._written.items() if id in self._known}

    def _end_held(self) -> None:
        now = self._clock.now()
        for id in list(self._held):
            key = self._known.get(id)
            if key is None or not key.is_live(now):
                for end in self._held.pop(id):
                    end()

    def used(self, id: str) -> None:
        """Notes that somebody came by this key."""
        now = self._clock.monotonic()
        if now - self._written.get(id, float("-inf")) >= limits.KEY_USED:
            self._written[id] = now
            self._uses[id] = self._clock.now()
            self._wanted.set()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if uses and self._store is not None:
            await self._store.used_keys(uses)


def _secret() -> tuple[str, str, str]:
    """A new key's id, its secret, and its hash."""
    id, secret = keys.new_secret(secrets.token_bytes(keys.DICE))
    return id, secret, keys.hash_of(secret)
