"""One soak: a server of its own in a process of its own, everyone at it, and a look at both every few seconds."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.conftest import KEY
from tests.nodes.node import ROOT
from tests.soak.judging import HELD, Look, verdicts
from tests.soak.life import live, rush, world_of
from tests.soak.sizes import Sizes
from tests.soak.world import PATIENCE, World

_WARM: Final = 5.0
"""Seconds in which everything is done once before the beginning: modules are loaded, threads started, caches filled."""
_REST: Final = 2.0
"""Seconds without a change after which a server is at rest."""
_AGAIN: Final = 0.3
"""Seconds between two looks at it meanwhile."""


@dataclass
class Soaked:
    """`looks`: at the server (see `watched`), `lives`: at everyone else, in order. `begin`, `end`: the server at rest.
    `counts`: what was done."""

    looks: list[Look] = field(default_factory=list)
    lives: list[Look] = field(default_factory=list)
    begin: Look = field(default_factory=dict)
    end: Look = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return float(self.looks[-1]["at"] - self.looks[0]["at"])


class _Server:
    def __init__(self, folder: Path, store: str, every: float, keep: float, leak: int) -> None:
        self._looks = folder / "looks.jsonl"
        self._looks.touch()
        self._reader = self._looks.open()
        self.log = folder / "server.log"
        self._command = ("-m", "tests.soak.watched", self._looks, str(every), str(keep), str(leak))
        self._serve = ("serve", "--json", "--port", "0", "--store", store)
        self.process: asyncio.subprocess.Process
        self.looks: list[Look] = []
        self._begun = ""
        """Of a line that is still being written."""

    async def start(self) -> str:
        """Where it listens."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._command, *self._serve),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=os.environ | {"SAYSO_API_KEY": KEY, "MALLOC_ARENA_MAX": "2"},  # as deploy/ has it
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            said = await self.process.stdout.readline()
        assert said, self.log.read_text()
        url: str = json.loads(said)["url"]
        return url.replace("localhost", "127.0.0.1")

    def read(self) -> None:
        """Takes the looks that have come since."""
        *lines, self._begun = (self._begun + self._reader.read()).split("\n")
        self.looks += map(json.loads, lines)

    async def rest(self, name: str, most: Look | None = None) -> Look:
        """A look at the server when everyone has left, once it has no more than at `most`, or has changed no more for
        a while: what has only just ended is not gone yet."""
        since, last = time.monotonic(), await self._look(name)
        while time.monotonic() < since + _REST and (most is None or verdicts([], most, last, 0)):
            await asyncio.sleep(_AGAIN)
            look = await self._look(name)
            if any(look[what] != last[what] for what in HELD):
                since = time.monotonic()
            last = look
        return last

    async def _look(self, name: str) -> Look:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name}\n".encode())
        before = len(self.looks)
        async with asyncio.timeout(PATIENCE):
            while not (named := [look for look in self.looks[before:] if look["name"] == name]):
                await asyncio.sleep(0.05)
                self.read()
        return named[-1]

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.process.wait()
        finally:
            with suppress(ProcessLookupError):
                self.process.kill()
            self._reader.close()


async def soak(
    folder: Path,
    store: str,
    sizes: Sizes,
    *,
    seconds: float,
    rate: float = 1.0,
    every: float = 5.0,
    keep: float = 300.0,
    leak: int = 0,
) -> Soaked:
    """What is seen is written into `folder`, too. `store`: a URL, `sizes`: of it. `rate`: executions that begin in a
    second. `every`: seconds between two looks. `keep`, `leak`: see `watched`."""
    server = _Server(folder, store, every, keep, leak)
    url = await server.start()
    found = Soaked(looks=server.looks)
    try:
        async with world_of(url, rate, "first") as world:
            await live(world, min(_WARM, seconds))
            await rush(world)
        found.begin = await server.rest("begin")
        server.looks.clear()
        async with world_of(url, rate, "run") as world:
            async with _looking(world, server, found, every, sizes):
                await live(world, seconds)
            found.looks = [look for look in server.looks if not look["name"]]
            found.counts, found.faults = dict(world.counts), world.faults
        found.end = await server.rest("end", found.begin)
    finally:
        await server.stop()
    if "Traceback" in (log := server.log.read_text(errors="replace")):
        found.faults.append(log)
        print(f"The server's log:\n{log}")
    return found


@asynccontextmanager
async def _looking(world: World, server: _Server, found: Soaked, every: float, sizes: Sizes) -> AsyncIterator[None]:
    async def look() -> None:
        with (server._looks.parent / "lives.jsonl").open("a") as file:
            while True:
                await asyncio.sleep(every)
                server.read()
                found.lives.append(_life(world) | {"store": await asyncio.to_thread(sizes)})
                file.write(f"{json.dumps(found.lives[-1])}\n")
                file.flush()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        server.read()


def _life(world: World) -> Look:
    """Since the last look: `told` and `settled`, in seconds. Since the beginning: all else."""
    told, settled = world.told_after, world.settled_after
    world.told_after, world.settled_after = [], []
    return {
        "at": time.monotonic(),
        "told": [round(one, 5) for one in told],
        "settled": [round(one, 5) for one in settled],
        "clients_processor": time.process_time(),
        "counts": dict(world.counts),
        "faults": len(world.faults),
    }
