"""The lines for the person at the console, and a console that does not take them."""

from __future__ import annotations

import io
import re
import sys
import threading

import msgspec
import pytest

from sayso.kinds import resolve
from sayso.model import Action, Option, Request, Submission
from sayso.notice import Notices, notice
from tests.builders import request


class Stuck(io.TextIOBase):
    """Takes a line only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.asked, self.go, self.taken = threading.Event(), threading.Event(), threading.Semaphore(0)

    def write(self, text: str, /) -> int:
        self.asked.set()
        assert self.go.wait(10)
        self.lines.append(text)
        self.taken.release()
        return len(text)


def test_lines_for_a_console_that_is_stuck_are_kept_to_a_number_and_then_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, notices = Stuck(), Notices()
    monkeypatch.setattr(sys, "stderr", console)
    notices.show("first")
    assert console.asked.wait(10)
    for number in range(150):
        notices.show(str(number))
    console.go.set()
    for _ in range(101):
        assert console.taken.acquire(timeout=10)
    notices.show("last")
    assert console.taken.acquire(timeout=10)
    assert console.lines == [f"{line}\n" for line in ("first", *range(100), "last")]


def test_nothing_runs_before_there_is_a_line() -> None:
    before = threading.enumerate()
    Notices()
    assert threading.enumerate() == before


SCHEMA = {"type": "object", "properties": {"NAME": {"const": "VALUE"}}}


@pytest.mark.parametrize(
    "asked",
    [
        request(kind="review"),
        request(kind="gate"),
        request(kind="question"),
        request(kind="approval", action=Action(name="pay")),
        request(kind="choice", options=(Option(id="ID"), Option(id="other"))),
        request(kind="review", options=(Option(id="ID"),), allow=("respond",)),
        request(kind="form", response_schema=SCHEMA),
    ],
    ids=lambda asked: asked.kind,
)
def test_the_command_it_shows_is_an_answer_that_the_request_takes(asked: Request) -> None:
    shown = notice(asked, "http://localhost:8000", key="$SAYSO_API_KEY")
    body = re.search(r"-d '([^']*)' http://localhost:8000/requests/", shown)
    assert body
    resolve(asked, msgspec.json.decode(body[1], type=Submission), "an-answer")


def test_it_leads_to_the_question_in_the_inbox_where_that_is_known() -> None:
    asked = request(request_id="order-42")
    assert " http://localhost:8000/#/requests/order-42 or curl " in notice(asked, "http://localhost:8000", key=None)
    assert "#/requests" not in notice(asked, None, key=None)


def test_it_names_the_agent_once() -> None:
    shown = notice(request(title="Clerk: pay", context_data={"agent": "Clerk"}), None, key=None)
    assert shown.endswith("# Clerk: pay")
