"""Every target with a few hundred inputs, the same every time; and every control, which must be found out."""

from __future__ import annotations

import pytest

from tests.fuzz import calls
from tests.fuzz.running import TARGETS, check_all, check_smallest, drawn
from tests.fuzz.target import Found, Target

_LEAST = 5_000
"""Inputs of all targets together."""
_TURNS = 30
"""Of 60 inputs each; nearly all need one."""
_BY_NAME = pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])


@_BY_NAME
def test_whatever_comes_is_taken_or_refused_as_documented(target: Target) -> None:
    with target.opened() as check:
        if target.is_pure:
            tried = check_smallest(check, target, target.count)
        else:
            tried = check_all(check, drawn(target, target.count))
    assert tried >= target.count * 0.9  # of few different inputs there are fewer


@_BY_NAME
def test_a_parser_that_is_broken_is_found_out(target: Target) -> None:
    """The control."""
    with target.control() as check, pytest.raises(Found):
        for number in range(_TURNS):
            check_all(check, drawn(target, 60, number))


def test_they_are_enough() -> None:
    assert sum(target.count for target in TARGETS) >= _LEAST


def test_a_store_that_others_share_takes_or_refuses_as_one_in_memory_does(database: str) -> None:
    """PostgreSQL holds less than Python's text does."""
    with calls.opened(database) as check:
        check_all(check, drawn(calls.TARGETS[0], 200))
