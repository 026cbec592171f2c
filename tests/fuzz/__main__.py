"""Fuzzes for as long as it is told: `scripts/fuzz --inputs 1000000`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec

from tests.fuzz.running import TARGETS, check_all, endless
from tests.fuzz.target import Found, Target

_CHEAP = 6
"""How many times as many inputs a function gets as what needs a connection."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzzes everything that parses.")
    parser.add_argument("--inputs", type=int, default=100_000, help="Of all targets together.  [default: 100000]")
    parser.add_argument(
        "--target", action="append", choices=[one.name for one in TARGETS], help="This one; repeatable."
    )
    parser.add_argument("--seed", type=int, default=1, help="Another one draws other inputs.  [default: 1]")
    said = parser.parse_args()
    targets = [one for one in TARGETS if said.target is None or one.name in said.target]
    total, found = 0, 0
    for target, count in _shares(targets, said.inputs):
        began = time.monotonic()
        problem = _guided(target, count, said.seed) if _is_guided(target) else _drawn(target, count, said.seed)
        found += problem is not None
        total += count
        how = "led by coverage" if _is_guided(target) else "drawn and changed"
        print(
            f"{target.name}: {count:,} inputs, {how}, {time.monotonic() - began:.0f} s: {problem or 'nothing'}",
            flush=True,
        )
    print(f"{total:,} inputs of {len(targets)} targets: {found or 'nothing'} found")
    return 1 if found else 0


def _shares(targets: list[Target], inputs: int) -> Iterator[tuple[Target, int]]:
    weights = [target.count * (_CHEAP if target.is_pure else 1) for target in targets]
    for target, weight in zip(targets, weights, strict=True):
        yield target, -(-inputs * weight // sum(weights))


def _is_guided(target: Target) -> bool:
    return target.is_pure and find_spec("atheris") is not None


def _guided(target: Target, count: int, seed: int) -> str | None:
    """What was found, by `tests.fuzz.guided`."""
    command = [sys.executable, "-m", "tests.fuzz.guided", target.name, str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    return None if done.returncode == 0 and "Done" in said else _end_of(said)


def _end_of(said: str) -> str:
    """Without which modules were prepared."""
    return "\n".join(line for line in said.splitlines() if not line.startswith(("INFO", "#")))[-4_000:]


def _drawn(target: Target, count: int, seed: int) -> str | None:
    """What was found. Each part begins anew, so that what is kept by a server or a client does not grow."""
    left = count
    try:
        for inputs in endless(target, seed):
            with target.opened() as check:
                left -= check_all(check, inputs[:left])
            if left <= 0:
                break
    except Found as exc:
        return str(exc)
    return None


if __name__ == "__main__":
    sys.exit(main())
