"""How long `sayso migrate` takes, and how much memory: `.venv/bin/python -m bench.moving [EVENTS [FOLDER]]`.

A SQLite store of EVENTS events (100,000), a tenth of its requests open, goes to a PostgreSQL on the same machine that
waits for the disk. The store is kept in FOLDER where one is given, and used again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.postgres import Cluster

from bench.growth import fill
from sayso.gateway import Gateway
from sayso.store.sqlite import SQLiteStore


async def make(path: Path, events: int) -> None:
    async with (gateway := Gateway(SQLiteStore(path))).running():
        await fill(gateway, events, events // 20)


def moved(path: Path, target: str) -> tuple[float, float]:
    """Seconds, and the most memory in MB."""
    sayso = str(Path(sys.executable).with_name("sayso"))
    begun = time.perf_counter()
    process = subprocess.Popen([sayso, "migrate", f"sqlite:///{path}", target])  # noqa: S603 - our own
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the move failed")
    return time.perf_counter() - begun, used.ru_maxrss / 1024


def main(events: int = 100_000, folder: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as spare:
        path = Path(folder or spare) / f"{events}.db"
        if not path.exists():
            asyncio.run(make(path, events))
        cluster = Cluster()
        try:
            target = cluster.database()
            for what in ("moved and checked", "run again, checked"):
                seconds, memory = moved(path, target)
                print(
                    f"{events:,} events, {path.stat().st_size / 1e6:.0f} MB: {what} in {seconds:.1f} s, {memory:.0f} MB"
                )
        finally:
            cluster.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
