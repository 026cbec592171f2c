"""How many calls and streams are open at once, of each key and from each address; one count for every transport."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import TooMany
from sayso.server.caller import Caller
from sayso.server.connections import is_this_machine
from sayso.server.problems import refuse


class Open:
    """A call or stream that is open, and counts until it is `over`."""

    __slots__ = ("_address", "_calls", "_name")

    def __init__(self, calls: Calls, address: str | None, name: str | None) -> None:
        """Of an address, a key of this name, or both."""
        self._calls: Calls | None = calls
        self._address = address
        self._name = name

    def over(self) -> None:
        """Idempotent."""
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.ended(self._address, self._name)

    def __enter__(self) -> None:
        """Until it is left."""

    def __exit__(self, *_: object) -> None:
        self.over()


class Calls:
    """A caller's address is its own, also behind a proxy that was listed. This machine has no cap of its own."""

    def __init__(self) -> None:
        self._of_key: dict[str, int] = {}
        self._of_address: dict[str, int] = {}

    def begun(self, address: str, caller: Caller | None) -> Open:
        """One more of both. Raises TooMany."""
        before = self._of_address.get(address, 0)
        if before >= limits.CONNECTIONS_PER_ADDRESS and not is_this_machine(address):
            raise TooMany(f"one address may have {limits.CONNECTIONS_PER_ADDRESS} calls and streams open at once")
        name = self._entered(caller)
        self._of_address[address] = before + 1
        return Open(self, address, name)

    def of_key(self, caller: Caller | None) -> Open:
        """One more of the caller's key, by whichever way it came. Raises TooMany."""
        return Open(self, None, self._entered(caller))

    def ended(self, address: str | None, name: str | None) -> None:
        """One less."""
        if address is not None:
            _take_one(self._of_address, address)
        if name is not None:
            _take_one(self._of_key, name)

    def _entered(self, caller: Caller | None) -> str | None:
        """The name of the caller's key, which has one more now."""
        if caller is None or caller.name is None:
            return None
        before = self._of_key.get(caller.name, 0)
        if before >= limits.CALLS_PER_KEY:
            raise TooMany(f"one key may have {limits.CALLS_PER_KEY} calls and streams open at once")
        self._of_key[caller.name] = before + 1
        return caller.name


def _take_one(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]


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
