"""What callers were refused, counted by the code of the problem."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from sayso.meters import Counter, Metric
from sayso.server.problems import REFUSED
from sayso.wire import CODES


class Refusals:
    """Of one server, on every road."""

    def __init__(self) -> None:
        self._counter = Counter(
            "sayso_refusals", "Problem objects that callers of this node got.", "code", known=[(one,) for one in CODES]
        )

    def add(self, code: str) -> None:
        self._counter.add(code)

    def read(self) -> Iterator[Metric]:
        yield self._counter.read()


class Counting:
    """ASGI middleware outside of whatever may refuse a call."""

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSED] = self._refusals.add
        await self._app(scope, receive, send)
