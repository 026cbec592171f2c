"""What calls cost as a SQLite store grows: `python -m bench.history "N events" FOLDER [PACE]`.

Makes a store of N events in FOLDER, a tenth of its requests open, unless it is there. `bench/growth.py` looks at more
of what a store does, and at a million events.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
from pathlib import Path

from bench.growth import OPERATIONS, fill, look_around, timed
from sayso.gateway import Gateway
from sayso.store.sqlite import SQLiteStore

CALLS = 200
MEASURED = {"ask_us": "ask, old run", "answer_us": "answer", "resume_us": "resume a run", "list_us": "list, open"}


async def main(row: str, folder: str, pace: str = "1") -> None:
    events = int(row.split(maxsplit=1)[0].replace(",", ""))
    path = Path(folder) / f"history-{events}.db"
    is_new = not path.exists()
    gateway = Gateway(store := SQLiteStore(path))
    async with gateway.running():
        if is_new:
            await fill(gateway, events, events // 20)
        filled = await look_around(gateway, store)
        chance = random.Random()  # noqa: S311 - which ones is no secret
        calls = min(int(CALLS * float(pace)), len(filled.open) - 10)
        times: dict[str, list[float]] = {name: [] for name in MEASURED}
        for number in range(calls):
            for name, operation in MEASURED.items():
                spent = await timed(OPERATIONS[operation](filled, chance))
                if number >= 10:
                    times[name].append(spent * 1e6)
    print(json.dumps({name: round(statistics.median(found), 1) for name, found in times.items()}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
