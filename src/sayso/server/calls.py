"""How many calls and streams are open at once, of each key and from each address; one count for every transport."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso import limits
from sayso.errors import TooMany
from sayso.server.caller import Caller
from sayso.server.connections import is_this_machine
from sayso.server.problems import refuse


class Calls:
    """A caller's address is its own, also behind a proxy that was listed. This machine has no cap of its own."""

    def __init__(self) -> None:
        self._of_key: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()

    @contextmanager
    def of_address(self, address: str) -> Iterator[None]:
        """One more of this address is open while entered. Raises TooMany."""
        if self._of_address.get(address, 0) >= limits.CONNECTIONS_PER_ADDRESS and not is_this_machine(address):
            raise TooMany(f"one address may have {limits.CONNECTIONS_PER_ADDRESS} calls and streams open at once")
        with _one_more(self._of_address, address):
            yield

    @contextmanager
    def of_key(self, caller: Caller | None) -> Iterator[None]:
        """One more of the caller's key, by whichever way it came. Raises TooMany."""
        if caller is None or caller.name is None:
            yield
            return
        if self._of_key.get(caller.name, 0) >= limits.CALLS_PER_KEY:
            raise TooMany(f"one key may have {limits.CALLS_PER_KEY} calls and streams open at once")
        with _one_more(self._of_key, caller.name):
            yield


class Counted:
    """ASGI middleware behind the door, which says whose call it is."""

    def __init__(self, app: ASGIApp, *, calls: Calls) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        with ExitStack() as entered:
            try:
                entered.enter_context(self._calls.of_address((scope.get("client") or ("",))[0]))
                entered.enter_context(self._calls.of_key(scope["state"]["caller"]))
            except TooMany as error:
                await refuse(error, scope, receive, send)
                return
            await self._app(scope, receive, send)


@contextmanager
def _one_more(count: Counter[str], name: str) -> Iterator[None]:
    count[name] += 1
    try:
        yield
    finally:
        count[name] -= 1
        if not count[name]:
            del count[name]
