"""What is fuzzed: a parser, its inputs, what must hold for each, and a broken double that must be found."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from hypothesis.strategies import SearchStrategy

from sayso.errors import Invalid, SaysoError

CANARY: Final = "canary-7f3a"
"""Stands in inputs, and in no error."""
_HANGS: Final = 120.0
"""Seconds for a few inputs, on a machine that has much else to do; then the process ends with all its stacks."""

Check = Callable[[Sequence[bytes]], None]
"""Raises, with the input, where one of the inputs does what it must not."""


class Found(AssertionError):
    """An input that does what none may."""

    def __init__(self, data: bytes, what: object) -> None:
        super().__init__(f"{what!r} of {data!r}")


@dataclass(frozen=True)
class Target:
    """`opened` gives what checks inputs, while it is entered; `control` the same of a broken double. `count`: inputs in
    the gate. `is_pure`: nothing but a function, so that each input can be tried alone, again and quickly.
    """

    name: str
    inputs: SearchStrategy[bytes]
    opened: Callable[[], AbstractContextManager[Check]]
    control: Callable[[], AbstractContextManager[Check]]
    count: int
    is_pure: bool = False


def pure(
    name: str,
    inputs: SearchStrategy[bytes],
    check: Callable[[bytes], Any],
    control: Callable[[bytes], Any],
    count: int = 300,
) -> Target:
    """A function that raises where what must hold does not."""
    return Target(name, inputs, lambda: _each(check), lambda: _each(control), count, is_pure=True)


@contextmanager
def _each(check: Callable[[bytes], Any]) -> Iterator[Check]:
    def every(inputs: Sequence[bytes]) -> None:
        for data in inputs:
            try:
                check(data)
            except Exception as exc:
                raise Found(data, exc) from exc

    yield every


@contextmanager
def in_time() -> Iterator[None]:
    """What hangs in it ends the process: no exception would come through a native parser."""
    faulthandler.dump_traceback_later(_HANGS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def refused(parse: Callable[[], Any], *documented: type[SaysoError]) -> Any:
    """What `parse` gives; None where it refuses, as it is documented, and without a copy of what it got."""
    try:
        return parse()
    except documented as error:
        check_silent(error)
        return None


def check_silent(error: SaysoError) -> None:
    """An error holds nothing that the sender wrote, but for names of members below what a schema describes."""
    told = [fault.detail for fault in error.faults] if isinstance(error, Invalid) else [error.detail]
    assert not any(CANARY in one for one in told), f"it is told again: {error!r}"
