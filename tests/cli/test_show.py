"""How requests look in a terminal: complete, short, and without anything that a terminal would obey."""

from __future__ import annotations

import io
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console, RenderableType

from sayso import Action, Option
from sayso.cli import show
from sayso.model import Source
from tests.builders import NOW, answered, asked, completed, request
from tests.cli.conftest import FORBIDDEN, HOSTILE


def _rendered(shown: RenderableType, *, terminal: bool = True, width: int = 200) -> str:
    file = io.StringIO()
    Console(file=file, force_terminal=terminal, width=width, highlight=False, emoji=False, markup=False).print(shown)
    return file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_600, "1h"), (86_399, "23h"), (172_800, "2d")],
)
def test_a_span_of_time_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert show.span(seconds) == said


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    told = show.plain(text)
    assert len(told) == len(text.replace("\r\n", "\n"))
    assert all(one.isprintable() or one in "\n\t" or unicodedata.category(one) == "Zs" for one in told)
    assert show.plain(told) == told


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_keeps_what_people_write(text: str) -> None:
    assert show.plain(text) == text


@pytest.mark.parametrize("space", ["\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
def test_plain_text_keeps_the_spaces_of_other_languages(space: str) -> None:
    assert "\N{REPLACEMENT CHARACTER}" not in show.plain(f"12{space}000")


def test_a_line_has_no_line_break_and_no_run_of_spaces() -> None:
    assert show.line(" a\n\tb   c ") == "a b c"


def test_a_short_id_is_whole_and_a_long_one_is_its_end() -> None:
    assert show.short(replace(request(), request_id="x" * 16)) == "x" * 16
    assert show.short(replace(request(), request_id="x" * 9 + "12345678")) == "12345678"


def test_the_table_says_how_old_a_request_is_and_how_long_it_has_left() -> None:
    one = request(title="Deploy 2.4", timeout=7_300, kind="approval", priority="urgent")
    output = _rendered(show.table([one], now=NOW + timedelta(seconds=100)), terminal=False)
    heads, row = output.splitlines()
    assert heads.split() == ["ID", "AGE", "LEFT", "KIND", "WHAT", "STATUS"]
    assert row.split() == [one.request_id[-8:], "1m", "2h", "approval", "Deploy", "2.4", "pending", "urgent"]


def test_a_settled_request_has_no_time_left() -> None:
    one = answered(request(timeout=7_300))
    row = _rendered(show.table([one], now=NOW), terminal=False).splitlines()[1]
    assert row.split() == [one.request_id[-8:], "0s", "question", "Ship", "it?", "answered"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_long_title_is_cut_and_every_request_stays_one_line(width: int) -> None:
    output = _rendered(show.table([request(title="long " * 30)] * 3, now=NOW), terminal=False, width=width)
    assert len(output.splitlines()) == 4
    assert max(map(len, output.splitlines())) <= width
    assert "pending" in output


def _hostile() -> dict[str, Any]:
    return {
        "prompt": HOSTILE,
        "title": HOSTILE,
        "context": f"{HOSTILE} [link](http://evil.example)",
        "context_data": {"agent": HOSTILE},
    }


@pytest.mark.parametrize(
    "members",
    [
        {"action": Action(name=HOSTILE, args={HOSTILE: HOSTILE})},
        {"options": (Option(id=HOSTILE, label=HOSTILE, description=HOSTILE),)},
        {"source": Source(name=HOSTILE), "context_data": None},
    ],
    ids=["action", "options", "source"],
)
def test_hostile_text_reaches_no_terminal_raw(members: dict[str, Any]) -> None:
    one = request(**_hostile() | members)
    for shown in (show.details(one), show.table([one], now=NOW), show.event(asked(one))):
        output = _rendered(shown)
        assert "red" in output
        assert [mark for mark in FORBIDDEN if mark in output] == []


def test_a_hostile_answer_reaches_no_terminal_raw() -> None:
    output = _rendered(show.event(completed(answered(request(), HOSTILE))))
    assert "red" in output
    assert [mark for mark in FORBIDDEN if mark in output] == []
    assert len(output.splitlines()) == 1


def test_a_new_line_in_a_title_makes_no_second_line() -> None:
    one = request(title="first\nsecond", prompt="p")
    assert len(_rendered(show.event(asked(one))).splitlines()) == 1
    assert len(_rendered(show.table([one], now=NOW)).splitlines()) == 2


_MARKUP = ("[link=http://evil.example]here[/link]", "[bold]", "[/bold]")


@pytest.mark.parametrize("text", _MARKUP)
def test_markup_in_titles_options_and_answers_is_shown_as_it_is(text: str) -> None:
    one = request(prompt=text, title=text, context=text, options=(Option(id="eu", label=text),))
    for shown in (
        show.details(one),
        show.table([one], now=NOW),
        show.event(asked(one)),
        show.event(completed(answered(request(), text))),
    ):
        output = _rendered(shown)
        assert text in output
        assert "\x1b]" not in output


@pytest.mark.parametrize("text", _MARKUP)
@pytest.mark.parametrize("where", ["action", "agent", "source"])
def test_markup_in_names_is_shown_as_it_is(where: str, text: str) -> None:
    members: dict[str, dict[str, Any]] = {
        "action": {"action": Action(name=text)},
        "agent": {"context_data": {"agent": text}},
        "source": {"source": Source(name=text)},
    }
    output = _rendered(show.details(request(**members[where])))
    assert text in output
    assert "\x1b]" not in output


def test_the_details_hold_everything_a_person_needs() -> None:
    one = request(
        prompt="Choose **well**",
        context="the draft",
        options=(Option(id="eu", label="Frankfurt", description="near"), Option(id="us")),
        context_data={"agent": "Ada"},
    )
    output = _rendered(show.details(one), terminal=False)
    for part in ("Choose well", "the draft", "eu  Frankfurt  near", "• us", "Ada", "choice", "pending", one.request_id):
        assert part in output


def test_the_details_of_a_call_show_its_name_and_arguments() -> None:
    output = _rendered(show.details(request(action=Action(name="pay", args={"amount": 120}))), terminal=False)
    assert "pay" in output
    assert '"amount": 120' in output


def test_a_request_without_colour_has_no_escape_code() -> None:
    one = request(action=Action(name="pay", args={"amount": 120}), priority="urgent")
    for shown in (show.details(one), show.table([one], now=NOW), show.event(asked(one))):
        assert "\x1b" not in _rendered(shown, terminal=False)
        assert "\x1b" in _rendered(shown)  # the control: at a terminal, there is some
