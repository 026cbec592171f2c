"""`python -m tests.soak.watched FILE EVERY KEEP LEAK serve …`: the command `sayso`, which writes into FILE how it is.

Every so many seconds, and for each line that it reads, it writes a line of JSON (see `Watch.look`). What it reads is a
name for that look, before which garbage is collected. It ends with whoever holds the other end.

KEEP: seconds for which what was settled is kept: sayso itself takes no less than an hour. LEAK: bytes that it loses for
each question, and a task and a descriptor, to be found out.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Final

import psutil

from sayso import limits, retention, settings
from sayso.cli import main
from sayso.gateway import Gateway
from sayso.hub import Hub
from sayso.server import serve
from sayso.server.connections import Connections
from sayso.store.sqlite import file

_LOOK: Final = 5.0
"""Seconds between two looks of the retention, which otherwise takes ten minutes."""

_CACHE_KIB: Final = 2 * 1024
"""Pages of the file that the writer keeps, instead of 32 MiB, which take hours to fill."""


class Watch:
    """Sees the server from inside its process, in a thread of its own."""

    def __init__(self, path: Path, every: float) -> None:
        self._path = path
        self._every = every
        self._process = psutil.Process()
        self._connections: Connections | None = None
        self._hub: Hub | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self) -> None:
        """Has what is made from now on seen."""
        watch = self

        class SeenConnections(Connections):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments)
                watch._connections, watch._loop = self, asyncio.get_running_loop()

        class SeenHub(Hub):
            def __init__(self) -> None:
                super().__init__()
                watch._hub = self

        serve.Connections = SeenConnections  # type: ignore[misc]
        sys.modules["sayso.gateway"].Hub = SeenHub  # type: ignore[attr-defined]
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def look(self, name: str) -> dict[str, Any]:
        """Seconds (of all processes' clock), bytes, and counts. `blocks`: pieces of memory that Python has given out;
        `malloc`: bytes that the C library has. `types`: of live objects, where a name was given."""
        if name:
            for _ in range(3):
                gc.collect()
        memory, processor = self._process.memory_full_info(), self._process.cpu_times()
        return {
            "name": name,
            "at": time.monotonic(),
            "rss": memory.rss,
            "uss": memory.uss,
            "malloc": _malloc(),
            "processor": processor.user + processor.system,
            "descriptors": self._process.num_fds(),
            "threads": self._process.num_threads(),
            "tasks": 0 if self._loop is None else len(asyncio.all_tasks(self._loop)),
            "connections": 0 if self._connections is None else len(self._connections),
            "topics": 0 if self._hub is None else len(self._hub._topics),
            "blocks": sys.getallocatedblocks(),
            "types": _types() if name else None,
        }

    def _run(self) -> None:
        until = time.monotonic() + self._every
        with self._path.open("a", encoding="utf-8") as looks:
            while True:
                asked, _, _ = select.select([sys.stdin], [], [], max(0.0, until - time.monotonic()))
                name = ""
                if asked:
                    line = sys.stdin.readline()
                    if not line:
                        os.kill(os.getpid(), signal.SIGTERM)
                        return
                    name = line.strip()
                else:
                    until += self._every
                looks.write(f"{json.dumps(self.look(name))}\n")
                looks.flush()


class _Mallinfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`, of all arenas together: mallinfo(3)."""

    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in ["arena", "ordblks", "smblks", "hblks", "hblkhd"]] + [
        (name, ctypes.c_size_t) for name in ["usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]
    ]


def _malloc() -> int:
    """What is in use; what was given back stays with the process, and comes and goes with the load."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    now = mallinfo2()
    return int(now.uordblks + now.hblkhd)


def _types() -> Counter[str]:
    """For a server at rest alone: whatever is looked at lives until all is counted, a cursor of a reader's, too."""
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


def _leak(size: int) -> None:
    """Keeps so many bytes of each question for ever, and a task and a descriptor."""
    kept: list[Any] = []
    ask = Gateway.ask

    async def leaking(self: Gateway, *given: Any, **named: Any) -> Any:
        kept.append((os.urandom(size), asyncio.create_task(asyncio.Event().wait()), os.dup(0)))
        return await ask(self, *given, **named)

    Gateway.ask = leaking  # type: ignore[method-assign]


def _keep(seconds: float) -> None:
    """Lets the server come to rest within minutes: what is old is removed, what is to be cached of the file is."""
    file._CACHE_KIB = _CACHE_KIB  # type: ignore[misc]
    settings._LEAST_RETENTION = 0.0  # type: ignore[misc]
    retention._LOOK = _LOOK  # type: ignore[misc]
    limits.KEY_REMAINS = int(seconds)  # type: ignore[misc]
    os.environ["SAYSO_RETENTION"] = str(seconds / 86_400)


if __name__ == "__main__":
    watch = Watch(Path(sys.argv[1]), float(sys.argv[2]))
    watch.attach()
    _keep(float(sys.argv[3]))
    if lost := int(sys.argv[4]):
        _leak(lost)
    main(sys.argv[5:])
