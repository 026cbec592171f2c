"""`sayso answer` at a real terminal: what it shows, what it asks, and what comes of the keys pressed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sayso import Action, Client, HumanInputServer, Option
from tests.builders import question
from tests.cli.conftest import FORBIDDEN, HOSTILE, Put, Terminal, answered
from tests.conftest import KEY


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


def test_a_person_approves(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", prompt="May this go out?", context="**The ferry** is back")
    at = terminal("answer", asked.request_id[-8:])
    at.until("May this go out?").until("The ferry").until("[a]pprove  [e]dit  [r]espond  [x] reject: ").type("a")
    assert at.end() == 0
    assert f"answered {asked.request_id}: approve" in at.output.replace("\x1b[0m", "")
    assert answered(person, asked) == {"decision": "approve"}


def test_a_person_writes_what_should_change(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", context="a draft")
    at = terminal("answer", asked.request_id)
    at.until("[r]espond").type("r").until("What should change: ").type("shorter, bitte — größer nicht")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "respond", "text": "shorter, bitte — größer nicht"}


def test_a_person_answers_a_question_in_words(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(prompt="Which harbour?")
    at = terminal("answer", asked.request_id)
    at.until("Your answer: ").type("Esbjerg")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "respond", "text": "Esbjerg"}


@pytest.mark.parametrize("reason", ["not this week", ""])
def test_a_person_rejects_with_a_reason_or_without(terminal: Terminal, person: Client, put: Put, reason: str) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[a]pprove  [x] reject: ").type("x").until("Why: ").type(reason)
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "reject"} | ({"text": reason} if reason else {})


def test_a_wrong_key_is_asked_for_again(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[x] reject: ").type("q").until("is not one of").until("[x] reject: ").type("a")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "approve"}


def test_a_person_chooses_an_option_by_its_number(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(options=(Option(id="eu", label="Frankfurt"), Option(id="us")))
    at = terminal("answer", asked.request_id)
    at.until("Frankfurt").until("us").until("Number: ").type("2")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "respond", "option_ids": ("us",)}
    assert at.output.count("Frankfurt") == 1


def test_where_options_are_only_offered_a_person_may_write_something_else(
    terminal: Terminal, person: Client, put: Put
) -> None:
    asked = put(kind="question", options=(Option(id="eu", label="Frankfurt"),))
    at = terminal("answer", asked.request_id)
    at.until("Number, or your own words: ").type("Ohio")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "respond", "text": "Ohio"}


_OFFERED = (Option(id="good", label="Good enough"), Option(id="meh"))


@pytest.mark.parametrize(
    ("members", "menu", "keys", "given"),
    [
        (
            {},
            "[1-2]  [a]pprove  [e]dit  [r]espond  [x] reject: ",
            ["2"],
            {"decision": "respond", "option_ids": ("meh",)},
        ),
        ({}, "[1-2]  [a]pprove", ["a"], {"decision": "approve"}),
        ({}, "[1-2]  [a]pprove", ["r", "shorter"], {"decision": "respond", "text": "shorter"}),
        ({}, "[1-2]  [a]pprove", ["3", "x", "no"], {"decision": "reject", "text": "no"}),
        ({"kind": "gate"}, "[1-2]  [r]espond  [a]pprove  [x] reject: ", ["A"], {"decision": "approve"}),
        ({"allow": ("approve", "respond")}, "[1-2]  [a]pprove  [r]espond: ", ["x", "a"], {"decision": "approve"}),
        ({"allow": ("respond",)}, "or your own words: ", ["1"], {"decision": "respond", "option_ids": ("good",)}),
        ({"allow": ("approve", "reject")}, "[a]pprove  [x] reject: ", ["1", "a"], {"decision": "approve"}),
    ],
    ids=["option", "approve", "write", "reject", "gate", "narrowed", "only-respond", "no-respond"],
)
def test_beside_options_a_person_may_do_all_that_is_allowed(
    *, terminal: Terminal, person: Client, put: Put, members: dict[str, Any], menu: str, keys: list[str], given: Any
) -> None:
    asked = put(**{"kind": "review", "context": "a draft", "options": _OFFERED} | members)
    at = terminal("answer", asked.request_id)
    at.until(menu)
    for key in keys:
        at.type(key)
    assert at.end() == 0
    assert answered(person, asked) == given
    assert at.output.count("Good enough") == 1


def test_a_number_that_is_none_of_the_options_is_asked_for_again(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(options=(Option(id="eu"),))
    at = terminal("answer", asked.request_id)
    at.until("Number: ").type("7").until("That is not taken: choose one of the options")
    assert person.get(asked.request_id).is_open
    at.until("Number: ").type("1")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "respond", "option_ids": ("eu",)}


def test_a_person_edits_a_draft_in_their_editor(terminal: Terminal, person: Client, put: Put, tmp_path: Path) -> None:
    asked = put(kind="review", context="The ferry is bakc")
    at = terminal(
        "answer", asked.request_id, EDITOR=_editor(tmp_path, "text = text.replace('bakc', 'back')"), VISUAL=""
    )
    at.until("[e]dit").type("e")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "edit", "edited": "The ferry is back"}


def test_a_person_edits_a_calls_arguments_as_json(terminal: Terminal, person: Client, put: Put, tmp_path: Path) -> None:
    asked = put(action=Action(name="pay", args={"to": "Harbour Ltd", "amount": 120}))
    at = terminal("answer", asked.request_id, EDITOR=_editor(tmp_path, "text = text.replace('120', '12')"), VISUAL="")
    at.until("pay").until('"amount"').until("120").until("[e]dit").type("e")
    assert at.end() == 0
    assert answered(person, asked) == {"decision": "edit", "edited": {"to": "Harbour Ltd", "amount": 12}}


def test_an_edit_that_is_not_taken_is_there_to_be_mended(
    terminal: Terminal, person: Client, put: Put, tmp_path: Path
) -> None:
    mend = "text = text + '}' if text.startswith('{ ') else '{ \"amount\": 12'"
    asked = put(action=Action(name="pay", args={"amount": 120}))
    at = terminal("answer", asked.request_id, EDITOR=_editor(tmp_path, mend), VISUAL="")
    at.until("[e]dit").type("e").until("is no JSON")
    assert person.get(asked.request_id).is_open
    at.until("[e]dit").type("e")
    assert at.end() == 0
    assert "Traceback" not in at.output
    assert answered(person, asked) == {"decision": "edit", "edited": {"amount": 12}}


def test_an_edit_that_changes_nothing_answers_nothing(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", context="a draft")
    at = terminal("answer", asked.request_id, EDITOR="true", VISUAL="")
    at.until("[e]dit").type("e").until("That is not taken: nothing was changed")
    assert person.get(asked.request_id).is_open
    at.until("[a]pprove").type("a")
    assert at.end() == 0


def test_an_editor_that_is_not_there_is_told(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="review", context="a draft")
    at = terminal("answer", asked.request_id, EDITOR="no-such-editor", VISUAL="")
    at.until("[e]dit").type("e").until("no-such-editor")
    assert at.end() == 1
    assert "Traceback" not in at.output
    assert person.get(asked.request_id).is_open


def test_what_was_written_is_sent_again_when_the_server_is_back(
    serve: Callable[..., HumanInputServer], terminal: Terminal, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    server = serve(store=store)
    port, url = server._bound_port, server.url
    with Client(url, KEY) as person:
        asked = person.ask(question(kind="review", context="a draft"))
        at = terminal("answer", asked.request_id, SAYSO_URL=url)
        at.until("[r]espond").type("r").until("What should change: ")
        server.stop()
        at.type("shorter").until("It is not sent. Try again?")
        serve(store=store, port=port)
        at.type("")
        assert at.end() == 0
        assert answered(person, asked) == {"decision": "respond", "text": "shorter"}


def test_a_remark_goes_with_the_conversation(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id, "--comment", "at last")
    at.until("[x] reject: ").type("a")
    assert at.end() == 0
    answer = person.get(asked.request_id).answer
    assert answer is not None
    assert (answer.decision, answer.comment) == ("approve", "at last")


def test_leaving_with_ctrl_d_answers_nothing(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[x] reject: ").type("\x04")
    assert at.end() == 1
    assert "Traceback" not in at.output
    assert person.get(asked.request_id).is_open


def test_who_is_too_late_is_told_who_was_first(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval")
    at = terminal("answer", asked.request_id)
    at.until("[x] reject: ")
    person.answer(asked.request_id, decision="reject", text="too risky")
    at.type("a").until("key:default was first: reject 'too risky'")
    assert at.end() == 1


def test_a_settled_request_is_shown_and_not_asked_about(terminal: Terminal, person: Client, put: Put) -> None:
    asked = put(kind="approval", prompt="Deploy 2.4?")
    person.cancel(asked.request_id)
    at = terminal("answer", asked.request_id)
    at.until("Deploy 2.4?").until("Error: key:default cancelled it: cancelled")
    assert at.end() == 1
    assert "[a]pprove" not in at.output


_SHOWN: dict[str, Any] = {"prompt": HOSTILE, "title": HOSTILE, "context": HOSTILE, "context_data": {"agent": HOSTILE}}


def test_hostile_text_reaches_no_terminal_raw(terminal: Terminal, put: Put) -> None:
    asked = put(**_SHOWN, action=Action(name=HOSTILE, args={"a": HOSTILE}))
    at = terminal("answer", asked.request_id)
    at.until("red").until("[x] reject: ").type("a")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


def test_a_hostile_label_of_an_option_reaches_no_terminal_raw(terminal: Terminal, put: Put) -> None:
    asked = put(options=(Option(id="eu", label=HOSTILE),))
    at = terminal("answer", asked.request_id)
    at.until("Number: ").type("1")
    assert at.end() == 0
    assert [mark for mark in FORBIDDEN if mark in at.output] == []


def test_a_terminal_gets_colours_and_no_color_takes_them_away(terminal: Terminal, put: Put) -> None:
    put(title="Deploy 2.4", priority="urgent")
    coloured, plain = terminal("inbox"), terminal("inbox", NO_COLOR="1")
    assert coloured.end() == plain.end() == 0
    assert "\x1b[1;31mDeploy 2.4" in coloured.output  # the control
    assert "Deploy 2.4" in plain.output
    assert [code for code in ("[31", ";31", "[3m", "38;") if code in plain.output] == []
