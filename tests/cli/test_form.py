"""Forms at a real terminal: member by member, and again until they fit."""

from __future__ import annotations

from typing import Any

import pytest

from sayso import Client
from tests.cli.conftest import FORBIDDEN, HOSTILE, Put, Terminal, answered

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


def test_a_person_fills_in_a_form_and_leaves_an_optional_member_out(
    terminal: Terminal, person: Client, put: Put
) -> None:
    asked = put(response_schema=_FORM)
    at = terminal("answer", asked.request_id)
    at.until("Which city (text): ").type("Esbjerg")
    at.until("berths (integer): ").type("3")
    at.until("is_urgent (yes | no): ").type("perhaps").until("is_urgent (yes | no): ").type("yes")
    at.until("size (small | large): ").type("small and large").until("size (small | large): ").type("large")
    at.until("remark (text): ").type("")
    assert at.end() == 0
    values = {"city": "Esbjerg", "berths": 3, "is_urgent": True, "size": "large"}
    assert answered(person, asked) == {"decision": "respond", "values": values}


def test_a_form_that_does_not_fit_its_schema_is_offered_again_as_it_was(
    terminal: Terminal, person: Client, put: Put
) -> None:
    members = {"berths": {"type": "integer", "minimum": 1}, "city": {"type": "string"}}
    asked = put(response_schema={"type": "object", "properties": members, "required": ["berths"]})
    at = terminal("answer", asked.request_id)
    at.until("berths (integer): ").type("0").until("city (text): ").type("Esbjerg").until("That is not taken: ")
    assert person.get(asked.request_id).is_open
    at.until("berths (integer) [0]: ").type("2").until("city (text) [Esbjerg]: ").type("")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"berths": 2, "city": "Esbjerg"}


_NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tone": {"$ref": "#/$defs/Tone"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "copies": {"type": "integer", "default": 2},
        "flags": {"type": "array"},
    },
    "required": ["tone"],
    "$defs": {"Tone": {"enum": ["dry", "warm"], "title": "Which tone"}},
}
"""As pydantic writes an enum, an optional text and a default."""


def test_a_form_of_a_model_is_filled_in_without_quotes(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema=_NESTED)
    at = terminal("answer", asked.request_id)
    at.until("Which tone (dry | warm): ").type("").until("Which tone (dry | warm): ").type("warm")
    at.until("note (text): ").type("by hand").until("copies (integer) [2]: ").type("")
    at.until("flags (array): ").type("[1]")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"tone": "warm", "note": "by hand", "copies": 2, "flags": [1]}


def test_a_form_without_members_is_answered_in_json(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object"})
    at = terminal("answer", asked.request_id)
    at.until("Your answer (JSON): ").type("well").until("Your answer (JSON): ").type('{"a": 1}')
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"a": 1}


def test_an_enum_of_numbers_is_answered_with_a_number(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"berths": {"type": "integer", "enum": [1, 2]}}})
    at = terminal("answer", asked.request_id)
    at.until("berths (1 | 2): ").type("2")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"berths": 2}


def test_a_form_whose_member_may_be_anything_takes_json(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"extra": True}})
    at = terminal("answer", asked.request_id)
    at.until("extra").until(": ").type("[1]")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"extra": [1]}


def test_a_value_that_is_no_number_is_asked_for_again(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(response_schema={"type": "object", "properties": {"berths": {"type": "integer"}}})
    at = terminal("answer", asked.request_id)
    at.until("berths (integer): ").type("three").until("berths (integer): ").type("3")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"berths": 3}


@pytest.mark.parametrize("name", ["city", HOSTILE])
def test_a_hostile_form_reaches_no_terminal_raw(terminal: Terminal, put: Put, name: str) -> None:
    about = {"type": "string"} | ({"description": HOSTILE} if name == "city" else {})
    asked = put(response_schema={"type": "object", "properties": {name: about}})
    at = terminal("answer", asked.request_id)
    at.until("(text): ").type("x")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


def test_a_default_is_taken_as_it_is_and_strange_definitions_do_no_harm(
    terminal: Terminal, person: Client, put: Put
) -> None:
    members = {"note": {"type": "string", "default": "two\nlines"}, "any": {"$ref": "#/$defs/Any"}}
    asked = put(response_schema={"type": "object", "properties": members, "$defs": {"Any": True}})
    at = terminal("answer", asked.request_id)
    at.until("note (text) [two lines]: ").type("").until("any (JSON): ").type("null")
    assert at.end() == 0
    assert answered(person, asked)["values"] == {"note": "two\nlines", "any": None}
