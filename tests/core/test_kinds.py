"""The table of kinds in docs/protocol.md, cell by cell, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sayso import limits
from sayso.errors import Invalid
from sayso.kinds import RULES, resolve
from sayso.model import Action, Answer, Option, Request, Submission
from tests.builders import request

SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
OPTIONS = (Option(id="s", label="Ship it"), Option(id="w", label="Wait"))
ACTION = Action(name="pay", args={"sum": 3}, args_schema={"type": "object", "required": ["sum"]})
KINDS: dict[str, dict[str, Any]] = {
    "review": {"kind": "review"},
    "approval": {"action": ACTION},
    "gate": {"kind": "gate"},
    "question": {},
    "choice": {"options": OPTIONS},
    "form": {"response_schema": SCHEMA},
}
REFUSED = None


def of_kind(kind: str) -> Request:
    made = request(**KINDS[kind])
    assert made.kind == kind
    return made


def answer_to(asked: Request, **members: Any) -> Answer:
    return resolve(asked, Submission(**members), "answer-1")


def faults_of(asked: Request, **members: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        answer_to(asked, **members)
    return [fault.pointer for fault in refused.value.faults]


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize(
    ("kind", "allow"),
    [
        ("review", ("approve", "edit", "respond", "reject")),
        ("approval", ("approve", "edit", "reject")),
        ("gate", ("respond", "approve", "reject")),
        ("question", ("respond",)),
        ("choice", ("respond",)),
        ("form", ("respond",)),
    ],
)
def test_a_kind_allows_what_the_table_says(kind: str, allow: tuple[str, ...]) -> None:
    assert of_kind(kind).allow == allow


def test_the_table_is_whole() -> None:
    assert RULES.keys() == KINDS.keys()


@pytest.mark.promise("ANSWER-5")
def test_an_approval_without_an_action_has_nothing_to_edit() -> None:
    asked = request(kind="approval")

    assert asked.allow == ("approve", "reject")
    assert faults_of(asked, decision="edit", edited="x") == ["/decision"]


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize("blank", ["", "  ", "\n\t\u2003"])
@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("review", ("approve", None)),
        ("approval", ("approve", None)),
        ("gate", ("respond", "itself")),
        ("question", ("respond", "itself")),
        ("choice", REFUSED),
        ("form", REFUSED),
    ],
)
def test_a_blank_text_means_what_the_table_says(kind: str, meaning: tuple[str, Any] | None, blank: str) -> None:
    if meaning is REFUSED:
        assert faults_of(of_kind(kind), human_feedback=blank) == ["/human_feedback"]
        return

    answer = answer_to(of_kind(kind), human_feedback=blank)

    decision, text = meaning
    assert (answer.decision, answer.text) == (decision, blank if text else None)


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("review", "respond"),
        ("approval", REFUSED),
        ("gate", "respond"),
        ("question", "respond"),
        ("choice", REFUSED),
        ("form", REFUSED),
    ],
)
@pytest.mark.parametrize("member", ["human_feedback", "text"])
def test_a_text_means_what_the_table_says(kind: str, decision: str | None, member: str) -> None:
    if decision is REFUSED:
        assert faults_of(of_kind(kind), **{member: "yes"}) == [f"/{member}"]
        return

    answer = answer_to(of_kind(kind), **{member: "yes"})

    assert (answer.decision, answer.text) == (decision, "yes")


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize("text", ["w", "Wait", "  Wait\n"])
def test_a_choice_takes_an_options_id_or_label(text: str) -> None:
    answer = answer_to(of_kind("choice"), human_feedback=text)

    assert (answer.decision, answer.option_ids, answer.text) == ("respond", ("w",), None)


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize("label", ["Wait ", "\tWait"])
def test_a_choice_takes_a_label_as_it_was_offered(label: str) -> None:
    asked = request(options=(Option(id="s", label="Ship"), Option(id="w", label=label)))

    assert answer_to(asked, human_feedback=label).option_ids == ("w",)


@pytest.mark.parametrize(
    "options",
    [(Option(id="1", label="2"), Option(id="2", label="1")), (Option(id="1", label="2"), Option(id="3", label="2"))],
)
def test_a_text_that_names_two_options_chooses_none(options: tuple[Option, ...]) -> None:
    asked = request(options=options)

    with pytest.raises(Invalid, match="several of the options"):
        answer_to(asked, human_feedback="2")
    assert answer_to(asked, option_ids=("1",)).option_ids == ("1",)


@pytest.mark.parametrize("kind", ["approval", "form"])
def test_options_that_nobody_could_choose_are_refused(kind: str) -> None:
    with pytest.raises(Invalid, match="/options: cannot be chosen"):
        request(kind=kind, options=OPTIONS, response_schema={"type": "object"})


@pytest.mark.promise("ANSWER-5")
@pytest.mark.parametrize("kind", ["review", "gate", "question"])
def test_a_text_that_is_an_option_chooses_it_where_options_are_offered(kind: str) -> None:
    asked = request(kind=kind, options=OPTIONS)

    assert answer_to(asked, human_feedback="Ship it").option_ids == ("s",)
    assert answer_to(asked, human_feedback="something else").text == "something else"
    assert answer_to(asked, option_ids=("s",), text="because").text == "because"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decision", ["approve", "edit", "respond", "reject"])
@pytest.mark.promise("ANSWER-4")
def test_a_decision_that_is_not_allowed_is_refused(kind: str, decision: str) -> None:
    asked = of_kind(kind)
    members = {"edit": {"edited": {"sum": 1} if kind == "approval" else "x"}, "respond": {"text": "x"}}
    if decision in asked.allow:
        if kind not in ("choice", "form"):
            assert answer_to(asked, decision=decision, **members.get(decision, {})).decision == decision
        return

    assert faults_of(asked, decision=decision, **members.get(decision, {})) == ["/decision"]


@pytest.mark.promise("ANSWER-4")
def test_what_the_asker_does_not_allow_is_refused() -> None:
    asked = request(kind="review", allow=("approve", "reject"))

    assert faults_of(asked, human_feedback="please change it") == ["/decision"]
    assert answer_to(asked, human_feedback="").decision == "approve"


# option_ids


@pytest.mark.parametrize("kind", ["choice", "review", "question"])
def test_option_ids_choose_exactly_one_of_the_options(kind: str) -> None:
    asked = request(kind=kind, options=OPTIONS)

    assert answer_to(asked, option_ids=("w",)).option_ids == ("w",)
    assert faults_of(asked, option_ids=()) == ["/option_ids"]
    assert faults_of(asked, option_ids=("s", "w")) == ["/option_ids"]
    assert faults_of(asked, option_ids=("Wait",)) == ["/option_ids/0"]


@pytest.mark.parametrize("kind", ["approval", "form"])
def test_option_ids_mean_nothing_to_a_kind_without_options(kind: str) -> None:
    assert faults_of(of_kind(kind), option_ids=("s",))


def test_a_choice_has_no_use_for_a_text_beside_the_option() -> None:
    assert faults_of(of_kind("choice"), option_ids=("s",), text="because") == ["/option_ids"]


# values


@pytest.mark.promise("ANSWER-4")
def test_a_form_takes_values_that_fit_its_schema() -> None:
    asked = of_kind("form")

    assert answer_to(asked, values={"day": "Monday"}).values == {"day": "Monday"}
    assert answer_to(asked, decision="respond", values={"day": "Monday"}).values == {"day": "Monday"}
    assert faults_of(asked, values={"day": 1}) == ["/values/day"]
    assert faults_of(asked, values={}) == ["/values"]
    assert faults_of(asked, decision="respond") == ["/values"]
    assert faults_of(asked, values={"day": "Monday"}, text="and more") == ["/values"]


@pytest.mark.parametrize("values", [False, 0, "", []])
def test_a_form_takes_values_that_are_falsy(values: Any) -> None:
    assert answer_to(request(response_schema={}), values=values).values == values


@pytest.mark.parametrize("kind", ["review", "gate", "question"])
def test_values_need_a_response_schema(kind: str) -> None:
    assert faults_of(of_kind(kind), values={"a": 1}) == ["/values"]


@pytest.mark.parametrize("kind", ["approval", "choice"])
def test_values_mean_nothing_to_a_kind_without_a_form(kind: str) -> None:
    assert faults_of(of_kind(kind), values={"a": 1})


@pytest.mark.promise("ANSWER-4")
def test_values_are_not_nested_deeper_than_any_reader_can_follow() -> None:
    deep: Any = "bottom"
    for _ in range(limits.JSON_DEPTH + 1):
        deep = [deep]

    assert faults_of(request(response_schema={}), values=deep) == ["/values"]
    assert faults_of(request(action=Action(name="pay")), edited={"a": deep}) == ["/edited"]


# edited


@pytest.mark.promise("ANSWER-4")
def test_a_review_is_edited_with_a_text() -> None:
    asked = of_kind("review")

    assert answer_to(asked, edited="a new draft").edited == "a new draft"
    assert answer_to(asked, edited="a new draft").decision == "edit"
    assert faults_of(asked, edited=" ") == ["/edited"]
    assert faults_of(asked, edited={"a": 1}) == ["/edited"]
    assert faults_of(asked, decision="edit") == ["/edited"]


@pytest.mark.promise("ANSWER-4")
def test_an_approval_is_edited_with_arguments_that_fit_the_actions_schema() -> None:
    asked = of_kind("approval")

    assert answer_to(asked, edited={"sum": 1}).edited == {"sum": 1}
    assert faults_of(asked, edited="sum=1") == ["/edited"]
    assert faults_of(asked, edited={"amount": 1}) == ["/edited"]


@pytest.mark.promise("ANSWER-4")
def test_a_structured_review_is_edited_with_a_value_that_fits_its_schema() -> None:
    asked = request(kind="review", response_schema=SCHEMA)

    assert answer_to(asked, edited={"day": "Monday"}).edited == {"day": "Monday"}
    assert faults_of(asked, edited={"day": 1}) == ["/edited/day"]
    assert faults_of(asked, decision="edit") == ["/edited"]


@pytest.mark.parametrize("kind", ["gate", "question", "choice", "form"])
def test_an_edit_means_nothing_to_a_kind_without_a_draft(kind: str) -> None:
    assert faults_of(of_kind(kind), edited="x") == ["/decision"]


# everything


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_answer_is_refused(kind: str) -> None:
    assert faults_of(of_kind(kind)) == [""]


def test_two_names_for_the_text_are_refused() -> None:
    assert faults_of(of_kind("question"), text="a", human_feedback="a") == ["/human_feedback"]


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"decision": "approve", "text": "but…"}, ["/text"]),
        ({"decision": "approve", "human_feedback": "but…"}, ["/human_feedback"]),
        ({"decision": "approve", "edited": "x", "values": 1}, ["/values", "/edited"]),
        ({"decision": "reject", "edited": "x"}, ["/edited"]),
        ({"decision": "edit", "edited": "x", "text": "y"}, ["/text"]),
        ({"decision": "respond", "text": "y", "edited": "x"}, ["/edited"]),
    ],
)
def test_nothing_that_was_said_is_lost_silently(members: dict[str, Any], pointers: list[str]) -> None:
    assert faults_of(of_kind("review"), **members) == pointers


def test_a_blank_text_beside_an_approval_is_no_contradiction() -> None:
    assert answer_to(of_kind("review"), decision="approve", human_feedback=" ").text is None


def test_a_rejection_may_say_why() -> None:
    assert answer_to(of_kind("review"), decision="reject", text="too dear").text == "too dear"
    assert answer_to(of_kind("review"), decision="reject", text=" ").text is None


def test_a_review_is_not_asked_again_for_nothing() -> None:
    assert faults_of(of_kind("review"), decision="respond", text=" ") == ["/text"]


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"text": "ä" * (limits.TEXT // 2 + 1)}, "/text"),
        ({"human_feedback": "a" * (limits.TEXT + 1)}, "/human_feedback"),
        ({"edited": "a" * (limits.TEXT + 1)}, "/edited"),
        ({"text": "a", "comment": "a" * (limits.COMMENT + 1)}, "/comment"),
        ({"text": "a", "answer_id": "no id"}, "/answer_id"),
        ({"text": "a", "answer_id": ""}, "/answer_id"),
    ],
)
def test_what_is_too_large_or_no_id_is_refused(members: dict[str, Any], pointer: str) -> None:
    assert faults_of(of_kind("review"), **members) == [pointer]


def test_a_text_of_exactly_the_limit_is_taken() -> None:
    assert answer_to(of_kind("question"), text="ä" * (limits.TEXT // 2)).text


def test_the_answer_has_the_id_that_was_resolved_for_it() -> None:
    answer = answer_to(of_kind("question"), text="a", answer_id="mine", comment="by the way")

    assert (answer.answer_id, answer.comment) == ("answer-1", "by the way")
