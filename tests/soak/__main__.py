"""`scripts/soak [--minutes N]`: a server under steady, mixed life, watched for whatever it does not give back."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from tests.postgres import Cluster
from tests.soak.judging import GROWTH, HELD, MEMORY, MIB, growth, left, quantile, verdicts
from tests.soak.sizes import Sizes, of_database, of_file
from tests.soak.soaking import Soaked, soak

_LOOKS: Final = 1_440
"""As many points as a curve needs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0, metavar="N", help="how long (120; the short form: 3)")
    parser.add_argument("--rate", type=float, default=1.0, metavar="N", help="runs of agents that begin in a second")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="where all that was seen is kept (a new one)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw it, as SVG")
    parser.add_argument(
        "--leak", type=int, default=0, metavar="BYTES", help="lose so many for each question: a control"
    )
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="sayso-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"all that is seen is kept in {folder}", flush=True)
    seconds = given.minutes * 60
    with ExitStack() as stack:
        if given.store == "postgres":
            cluster = Cluster()
            stack.callback(cluster.close)
            store = cluster.database()
            sizes: Sizes = partial(of_database, cluster, store)
        else:
            store, sizes = f"sqlite:///{folder / 'log.db'}", partial(of_file, folder / "log.db")
        soaking = soak(
            *(folder, store, sizes),
            seconds=seconds,
            rate=given.rate,
            every=min(5.0, max(0.5, seconds / _LOOKS)),
            keep=max(30.0, min(300.0, seconds / 24)),
            leak=given.leak,
        )
        found = asyncio.run(soaking)
    wrong = report(found)
    (folder / "soaked.json").write_text(json.dumps(found.__dict__))
    if given.picture:
        from tests.soak.drawing import draw

        draw(found, given.picture)
    return 1 if wrong else 0


def report(found: Soaked) -> list[str]:
    """Says what was seen, and gives what is wrong."""
    looks, seconds = found.looks, found.seconds
    used = looks[-1]["processor"] - looks[0]["processor"]
    clients = found.lives[-1]["clients_processor"] - found.lives[0]["clients_processor"]
    print(f"{seconds / 60:.1f} min: {', '.join(f'{count:,} {what}' for what, count in sorted(found.counts.items()))}")
    print(f"processor: server {used / seconds:.1%}, clients {clients / seconds:.1%} of a core")
    for what in MEMORY:
        first, last, most = looks[0][what], looks[-1][what], max(look[what] for look in looks)
        print(
            f"{what}: {first / MIB:.1f} MiB at first, {last / MIB:.1f} at last, {most / MIB:.1f} at most; "
            f"{growth(looks, what) / MIB:+.2f} MiB by the slope of the last two thirds (at most {GROWTH / MIB:.0f})"
        )
    print(f"blocks: {growth(looks, 'blocks'):+,.0f} by the slope of the last two thirds")
    for what in ("blocks", "topics", *HELD):
        print(f"{what} at rest: {found.begin[what]:,} at the beginning, {found.end[what]:,} at the end")
    print("more of:", ", ".join(f"{count} {name}" for name, count in left(found.begin, found.end)))
    for what, words in (("told", "ask to event"), ("settled", "answer to asker")):
        took = [1_000 * one for life in found.lives for one in life[what]]
        if took:
            middle, slow = quantile(took, 0.5), quantile(took, 0.99)
            print(f"{words}: {middle:.1f} ms (median), {slow:.1f} (99 %), {max(took):.1f} at most")
    for what, last in found.lives[-1]["store"].items():
        print(
            f"store, {what}: {found.lives[len(found.lives) // 3]['store'][what]:,} after a third, {last:,} at the end"
        )
    wrong = verdicts(looks, found.begin, found.end, len(found.faults))
    print("\n".join(wrong) or "All was given back, and memory stayed flat.")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
