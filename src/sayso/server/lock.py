"""Which keys let a caller in: the one that the server was given, and those of its store."""

from __future__ import annotations

import hashlib
import hmac

from sayso.errors import Unauthorised
from sayso.keyring import Keyring
from sayso.keys import Key
from sayso.server.access import Access
from sayso.server.caller import ANYONE, SERVER_KEY, Caller
from sayso.signing import mac


class Lock:
    """`api_key` is kept hashed, so that comparing takes the same time whatever is tried; it needs no store."""

    def __init__(self, access: Access, api_key: str | None) -> None:
        self._access = access
        self._hash = None if api_key is None else _hashed(api_key)

    async def is_needed(self) -> bool:
        """Whether callers without a key are kept out."""
        return self._hash is not None or await self._access.call(lambda gateway: gateway.keys.are_needed())

    async def opened_with(self, secret: str) -> Caller | None:
        """Who holds this key; None for one that opens nothing."""
        if self._hash is not None and hmac.compare_digest(_hashed(secret), self._hash):
            return SERVER_KEY
        key = await self._access.call(lambda gateway: gateway.keys.opened_with(secret))
        return None if key is None else Caller.of(key)

    async def admitted(self, secret: str) -> Caller:
        """Who calls with this key, "" for none. Raises Unauthorised where that does not do."""
        caller = await self.opened_with(secret) if secret else None
        if caller is None and await self.is_needed():
            raise Unauthorised
        return caller or ANYONE

    def still_admits(self, caller: Caller, keys: Keyring) -> bool:
        """Whether whoever was admitted by what it sends, and sends it again, is, as far as can be told at once."""
        if caller.key is not None:
            is_live = keys.is_known_to_live(caller.key)
            if is_live:
                keys.used(caller.key)
            return is_live
        return caller is SERVER_KEY or (self._hash is None and caller is ANYONE and keys.are_known_to_be_needless)

    def mark_of(self, caller: Caller, secret: bytes) -> str:
        """Tells the caller's key from others, and nothing of the key. `secret`: of the store."""
        if caller.key is not None:
            return caller.key
        return "" if caller.name is None or self._hash is None else mac(secret, "key", self._hash.hex())

    async def stood_for(self, mark: str, secret: bytes) -> Caller | None:
        """Whose mark this is, while that still lets in."""
        if not mark:
            return None if await self.is_needed() else ANYONE
        if hmac.compare_digest(mark.encode(), self.mark_of(SERVER_KEY, secret).encode()):
            return SERVER_KEY
        key: Key | None = await self._access.call(lambda gateway: gateway.keys.live(mark))
        return None if key is None else Caller.of(key)


def _hashed(key: str) -> bytes:
    """One length for every key, so that comparing takes the same time."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
