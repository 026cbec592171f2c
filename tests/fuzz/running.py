"""All targets; draws their inputs, and has them checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz import audits, calls, forms, hostile, javascript, lines, parsing, sockets, streams
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Check, Target, in_time

TARGETS: Final[tuple[Target, ...]] = (
    *(*parsing.TARGETS, *forms.TARGETS, *lines.TARGETS, *audits.TARGETS, *streams.TARGETS, *calls.TARGETS),
    *(*sockets.TARGETS, *hostile.TARGETS, *javascript.TARGETS),
)
_BATCH: Final = 64
_DRAWN: Final = 500
"""Inputs drawn at once: Hypothesis remembers all of them."""
_CHANGES: Final = 7
"""Inputs made of each that was drawn, in a long run: to draw costs more than to check."""
_EVERY: Final = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


def drawn(target: Target, count: int, number: int | None = None) -> list[bytes]:
    """Inputs: with no `number` the same every time."""
    found: list[bytes] = []

    @settings(max_examples=count, phases=[Phase.generate], derandomize=number is None, **_EVERY)
    @given(target.inputs)
    def draw(data: bytes) -> None:
        found.append(data)

    (draw if number is None else seed(number)(draw))()
    return found


def check_all(check: Check, inputs: Sequence[bytes]) -> int:
    """How many there were. Raises Found."""
    for at in range(0, len(inputs), _BATCH):
        check(inputs[at : at + _BATCH])
    return len(inputs)


def check_smallest(check: Check, target: Target, count: int) -> int:
    """The same, of what is drawn; raises Found with the smallest input that does it."""
    tried = 0

    @settings(max_examples=count, derandomize=True, **_EVERY)
    @given(target.inputs)
    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        check([data])

    with in_time():
        one()
    return tried


def endless(target: Target, start: int) -> Iterator[list[bytes]]:
    """Inputs without an end: drawn, and changed."""
    while True:
        fresh = drawn(target, _DRAWN, start)
        yield fresh
        random = Random(start)  # noqa: S311 - repeated, not secret
        for _ in range(_CHANGES):
            yield [mutated(data, random.getrandbits(64)) for data in fresh]
        start += 1
