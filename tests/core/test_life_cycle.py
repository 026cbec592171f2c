"""Random histories of one request, in the pure core: pending once, settled once, and then for ever the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sayso.asking import default_answer
from sayso.errors import AlreadySettled
from sayso.kinds import resolve
from sayso.model import Request, Submission
from sayso.wire import decode_request, encode
from tests.builders import NOW, completed, request

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KINDS = st.sampled_from(["review", "gate", "question"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), TEXTS),
        st.tuples(st.just("cancel"), TEXTS),
        st.tuples(st.just("expire"), st.just("")),
    ),
    max_size=6,
)


def take(step: tuple[str, str], one: Request, number: int) -> Request:
    """`one` after the step. Raises AlreadySettled."""
    name, text = step
    how: dict[str, Any] = {"now": NOW, "event_id": f"event-{number}"}
    if name == "answer":
        answer = resolve(one, Submission(human_feedback=text), f"answer-{number}")
        return one.answered(answer, by="key:a", channel="http", **how)
    if name == "cancel":
        return one.cancelled(text, by="key:a", channel="http", **how)
    return one.expired(default_answer(one, "a1"), **how)


@given(KINDS, STEPS)
def test_only_the_first_settlement_of_a_history_counts(kind: str, steps: list[tuple[str, str]]) -> None:
    one = request(kind=kind)

    for number, step in enumerate(steps):
        was = one
        try:
            one = take(step, one, number)
        except AlreadySettled as refused:
            assert number > 0
            assert refused.request is was
        else:
            assert number == 0
            assert completed(one).status == one.status != "pending"

    assert one.is_open is (not steps)
    if steps:
        assert one.settled_event_id == "event-0"


@given(KINDS, STEPS)
def test_a_request_in_any_state_is_written_and_read_back(kind: str, steps: list[tuple[str, str]]) -> None:
    one = request(kind=kind)
    for number, step in enumerate(steps[:1]):
        one = take(step, one, number)

    assert decode_request(encode(one)) == one
