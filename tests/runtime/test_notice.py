"""The lines for the person at the console, and a console that does not take them."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from sayso.notice import Notices


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
