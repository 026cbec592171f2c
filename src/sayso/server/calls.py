"""How many calls and streams are open at once, of each key and from each address; one count for every transport."""

from __future__ import annotations

from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import TooMany
from sayso.server.caller import Caller
from sayso.server.connections import is_this_machine
from sayso.server.problems import refuse


class Open:
    """A call or stream that is open, and counts until it is `over`."""

    __slots__ = ("_counts",)

    def __init__(self, *counts: tuple[Counter[str], str]) -> None:
        self._counts = counts
        for count, name in counts:
            count[name] += 1

    def over(self) -> None:
        """Idempotent."""
        counts, self._counts = self._counts, ()
        for count, name in counts:
            count[name] -= 1
            if not count[name]:
                del count[name]

    def __enter__(self) -> None:
        """Until it is left."""

    def __exit__(self, *_: object) -> None:
        self.over()


class Calls:
    """A caller's address is its own, also behind a proxy that was listed. This machine has no cap of its own."""

    def __init__(self) -> None:
        self._of_key: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()

    def begun(self, address: str, caller: Caller | None) -> Open:
        """One more of both. Raises TooMany."""
        if self._of_address.get(address, 0) >= limits.CONNECTIONS_PER_ADDRESS and not is_this_machine(address):
            raise TooMany(f"one address may have {limits.CONNECTIONS_PER_ADDRESS} calls and streams open at once")
        if caller is None or caller.name is None:
            return Open((self._of_address, address))
        self._check_key(caller.name)
        return Open((self._of_address, address), (self._of_key, caller.name))

    def of_key(self, caller: Caller | None) -> Open:
        """One more of the caller's key, by whichever way it came. Raises TooMany."""
        if caller is None or caller.name is None:
            return Open()
        self._check_key(caller.name)
        return Open((self._of_key, caller.name))

    def _check_key(self, name: str) -> None:
        if self._of_key.get(name, 0) >= limits.CALLS_PER_KEY:
            raise TooMany(f"one key may have {limits.CALLS_PER_KEY} calls and streams open at once")


class Counted:
    """ASGI middleware behind the door, which says whose call it is."""

    def __init__(self, app: ASGIApp, *, calls: Calls) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            begun = self._calls.begun((scope.get("client") or ("",))[0], scope["state"]["caller"])
        except TooMany as error:
            await refuse(error, scope, receive, send)
            return
        with begun:
            await self._app(scope, receive, send)
