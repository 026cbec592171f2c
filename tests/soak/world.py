"""What everyone in the soak shares: where the server is, what was asked and is to become of it, and what went wrong."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.conftest import KEY

Message = dict[str, Any]
END: Final = "the-end"
"""The execution that everyone who follows all executions waits for."""
PATIENCE: Final = 60.0
"""Seconds in which the server does what it was asked for."""
_SAID: Final = 20
"""Faults that are told with their traceback; after that they are counted."""


@dataclass
class Case:
    """One question, what is to become of it, and what did."""

    request_id: str
    fate: str
    answer: Message
    asked_at: float
    answered_at: float = 0.0
    sent: dict[str, Message] = field(default_factory=dict)
    """Answers by their id."""
    won: set[str] = field(default_factory=set)
    """Answers of which somebody was told that they won."""
    parties: int = 2
    """Who still has to do with it: its asker, and the clerk."""

    def new_answer(self) -> Message:
        """An answer like `answer`, of its own id."""
        given = self.answer | {"answer_id": str(uuid.uuid4())}
        self.sent[given["answer_id"]] = given
        return given


@dataclass
class World:
    name: str
    """Its executions begin with it."""
    url: str
    chance: random.Random
    rate: float
    """Executions that begin in a second."""
    api: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=lambda: {"default": KEY})
    """Secrets by name."""
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    stays: set[asyncio.Timeout] = field(default_factory=set)
    """Of those who leave when there is enough."""
    cases: dict[str, Case] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    """How many events each has that has ended."""
    begun: int = 0
    """Executions, so far."""
    long: str = ""
    """An execution with much in it."""
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    told_after: list[float] = field(default_factory=list)
    """Seconds from an ask to its event at a follower, since it was looked last."""
    settled_after: list[float] = field(default_factory=list)
    """Seconds from an answer to its asker's hearing of it, likewise."""

    def right(self, name: str = "default") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[name]}"}

    def new_execution(self) -> str:
        self.begun += 1
        return f"{self.name}-{self.begun}"

    def leave(self, case: Case) -> None:
        """One of the two has done with it, and it was settled once."""
        assert len(case.won) <= 1, (case.fate, case.won)
        case.parties -= 1
        if not case.parties:
            del self.cases[case.request_id]

    def between(self, least: float, most: float) -> float:
        return self.chance.uniform(least, most)

    async def call(self, method: str, path: str, *statuses: int, key: str = "default", **sent: Any) -> httpx.Response:
        """Raises AssertionError for another status."""
        self.counts["calls"] += 1
        response = await self.api.request(method, path, headers=self.right(key) | sent.pop("headers", {}), **sent)
        assert response.status_code in statuses, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response

    async def cursor(self) -> str:
        found: str = (await self.call("GET", "/requests", 200, params={"limit": 1, "status": "pending"})).json()[
            "cursor"
        ]
        return found

    async def watched(self, does: Awaitable[Any]) -> None:
        """Does it; notes what goes wrong, and lets everyone else go on."""
        try:
            await does
        except Exception:
            self.faults.append(traceback.format_exc())
            if len(self.faults) <= _SAID:
                print(time.strftime("%H:%M:%S"), self.faults[-1], flush=True)

    async def again_and_again(self, does: Callable[[], Awaitable[Any]], pause: float) -> None:
        """Until there is enough, with pauses of such a mean."""
        while not self.enough.is_set():
            await self.watched(does())
            await self.rest(self.chance.expovariate(1 / pause))

    @asynccontextmanager
    async def staying(self, seconds: float) -> AsyncIterator[None]:
        """What is done in it is left after so long, or when there is enough."""
        scope = asyncio.timeout(0.0 if self.enough.is_set() else seconds)
        self.stays.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self.stays.discard(scope)

    async def rest(self, seconds: float) -> None:
        """Returns after so long, or when there is enough."""
        async with self.staying(seconds):
            await self.enough.wait()

    def end(self) -> None:
        """There is enough: nobody begins anything, and whoever only stays leaves."""
        self.enough.set()
        for scope in self.stays:
            if not scope.expired():
                scope.reschedule(0.0)  # long ago
