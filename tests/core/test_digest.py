"""Fingerprints: equal for equal things, told apart otherwise."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sayso.digest import action_digest, question_digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1_000, 1_000) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_the_order_of_members_does_not_matter(args: dict[str, Any]) -> None:
    turned = dict(reversed(args.items()))

    assert action_digest("pay", args) == action_digest("pay", turned)
    assert question_digest(args) == question_digest(turned)


@given(TEXT, TEXT)
def test_different_names_have_different_digests(one: str, two: str) -> None:
    assert (action_digest(one, {}) == action_digest(two, {})) is (one == two)
    assert (question_digest(one, "") == question_digest(two, "")) is (one == two)
