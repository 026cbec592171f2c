"""The life cycle of a request, its texts, and the two events."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.errors import AlreadySettled
from sayso.model import Answer, InputCompleted, InputRequired, Option, Request, derived_uuid, is_id
from tests.builders import NOW, answered, asked, completed, request

HOW = {"by": "key:a", "channel": "http", "now": NOW, "event_id": "event-2"}
OPTIONS = (Option(id="s", label="Ship it"), Option(id="w"))


def settled(pending: Request | None = None, **members: Any) -> Request:
    answer = Answer(**{"answer_id": "a", "decision": "respond"} | members)
    return (pending or request(options=OPTIONS)).answered(answer, **HOW)


@pytest.mark.promise("ANSWER-2")
@pytest.mark.parametrize("first", ["answered", "expired", "cancelled"])
@pytest.mark.parametrize("second", ["answered", "expired", "cancelled"])
def test_a_request_settles_once(first: str, second: str) -> None:
    how = {
        "answered": lambda one: one.answered(Answer(answer_id="a", decision="approve"), **HOW),
        "expired": lambda one: one.expired(None, now=NOW, event_id="event-2"),
        "cancelled": lambda one: one.cancelled("no longer needed", **HOW),
    }
    done = how[first](request())

    with pytest.raises(AlreadySettled) as refused:
        how[second](done)

    assert refused.value.request is done


def test_settling_makes_a_new_value_and_leaves_the_old() -> None:
    pending = request()

    done = answered(pending)

    assert pending.is_open
    assert not done.is_open
    assert (done.request_id, done.prompt, done.created_at) == (pending.request_id, pending.prompt, pending.created_at)


@pytest.mark.promise("SETTLE-3")
def test_an_expired_request_says_so_and_carries_what_was_chosen() -> None:
    done = request().expired(Answer(answer_id="d", decision="reject"), now=NOW, event_id="e")

    assert (done.status, done.settled_by, done.settled_channel) == ("expired", "system:deadline", "system")
    assert done.answer is not None
    assert done.answer.decision == "reject"
    assert done.human_feedback == ""


@pytest.mark.promise("SETTLE-3")
def test_a_deadline_that_chooses_to_cancel_cancels() -> None:
    done = request().expired(None, now=NOW, event_id="e")

    assert (done.status, done.settled_by, done.answer) == ("cancelled", "system:deadline", None)


@pytest.mark.parametrize(
    ("members", "feedback"),
    [
        ({"text": "fine"}, "fine"),
        ({"text": ""}, ""),
        ({"text": "fine", "option_ids": ("s",)}, "fine"),
        ({"option_ids": ("s",)}, "Ship it"),
        ({"option_ids": ("w",)}, "w"),
        ({"decision": "edit", "edited": "a new draft"}, "a new draft"),
        ({"decision": "edit", "edited": {"to": "you", "n": 1}}, '{"to":"you","n":1}'),
        ({"values": {"day": "Monday"}}, '{"day":"Monday"}'),
        ({"values": ["a", 1]}, '["a",1]'),
        ({"values": False}, "false"),
        ({"values": 0}, "0"),
        ({"decision": "approve"}, ""),
        ({"decision": "reject"}, "reject"),
        ({"decision": "reject", "text": "too dear"}, "too dear"),
        ({"decision": "approve", "comment": "well done"}, ""),
    ],
)
def test_human_feedback_is_always_a_text(members: dict[str, Any], feedback: str) -> None:
    done = settled(**members)

    assert done.human_feedback == feedback
    assert completed(done).human_feedback == feedback


@pytest.mark.promise("EVENT-3")
def test_nobodys_answer_is_no_feedback() -> None:
    chosen = Answer(answer_id="d", decision="respond", text="the default")

    for done in (
        request(),
        request().expired(chosen, now=NOW, event_id="e"),
        request().expired(None, now=NOW, event_id="e"),
        request().cancelled("gone", **HOW),
    ):
        assert done.human_feedback == ""


@pytest.mark.promise("EVENT-3")
def test_a_cancelled_request_has_a_completed_event_with_its_status() -> None:
    fact = completed(request().cancelled("gone", **HOW))

    assert (fact.status, fact.decision, fact.reason, fact.human_feedback) == ("cancelled", None, "gone", "")


@pytest.mark.promise("EVENT-2")
def test_the_two_events_share_the_request_and_never_their_own_id() -> None:
    pending = request()
    done = answered(pending)

    first, second = asked(pending), completed(done)

    assert first.request_id == second.request_id == pending.request_id
    assert first.event_id != second.event_id
    assert (first.timestamp, second.timestamp) == (done.created_at, done.settled_at)


def test_a_pending_request_has_no_completed_event() -> None:
    with pytest.raises(ValueError, match="still pending"):
        InputCompleted.of(request())


@pytest.mark.promise("EVENT-1")
def test_the_events_have_the_members_of_the_seed() -> None:
    shown = msgspec.to_builtins(asked(request())), msgspec.to_builtins(completed(answered(request())))

    assert shown[0].keys() >= {
        "type", "execution_id", "crew_id", "task_id", "agent_id", "prompt", "context", "timestamp", "event_id",
        "reason_flags",
    }  # fmt: skip
    assert shown[1].keys() >= {
        "type", "execution_id", "crew_id", "task_id", "agent_id", "event_id", "human_feedback", "timestamp",
    }  # fmt: skip
    assert (shown[0]["type"], shown[1]["type"]) == ("human_input_required", "human_input_completed")


def test_the_asking_event_tells_what_the_request_holds() -> None:
    pending = request(options=OPTIONS, metadata={"a": 1}, priority="urgent", timeout=5)

    fact = InputRequired.of(pending)

    for name in ("prompt", "options", "metadata", "priority", "deadline", "allow", "on_timeout", "source", "round"):
        assert getattr(fact, name) == getattr(pending, name)


def test_an_option_is_found_by_its_id() -> None:
    assert request(options=OPTIONS).option("w") == OPTIONS[1]
    with pytest.raises(KeyError):
        request(options=OPTIONS).option("Ship it")


@pytest.mark.promise("ASK-2", "ASK-3")
@pytest.mark.parametrize(
    ("members", "same"),
    [
        ({}, True),
        ({"title": "another title"}, True),
        ({"priority": "high"}, True),
        ({"timeout": 60}, True),
        ({"metadata": {"retry": 2}}, True),
        ({"prompt": "another"}, False),
        ({"context": "another draft"}, False),
        ({"kind": "gate"}, False),
        ({"execution_id": "run-2"}, False),
        ({"options": (Option(id="a"),)}, False),
        ({"response_schema": {"type": "object"}}, False),
    ],
)
def test_what_makes_two_questions_the_same(members: dict[str, Any], same: bool) -> None:
    assert request().same_question(request(**members)) is same


@pytest.mark.promise("ASK-2")
def test_the_order_of_members_makes_no_other_question() -> None:
    one = request(response_schema={"type": "object", "title": "T"})
    two = request(response_schema={"title": "T", "type": "object"})

    assert one.same_question(two)


@pytest.mark.parametrize("text", ["a", "A-Z.0_9~:", "a" * 128, "...", "a.", "018f3c5e-1c5e-7000-8000-000000000000"])
def test_an_id_is_an_id(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a" * 129, "a b", "a/b", "a\n", "\na", "ä", "a\x00", "٣", "a?b", "%41"]
)
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_a_derived_uuid_is_the_same_for_the_same_parts(parts: list[str]) -> None:
    first = derived_uuid(*parts)

    assert derived_uuid(*parts) == first
    assert uuid.UUID(first).version == 5
    assert derived_uuid(*parts, "more") != first
