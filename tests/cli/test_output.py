"""What the commands write, whatever was written to them and wherever it goes."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from http.server import HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso import Client, HumanInputServer, Option
from sayso.cli.plain import json_line
from tests.cli.conftest import FORBIDDEN, HOSTILE, Put, Run, lines, listening, settings_of, web_page
from tests.runtime.programs import SAYSO, program


def test_hostile_text_leaves_the_inbox_one_line_to_a_request(sayso: Run, put: Put) -> None:
    put(prompt=HOSTILE, title=HOSTILE)
    shown = sayso("inbox").stdout
    assert len(shown.splitlines()) == 2
    assert "red" in shown
    assert [mark for mark in FORBIDDEN if mark in shown] == []


async def test_hostile_text_is_watched_one_line_to_an_event(server: HumanInputServer, put: Put, person: Client) -> None:
    put(request_id="ship", title=HOSTILE)
    person.answer("ship", text=HOSTILE)
    async with program(SAYSO, "watch", "run-1", **settings_of(server)) as running:
        await running.line("asked")
        await running.line("answered")
        assert len(running.output.split("\n")) == 3
        assert running.output.count("red") == 3  # "reversed" is cut from it, "answered" is one
        assert [mark for mark in FORBIDDEN if mark in running.output] == []


def test_a_hostile_answer_that_was_first_is_quoted(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="ship")
    person.answer("ship", text=HOSTILE)
    late = sayso("answer", "ship", "yours")
    assert "red" in late.stderr
    assert [mark for mark in FORBIDDEN if mark in late.stderr] == []


_UNSEEN = "a\x7fb\x9bc\u202ed\u200be\u2066f\ufeffg\U000e0041h\u2028i"
"""Delete, an 8-bit CSI, marks of direction, a zero-width space, a byte order mark, a tag, a line separator."""


@pytest.mark.parametrize("command", [["inbox"], ["export"], ["inbox", "ship"], ["cancel", "ship"]], ids=" ".join)
def test_json_holds_the_same_text_and_nothing_that_a_terminal_would_obey(
    sayso: Run, put: Put, command: list[str]
) -> None:
    text = f"{HOSTILE} größer 你 🚢 {_UNSEEN}"
    put(request_id="ship", prompt=text, metadata={text: [text]})
    told = sayso(*command, "--json").stdout
    assert told.rstrip("\n").isprintable()
    assert "größer 你 🚢" in told
    (stored,) = lines(told)
    assert stored["prompt"] == text
    assert stored["metadata"] == {text: [text]}


async def test_watched_json_holds_nothing_that_a_terminal_would_obey(server: HumanInputServer, put: Put) -> None:
    put(request_id="ship", prompt=_UNSEEN)
    async with program(SAYSO, "watch", "run-1", "--json", **settings_of(server)) as running:
        told = await running.line("ship")
        assert told.rstrip("\n").isprintable()
        assert json.loads(told)["prompt"] == _UNSEEN


@given(st.text())
def test_json_lines_keep_every_value(text: str) -> None:
    for is_ascii in (False, True):
        told = json_line({text: [text]}, is_ascii=is_ascii)
        assert json.loads(told) == {text: [text]}
        assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in told)
        assert told.isascii() or not is_ascii


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", [["inbox", "--json"], ["inbox", "ship"], ["doctor"]], ids=" ".join)
def test_every_encoding_will_do(server: HumanInputServer, put: Put, command: list[str], encoding: str) -> None:
    put(request_id="ship", prompt="größer 你 🚢", options=(Option(id="größer"),))
    run = _run(server, f"exec {SAYSO} {' '.join(command)}", PYTHONIOENCODING=encoding)
    assert (run.returncode, run.stderr) == (0, b"")
    told = run.stdout.decode("utf-8" if encoding == "ascii" else encoding)  # click takes ascii for a mistake
    if "--json" in command:
        assert json.loads(told)["prompt"] == "größer 你 🚢"
    else:
        assert ("ok Python" if command == ["doctor"] else "\\u4f60 \\U0001f6a2") in told


@pytest.mark.parametrize("command", ["inbox", "inbox --json", "doctor"])
def test_a_full_disk_is_an_error_in_one_line(server: HumanInputServer, put: Put, command: str) -> None:
    put()
    run = _run(server, f"exec {SAYSO} {command} >/dev/full")
    assert (run.returncode, run.stderr) == (1, b"Error: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("inbox <&- >&- 2>&-", 0),
        ("export >&-", 0),
        ("ask a >&- 2>&-", 0),
        ("answer ship <&-", 2),
        ("answer ship b 2>&-", 0),
        ("ask a --context - <&-", 2),
        ("doctor >&-", 0),
    ],
)
def test_closed_streams_make_no_traceback(server: HumanInputServer, put: Put, command: str, code: int) -> None:
    put(request_id="ship")
    run = _run(server, f"exec {SAYSO} {command}")
    assert run.returncode == code
    assert b"Traceback" not in run.stderr


def _run(server: HumanInputServer, shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    settings = os.environ | settings_of(server) | environment
    return subprocess.run(["sh", "-c", shell], capture_output=True, env=settings, timeout=30, check=False)


def test_a_server_that_says_hostile_things_is_quoted(alone: Run) -> None:
    problem = {"type": "urn:sayso:problem:forbidden", "detail": HOSTILE}
    with listening(HTTPServer(("127.0.0.1", 0), web_page(403, json.dumps(problem).encode()))) as url:
        ended = alone("inbox", "--url", url)
    assert ended.exit_code == 1
    assert "red" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert [mark for mark in FORBIDDEN if mark in ended.stderr] == []


def test_a_hostile_reason_is_quoted(sayso: Run, person: Client) -> None:
    sayso("ask", "Ship it?", "--id", "ship")
    person.cancel("ship", HOSTILE)
    for command in (["ask", "Ship it?", "--id", "ship", "--wait"], ["answer", "ship", "a"], ["inbox", "ship"]):
        told = sayso(*command).output
        assert "red" in told
        assert [mark for mark in FORBIDDEN if mark in told] == []


@pytest.mark.parametrize(
    "command",
    [
        ["ask", "\udcff"],
        ["answer", "ship", "\udcff"],
        ["cancel", "ship", "--reason", "\udcff"],
        ["watch", "--after", "\udcff"],
    ],
    ids=lambda one: one[0],
)
def test_arguments_in_no_encoding_are_an_error_in_one_line(
    sayso: Run, put: Put, person: Client, command: list[str]
) -> None:
    put(request_id="ship")
    ended = sayso(*command)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "UTF-8 can hold" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert [one.status for one in person.list()] == ["pending"]
