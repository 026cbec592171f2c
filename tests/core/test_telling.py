"""What people are told of a request, and what is shown of what they cannot see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sayso.model import Answer, Request
from sayso.telling import asker, ending, person, said
from sayso.visible import visible, visible_line
from tests.builders import NOW, request


def _settled(by: str = "link:anna@example.com", **answer: Any) -> Request:
    given = Answer(**{"answer_id": "a", "decision": "approve"} | answer)
    return request(kind="review").answered(given, by=by, channel="link", now=NOW, event_id="e")


@pytest.mark.parametrize(
    ("decision", "told"),
    [("approve", "Approved"), ("edit", "Edited"), ("respond", "Answered"), ("reject", "Rejected")],
)
def test_who_answered_and_how(decision: str, told: str) -> None:
    assert ending(_settled(decision=decision)) == f"{told} by anna@example.com"


def test_silence_is_told_as_silence() -> None:
    asked = request(kind="approval")
    expired = asked.expired(Answer(answer_id="a", decision="reject"), now=NOW, event_id="e")
    assert ending(expired) == "Nobody answered in time; it counts as rejected"
    assert ending(asked.expired(None, now=NOW, event_id="e")) == "Nobody answered in time"
    gone = asked.cancelled("asker-gone", by="system:asker", channel="system", now=NOW, event_id="e")
    assert ending(gone) == "Given up by its asker: asker-gone"
    assert said(gone) == ""


def test_people_are_told_of_people() -> None:
    names = {"key:bo": "bo", "session:bo": "bo", "link:a@b.example": "a@b.example", "anonymous": None, None: "someone"}
    for by, name in names.items():
        assert name is None or person(by) == name
    assert person("anonymous") == "someone at the server's machine"


def test_the_words_are_those_beside_the_decision() -> None:
    assert said(_settled(decision="reject", comment="later")) == "later"
    assert said(_settled(decision="respond", text="blue", comment="or red")) == "blue\n\nor red"


def test_an_agent_is_called_by_its_name() -> None:
    asked = request()
    assert asker(asked) == asked.source.name
    assert asker(msgspec.structs.replace(asked, context_data={"agent": "Support"})) == "Support"
    assert asker(msgspec.structs.replace(asked, context_data={"agent": 7})) == asked.source.name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a[RLO]b"),
        ("\u200bx\ufeff", "[ZWSP]x[BOM]"),
        ("\x1b]8;;x\x07", "[U+001B]]8;;x[U+0007]"),
        ("\U000e0041\U000e0101", "[U+E0041][U+E0101]"),
        ("\u3164\u115f", "[filler][filler]"),
        ("a\r\nb\tc\u00a0d", "a\nb\tc\u00a0d"),
        (
            "\U0001f469\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525",
            "\U0001f469\u200d\U0001f4bb \u2764\ufe0f\u200d\U0001f525",
        ),
        ("a\u200d\U0001f4bb", "a[ZWJ]\U0001f4bb"),
        ("\u200d\U0001f4bb", "[ZWJ]\U0001f4bb"),
        ("", ""),
    ],
)
def test_what_would_not_be_seen_has_a_name(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible_line(f"  {text}\n") == " ".join(shown.split())
