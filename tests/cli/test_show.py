"""How requests look in a terminal: complete, short, and without anything that a terminal would obey."""

from __future__ import annotations

import io
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from sayso import Action, Option
from sayso.cli import show
from sayso.cli.ids import short_id
from sayso.cli.plain import line, plain
from sayso.cli.span import span
from sayso.model import Answer, Source
from tests.builders import NOW, answered, asked, completed, request
from tests.cli.conftest import FORBIDDEN, HOSTILE


def _rendered(shown: RenderableType, *, terminal: bool = True, width: int = 200) -> str:
    file = io.StringIO()
    Console(file=file, force_terminal=terminal, width=width, highlight=False, emoji=False, markup=False).print(shown)
    return file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (119, "1m"), (3_599, "59m"), (3_600, "1h")),
        *((7_199, "1h59m"), (35_999, "9h59m"), (36_000, "10h"), (40_000, "11h"), (86_399, "23h")),
        *((86_400, "1d"), (172_799, "1d23h"), (172_800, "2d"), (900_000, "10d")),
    ],
)
def test_a_span_of_time_is_said_in_its_largest_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    told = plain(text)
    assert len(told) == len(text.replace("\r\n", "\n"))
    assert all(one.isprintable() or one in "\n\t" or unicodedata.category(one) == "Zs" for one in told)
    assert plain(told) == told


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_keeps_what_people_write(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("space", ["\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}"])
def test_plain_text_keeps_the_spaces_of_other_languages(space: str) -> None:
    assert "\N{REPLACEMENT CHARACTER}" not in plain(f"12{space}000")


def test_a_line_has_no_line_break_and_no_run_of_spaces() -> None:
    assert line(" a\n\tb   c ") == "a b c"


def test_a_short_id_is_whole_and_a_long_one_is_its_end() -> None:
    assert short_id("x" * 16) == "x" * 16
    assert short_id("x" * 9 + "12345678") == "12345678"
    assert short_id("x" * 9 + "-2345678") == "2345678"


def test_the_table_says_how_old_a_request_is_and_how_long_it_has_left() -> None:
    one = request(title="Deploy 2.4", timeout=7_300, kind="approval", priority="urgent")
    output = _rendered(show.table([one], now=NOW + timedelta(seconds=100)), terminal=False)
    heads, row = output.splitlines()
    assert heads.split() == ["ID", "AGE", "LEFT", "KIND", "PRIORITY", "WHAT"]
    assert row.split() == [one.request_id[-8:], "1m", "2h", "approval", "urgent", "Deploy", "2.4"]


def test_the_table_leaves_out_what_would_be_the_same_in_each_row() -> None:
    plain_one, meant, late = request(), request(assignees=("ada", "bo")), answered(request())
    for requests, heads in (
        ([plain_one, plain_one], "ID AGE KIND WHAT"),
        ([plain_one, meant], "ID AGE KIND FOR WHAT"),
        ([plain_one, late], "ID AGE KIND STATUS WHAT"),
    ):
        assert _rendered(show.table(requests, now=NOW), terminal=False).splitlines()[0].split() == heads.split()
    assert "ada, bo" in _rendered(show.table([meant], now=NOW), terminal=False)


def test_a_settled_request_has_no_time_left() -> None:
    one = answered(request(timeout=7_300))
    row = _rendered(show.table([one], now=NOW), terminal=False).splitlines()[1]
    assert row.split() == [one.request_id[-8:], "0s", "question", "answered", "Ship", "it?"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_long_title_is_cut_and_every_request_stays_one_line(width: int) -> None:
    one = request(title="long " * 30, assignees=("ada " * 10,), priority="urgent", timeout=600)
    output = _rendered(show.table([one] * 3, now=NOW), terminal=False, width=width)
    assert len(output.splitlines()) == 4
    assert max(map(len, output.splitlines())) <= width
    for part in (one.request_id[-8:], "10m", "question", "urgent"):
        assert output.count(part) == 3


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
    for part in ("Choose well", "the draft", "1  Frankfurt  (eu)  near", "2  us", "Ada", "choice", "pending"):
        assert part in output
    assert one.request_id in output


def test_the_details_say_for_whom_and_how_long_and_what_then() -> None:
    one = request(
        **{
            "title": "Deploy",
            "assignees": ("ada",),
            "priority": "high",
            "timeout": 600,
            "kind": "approval",
            "round": 2,
        },
        **{"reason_flags": {"missing_field": True}, "context_data": {"agent": "Ada", "ticket": 42}},
    )
    output = _rendered(show.details(one, now=NOW), terminal=False)
    facts = "asked by Ada · for ada · high priority · 10m left, then it counts as rejected · round 2 · missing field"
    for part in (facts, "Deploy", "Ship it?", '"ticket": 42'):
        assert part in output


def test_the_details_of_a_settled_request_say_what_became_of_it() -> None:
    well = _rendered(show.details(answered(request(), "aye, aye")), terminal=False)
    assert "answered by key:default: respond" in well
    assert "aye, aye" in well
    given_up = request().cancelled("no longer needed", by="key:ops", channel="http", now=NOW, event_id="e")
    assert "cancelled by key:ops (no longer needed)" in _rendered(show.details(given_up), terminal=False)
    late = request(kind="approval").expired(Answer(answer_id="a", decision="reject"), now=NOW, event_id="e")
    told = _rendered(show.details(late), terminal=False)
    assert "expired by system:deadline (deadline); it counts as reject" in told


_DRAFT = "The ferry\nleaves\n\n- at *noon*\n<!-- hidden -->\n[x]: http://evil.example\n![i](http://e.example)\n&lt;b>"


def test_a_draft_is_shown_to_the_letter() -> None:
    output = _rendered(show.details(request(kind="review", context=_DRAFT)), terminal=False)
    assert [line for line in _DRAFT.split("\n") if line not in output] == []


def test_a_prompt_hides_nothing_either() -> None:
    output = _rendered(show.details(request(prompt=f"May *this*\n{_DRAFT}")), terminal=False)
    for part in ("May this", "The ferry", "<!-- hidden -->", "[x]: http://evil.example", "![i](http://e.example)"):
        assert part in output
    assert "May this The ferry" not in output
    fenced = request(prompt='[a](http://e.example "title")\n\n```python pay 100\nprint(1)\n```')
    for part in ('[a](http://e.example "title")', "python pay 100", "print(1)"):
        assert part in _rendered(show.details(fenced), terminal=False)


def test_a_diff_has_the_colours_of_a_diff() -> None:
    output = _rendered(show.details(request(context="diff --git a/a b/a\n@@ -1 +1 @@\n-old\n+new\n same\n")))
    assert "\x1b[31m-old" in output
    assert "\x1b[32m+new" in output
    prose = _rendered(show.details(request(context="- one\n+ two\n")))  # the control: a list is none
    assert "\x1b[31m" not in prose


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_details_fit_a_narrow_terminal(width: int) -> None:
    one = request(
        title="long " * 30, context="long " * 100, options=tuple(Option(id=f"o{n}", label="long " * 20) for n in (1, 2))
    )
    assert max(map(len, _rendered(show.details(one), terminal=False, width=width).splitlines())) <= width


def test_the_details_of_a_call_show_its_name_and_arguments() -> None:
    output = _rendered(show.details(request(action=Action(name="pay", args={"amount": 120}))), terminal=False)
    assert "pay" in output
    assert '"amount": 120' in output


def test_a_request_without_colour_has_no_escape_code() -> None:
    one = request(action=Action(name="pay", args={"amount": 120}), priority="urgent")
    for shown in (show.details(one), show.table([one], now=NOW), show.event(asked(one))):
        assert "\x1b" not in _rendered(shown, terminal=False)
        assert "\x1b" in _rendered(shown)  # the control: at a terminal, there is some
