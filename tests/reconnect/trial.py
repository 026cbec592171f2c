"""A trial: one client follows a server of its own through a proxy that cuts, while agents ask and people answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Final, NamedTuple

import httpx

from sayso import AsyncClient, HumanInputServer
from tests.builders import question
from tests.conftest import KEY
from tests.fault_proxy import Fault, FaultProxy, Way, fault_proxy
from tests.reconnect.following import END, Message, Stream

Follow = Callable[[Stream], AsyncIterator[Message]]
Fact = tuple[str, int]
"""An event, by its execution and its number in it."""

TEXT: Final = "Später? 日本 🚢\r\nzwei\u2028drei\x85vier " * 8
"""Much of an event: characters of one to four bytes, and what some take for the end of a line."""
PATIENCE: Final = 90.0
"""Seconds in which a client comes on by an event, however often it is cut meanwhile."""
_BUDGET: Final = 8_000
"""Bytes, at most, that a connection brings before it is cut: a few events."""
_REQUEST: Final = 500
"""Bytes, at most, that a connection takes before it is cut, where it is cut on that way."""
_LAG: Final = 3
"""Events, at most, that a client may lie behind: some it sees live, some as a replay. A poll brings all or nothing, so
they must fit into one connection."""
_AWAY: Final = 3.5
"""Seconds for which the server cannot be reached: an EventSource tries again after 3, and must find the door closed."""


class Result(NamedTuple):
    """What a client was told, what the log says, and, since its first event, how many connections were cut and made."""

    told: list[Fact]
    log: list[Fact]
    cuts: int
    connections: int

    @property
    def gaps(self) -> list[Fact]:
        return [fact for fact in self.log if fact not in self.told]

    @property
    def repeats(self) -> list[Fact]:
        return [fact for fact, times in Counter(self.told).items() if times > 1]


class Trial:
    """Cuts at least `rounds` times, at places that are the same in each run of this name."""

    def __init__(self, name: str, follow: Follow, *, rounds: int, store: str) -> None:
        self._of_all = name.endswith(OF_ALL)
        self._follow = follow
        self._rounds = rounds
        self._store = store
        self._chance = random.Random(name)  # noqa: S311 - hides nothing
        self._told: list[Fact] = []
        self._news = asyncio.Condition()
        self._asked = 0
        self._before = (0, 0)
        """Cuts and connections before the first event came, which a browser needs to load its page, too."""
        self._proxy: FaultProxy

    @property
    def _cuts(self) -> int:
        return self._proxy.struck - self._before[0] if self._told else 0

    async def run(self) -> Result:
        server = HumanInputServer(port=0, api_key=KEY, store=self._store, quiet=True, adapters=False)
        await asyncio.to_thread(server.__enter__)
        try:
            async with AsyncClient(server.url, KEY) as asker, fault_proxy(server.url, self._faults()) as self._proxy:
                kept = (await asker.page()).cursor
                stream = Stream(self._proxy.url, None, kept) if self._of_all else Stream(self._proxy.url, "run-0")
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._listen(stream))
                    both.create_task(self._exchange(asker))
                connections = self._proxy.used - self._before[1]
                return Result(self._told, await log_of(server.url, None, kept), self._cuts, connections)
        finally:
            await asyncio.to_thread(server.stop)

    def _faults(self) -> Iterator[Fault]:
        while self._cuts < self._rounds:
            how = self._chance.choice(("close", "reset"))
            piece = self._chance.choice((7, 512, 65_536))
            up = Way(self._chance.randrange(_REQUEST), how) if self._chance.random() < 0.1 else Way()
            yield Fault(Way(self._chance.randrange(_BUDGET), how, piece=piece), up)

    async def _listen(self, stream: Stream) -> None:
        async with aclosing(self._follow(stream)) as events:  # type: ignore[type-var]  # they are generators
            async for event in events:
                async with self._news:
                    self._before = self._before if self._told else (self._proxy.struck, self._proxy.used)
                    self._told.append((event["execution_id"], event["seq"]))
                    self._news.notify_all()
                if event.get("prompt") == END:
                    return

    async def _exchange(self, asker: AsyncClient) -> None:
        """Asks and answers until there were cuts enough, and in between once while the server cannot be reached."""
        await self._ask_and_answer(asker, lag=0)  # open until it is told: a stream of all begins with what is open
        await self._until_cut(self._rounds // 2, asker)
        await self._until_told_all_but(0)
        async with self._proxy.refusing():
            await self._proxy.cut()
            await self._ask_and_answer(asker, lag=2)
            await asyncio.sleep(_AWAY)
        await self._until_cut(self._rounds, asker)
        await asker.ask(question(execution_id="run-0", prompt=END))

    async def _until_cut(self, times: int, asker: AsyncClient) -> None:
        while self._cuts < times:
            await self._ask_and_answer(asker, lag=self._chance.randint(0, _LAG))

    async def _ask_and_answer(self, asker: AsyncClient, lag: int) -> None:
        execution_id = f"run-{self._chance.randrange(3)}" if self._of_all else "run-0"
        asked = await asker.ask(question(execution_id=execution_id, prompt=TEXT))
        self._asked += 1
        await self._until_told_all_but(lag)
        await asker.answer(asked.request_id, text=TEXT)
        self._asked += 1
        await self._until_told_all_but(lag)

    async def _until_told_all_but(self, lag: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: len(self._told) >= self._asked - lag)
        except TimeoutError:
            last = [f"{one.fault}: {bytes(one.up)!r}, {len(one.down)} bytes" for one in self._proxy.connections[-3:]]
            raise AssertionError(f"after {self._told[-3:]} of {self._asked} nothing came over {last}") from None


OF_ALL: Final = ", of all"
"""How the name of a trial ends in which all executions are followed."""


async def log_of(url: str, execution_id: str | None, cursor: str | None = None) -> list[Fact]:
    """What the log holds of this execution, or of all after this cursor."""
    path = Stream(url, execution_id).path
    facts: list[Fact] = []
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        more = True
        while more:
            query = {} if cursor is None else {"last_event_id": cursor}
            page = (await client.get(f"/poll{path}", params=query)).json()
            facts += [(event["execution_id"], event["seq"]) for event in page["events"]]
            cursor, more = page["cursor"], page["more"]
    return facts


def dense(log: list[Fact]) -> bool:
    """Whether the events of each execution are numbered from 1 without a gap, in the log's order."""
    numbers = defaultdict(list)
    for execution_id, seq in log:
        numbers[execution_id].append(seq)
    return all(seqs == list(range(1, len(seqs) + 1)) for seqs in numbers.values())
