"""Medians, ranges, ratios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.harness.statistics import Spread, ratios


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 100.0]) == Spread(median=4.0, least=1.0, most=100.0, count=4)


def test_there_is_no_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="no figures"):
        Spread.of([])


def test_only_figures_of_the_same_round_are_compared() -> None:
    found = ratios({0: 10.0, 1: 30.0, 2: 1.0}, {0: 5.0, 1: 10.0, 3: 1_000.0})
    assert found == Spread(median=2.5, least=2.0, most=3.0, count=2)


def test_there_is_no_ratio_without_a_round_in_common() -> None:
    assert ratios({0: 1.0}, {1: 1.0}) is None
    assert ratios({0: 1.0}, {0: 0.0}) is None


@given(st.dictionaries(st.integers(0, 9), st.floats(0.1, 1e6), min_size=1), st.floats(0.1, 10))
def test_a_machine_that_is_slower_for_both_changes_no_ratio(figures: dict[int, float], times: float) -> None:
    found = ratios({number: times * figure for number, figure in figures.items()}, figures)
    assert found is not None
    assert found.least == pytest.approx(times)
    assert found.most == pytest.approx(times)
