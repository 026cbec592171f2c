"""`sayso answer` at a real terminal: what it shows, what it asks, and what comes of the keys pressed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sayso import Action, Client, Option, Request
from tests.cli.conftest import FORBIDDEN, HOSTILE, AtTerminal

Terminal = Callable[..., AtTerminal]
Put = Callable[..., Request]

_FORM = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Which city"},
        "berths": {"type": "integer"},
        "is_urgent": {"type": "boolean"},
        "size": {"enum": ["small", "large"]},
        "remark": {"type": "string"},
    },
    "required": ["city", "berths", "is_urgent", "size"],
    "additionalProperties": False,
}


def _editor(folder: Path, code: str) -> str:
    """A command for $EDITOR: `code` makes the new `text` of the old one."""
    script = folder / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text()\n"
        f"{code}\n"
        "file.write_text(text)\n"
        "import os\n"
        "os.utime(file, (2_000_000_000, 2_000_000_000))\n"  # an editor takes longer than this one
    )
    return f"{sys.executable} {script}"


def _answered(person: Client, request: Request) -> dict[str, Any]:
    """What was answered, without what was left out."""
    settled = person.get(request.request_id)
    assert settled.answer is not None, settled
    members = {name: getattr(settled.answer, name) for name in ("decision", "text", "option_ids", "values", "edited")}
    return {name: value for name, value in members.items() if value not in (None, ())}


def test_a_person_approves(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", prompt="May this go out?", context="**The ferry** is back")
    at = terminal("answer", asked.request_id[-8:])
    at.until("May this go out?").until("The ferry").until("[a]pprove  [e]dit  [w]rite  [r]eject: ").type("a")
    assert at.end() == 0
    assert f"answered {asked.request_id}: approve" in at.output.replace("\x1b[0m", "")
    assert _answered(person, asked) == {"decision": "approve"}


def test_a_person_writes_what_should_change(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", context="a draft")
    at = terminal("answer", asked.request_id)
    at.until("[w]rite").type("w").until("What should change: ").type("shorter, bitte — größer nicht")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "respond", "text": "shorter, bitte — größer nicht"}


def test_a_person_answers_a_question_in_words(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(prompt="Which harbour?")
    at = terminal("answer", asked.request_id)
    at.until("Your answer: ").type("Esbjerg")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "respond", "text": "Esbjerg"}


@pytest.mark.parametrize("reason", ["not this week", ""])
def test_a_person_rejects_with_a_reason_or_without(terminal: Terminal, person: Client, put: Put, reason: str) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[a]pprove  [r]eject: ").type("r").until("Why: ").type(reason)
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "reject"} | ({"text": reason} if reason else {})


def test_a_wrong_key_is_asked_for_again(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[r]eject: ").type("x").until("is not one of").until("[r]eject: ").type("a")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "approve"}


def test_a_person_chooses_an_option_by_its_number(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(options=(Option(id="eu", label="Frankfurt"), Option(id="us")))
    at = terminal("answer", asked.request_id)
    at.until("1  Frankfurt").until("2  us").until("Number: ").type("2")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "respond", "option_ids": ("us",)}


@pytest.mark.parametrize("kind", ["question", "gate"])
def test_where_options_are_only_offered_a_person_may_write_something_else(
    terminal: Terminal, person: Client, put: Put, kind: str
) -> None:
    asked = put(kind=kind, options=(Option(id="eu", label="Frankfurt"),))
    at = terminal("answer", asked.request_id)
    at.until("Number, or your own words: ").type("Ohio")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "respond", "text": "Ohio"}


def test_a_number_that_is_none_of_the_options_answers_nothing(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(options=(Option(id="eu"),))
    at = terminal("answer", asked.request_id)
    at.until("Number: ").type("7").until("choose one of the options")
    assert at.end() == 1
    assert person.get(asked.request_id).is_open


def test_a_person_fills_in_a_form_and_leaves_an_optional_member_out(
    terminal: Terminal, person: Client, put: Put
) -> None:
    asked = put(response_schema=_FORM)
    at = terminal("answer", asked.request_id)
    at.until("Which city (string): ").type("Esbjerg")
    at.until("berths (integer): ").type("3")
    at.until("is_urgent (boolean): ").type("true")
    at.until("size (small | large): ").type("large")
    at.until("remark (string): ").type("")
    assert at.end() == 0
    values = {"city": "Esbjerg", "berths": 3, "is_urgent": True, "size": "large"}
    assert _answered(person, asked) == {"decision": "respond", "values": values}


def test_a_form_that_does_not_fit_its_schema_is_not_taken(terminal: Terminal, person: Client, put: Put) -> None:
    schema = {"type": "object", "properties": {"berths": {"type": "integer", "minimum": 1}}, "required": ["berths"]}
    asked = put(response_schema=schema)
    at = terminal("answer", asked.request_id)
    at.until("berths (integer): ").type("0").until("Error: ")
    assert at.end() == 1
    assert person.get(asked.request_id).is_open


def test_an_enum_of_numbers_is_answered_with_a_number(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"berths": {"type": "integer", "enum": [1, 2]}}})
    at = terminal("answer", asked.request_id)
    at.until("berths (1 | 2): ").type("2")
    assert at.end() == 0
    assert _answered(person, asked)["values"] == {"berths": 2}


def test_a_form_whose_member_may_be_anything_takes_json(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"extra": True}})
    at = terminal("answer", asked.request_id)
    at.until("extra").until(": ").type("[1]")
    assert at.end() == 0
    assert _answered(person, asked)["values"] == {"extra": [1]}


def test_a_value_that_is_no_number_is_asked_for_again(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"berths": {"type": "integer"}}})
    at = terminal("answer", asked.request_id)
    at.until("berths (integer): ").type("three").until("berths (integer): ").type("3")
    assert at.end() == 0
    assert _answered(person, asked)["values"] == {"berths": 3}


def test_a_person_edits_a_draft_in_their_editor(terminal: Terminal, person: Client, put: Put, tmp_path: Path) -> None:
    asked = put(kind="review", context="The ferry is bakc")
    at = terminal(
        "answer", asked.request_id, EDITOR=_editor(tmp_path, "text = text.replace('bakc', 'back')"), VISUAL=""
    )
    at.until("[e]dit").type("e")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "edit", "edited": "The ferry is back"}


def test_a_person_edits_a_calls_arguments_as_json(terminal: Terminal, person: Client, put: Put, tmp_path: Path) -> None:
    asked = put(action=Action(name="pay", args={"to": "Harbour Ltd", "amount": 120}))
    at = terminal("answer", asked.request_id, EDITOR=_editor(tmp_path, "text = text.replace('120', '12')"), VISUAL="")
    at.until("pay").until('"amount"').until("120").until("[e]dit").type("e")
    assert at.end() == 0
    assert _answered(person, asked) == {"decision": "edit", "edited": {"to": "Harbour Ltd", "amount": 12}}


def test_an_edit_that_is_no_json_is_not_taken(terminal: Terminal, person: Client, put: Put, tmp_path: Path) -> None:
    asked = put(action=Action(name="pay", args={"amount": 120}))
    at = terminal("answer", asked.request_id, EDITOR=_editor(tmp_path, "text = '{'"), VISUAL="")
    at.until("[e]dit").type("e").until("is no JSON")
    assert at.end() != 0
    assert "Traceback" not in at.output
    assert person.get(asked.request_id).is_open


def test_leaving_with_ctrl_d_answers_nothing(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[r]eject: ").type("\x04")
    assert at.end() == 1
    assert "Traceback" not in at.output
    assert person.get(asked.request_id).is_open


def test_who_is_too_late_is_told_who_was_first(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[r]eject: ")
    person.answer(asked.request_id, decision="reject", text="too risky")
    at.type("a").until("key:default was first: reject 'too risky'")
    assert at.end() == 1


def test_a_settled_request_is_shown_and_not_asked_about(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval", prompt="Deploy 2.4?")
    person.cancel(asked.request_id)
    at = terminal("answer", asked.request_id)
    at.until("Deploy 2.4?").until("Error: it is cancelled already")
    assert at.end() == 1
    assert "[a]pprove" not in at.output


_SHOWN: dict[str, Any] = {"prompt": HOSTILE, "title": HOSTILE, "context": HOSTILE, "context_data": {"agent": HOSTILE}}


def test_hostile_text_reaches_no_terminal_raw(terminal: Terminal, put: Put) -> None:
    asked = put(**_SHOWN, action=Action(name=HOSTILE, args={"a": HOSTILE}))
    at = terminal("answer", asked.request_id)
    at.until("red").until("[r]eject: ").type("a")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


def test_a_hostile_label_of_an_option_reaches_no_terminal_raw(terminal: Terminal, put: Put) -> None:
    asked = put(options=(Option(id="eu", label=HOSTILE),))
    at = terminal("answer", asked.request_id)
    at.until("Number: ").type("1")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


@pytest.mark.parametrize("name", ["city", HOSTILE])
def test_a_hostile_form_reaches_no_terminal_raw(terminal: Terminal, put: Put, name: str) -> None:
    about = {"type": "string"} | ({"description": HOSTILE} if name == "city" else {})
    asked = put(response_schema={"type": "object", "properties": {name: about}})
    at = terminal("answer", asked.request_id)
    at.until("(string): ").type("x")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


def test_a_terminal_gets_colours_and_no_color_takes_them_away(terminal: Terminal, put: Put) -> None:
    put(title="Deploy 2.4", priority="urgent")
    coloured, plain = terminal("inbox"), terminal("inbox", NO_COLOR="1")
    assert coloured.end() == plain.end() == 0
    assert "\x1b[1;31mDeploy 2.4" in coloured.output  # the control
    assert "Deploy 2.4" in plain.output
    assert [code for code in ("[31", ";31", "[3m", "38;") if code in plain.output] == []
