"""`sayso answer` with an answer on the command line."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from sayso import Action, Client, HumanInputServer, Option
from sayso.digest import action_digest
from tests.cli.conftest import SCHEMA, Put, Run, lines, listening

_CALL = {"action": Action(name="pay", args={"amount": 120})}
_DRAFT = {"kind": "review", "context": "a draft"}
_FORM = {"response_schema": json.loads(SCHEMA)}
_CHOICE = {"options": (Option(id="eu", label="Frankfurt"), Option(id="us"))}
_OFFERED = {"kind": "question", **_CHOICE}


@pytest.mark.parametrize(
    ("members", "arguments", "given"),
    [
        ({}, ["Esbjerg"], {"decision": "respond", "text": "Esbjerg"}),
        ({}, [""], {"decision": "respond", "text": ""}),
        ({}, ["--file", "-"], {"decision": "respond", "text": "from stdin"}),
        ({}, ["-"], {"decision": "respond", "text": "from stdin"}),
        (_DRAFT, ["--approve"], {"decision": "approve"}),
        (_DRAFT, ["--reject"], {"decision": "reject"}),
        (_DRAFT, ["--reject", "not this week"], {"decision": "reject", "text": "not this week"}),
        (_DRAFT, ["shorter"], {"decision": "respond", "text": "shorter"}),
        (_DRAFT, ["--edit", "better"], {"decision": "edit", "edited": "better"}),
        (_DRAFT, ["--edit", "--file", "-"], {"decision": "edit", "edited": "from stdin"}),
        (_CALL, ["--edit", '{"amount": 12}'], {"decision": "edit", "edited": {"amount": 12}}),
        (_CHOICE, ["--option", "us"], {"decision": "respond", "option_ids": ("us",)}),
        (_CHOICE, ["Frankfurt"], {"decision": "respond", "option_ids": ("eu",)}),
        (_FORM, ["--values", '{"city": "Esbjerg"}'], {"decision": "respond", "values": {"city": "Esbjerg"}}),
        (_FORM, ['{"city": "Esbjerg"}'], {"decision": "respond", "values": {"city": "Esbjerg"}}),
        (_OFFERED, ["--option", "eu", "but soon"], {"decision": "respond", "option_ids": ("eu",), "text": "but soon"}),
        (_DRAFT, ["--reject", "--file", "-"], {"decision": "reject", "text": "from stdin"}),
        (_DRAFT, ["--approve", "--comment", "fine"], {"decision": "approve", "comment": "fine"}),
    ],
    ids=lambda value: " ".join(value) or "blank" if isinstance(value, list) else "",
)
def test_an_answer_on_the_command_line_is_given(
    *, sayso: Run, put: Put, person: Client, members: dict[str, Any], arguments: list[str], given: dict[str, Any]
) -> None:
    put(request_id="ship", **members)
    ended = sayso("answer", "ship", *arguments, input="from stdin\n\n")
    assert (ended.exit_code, ended.stdout) == (0, ""), ended.stderr
    assert ended.stderr == f"answered ship: {given['decision']}\n"
    answer = person.get("ship").answer
    told = {name: getattr(answer, name) for name in ("decision", "text", "option_ids", "values", "edited", "comment")}
    assert {
        name: value for name, value in told.items() if value not in (None, ()) and (value or name == "text")
    } == given


def test_an_answer_as_json_prints_the_settled_request(sayso: Run, put: Put) -> None:
    put(request_id="ship")
    (told,) = lines(sayso("answer", "ship", "yes", "--json").stdout)
    assert (told["request_id"], told["status"], told["answer"]["text"]) == ("ship", "answered", "yes")


@pytest.mark.parametrize(
    ("members", "arguments", "code", "says"),
    [
        (_CHOICE, ["--option", "mars"], 1, "is none of this request's options"),
        (_CHOICE, ["Ohio"], 1, "choose one of the options"),
        (_FORM, ["--values", '{"city": 1}'], 1, "string"),
        (_FORM, ["Esbjerg"], 2, "TEXT: is no JSON"),
        ({"kind": "approval"}, ["well"], 1, "a text neither allows nor forbids the call"),
        ({"kind": "approval"}, ["--edit", "x"], 1, "this request takes only: approve, reject"),
        ({}, ["--approve"], 1, "this request takes only: respond"),
        (_CALL, ["--edit", "[]"], 1, "must be an object"),
        (_CALL, ["--edit", "{"], 2, "is no JSON"),
        (_FORM, ["--values", "Esbjerg"], 2, "is no JSON"),
        (
            _CHOICE,
            ["--option", "eu", "but soon"],
            2,
            "a choice takes no TEXT beside --option",
        ),
        (_DRAFT, ["--edit"], 2, "--edit needs the TEXT, or --file"),
        (_DRAFT, ["--edit", ""], 1, "must be a text that is not blank"),
        (_DRAFT, [""], 2, "a blank TEXT is no answer to this; say what is meant, as --approve"),
        ({"kind": "approval"}, [" "], 2, "a blank TEXT is no answer to this"),
        (_CHOICE, [""], 2, "a blank TEXT is no answer to this"),
        ({}, ["--file", "-"], 2, "stdin is empty"),
        ({}, ["-"], 2, "stdin is empty"),
        ({}, ["--file", "/no/such/file"], 2, "/no/such/file: No such file or directory"),
        ({}, ["x" * 131_073], 1, "must be at most 131072 bytes of UTF-8"),
        (_DRAFT, ["--approve", "--comment", "x" * 16_385], 1, "must be at most 16384 bytes of UTF-8"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_open(
    *, sayso: Run, put: Put, person: Client, members: dict[str, Any], arguments: list[str], code: int, says: str
) -> None:
    put(request_id="ship", **members)
    ended = sayso("answer", "ship", *arguments, input="\n")
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert says in ended.stderr
    assert person.get("ship").is_open


@pytest.mark.parametrize(
    "arguments",
    [
        ["--approve", "but shorter"],
        ["--approve", "--reject"],
        ["--approve", "--edit", "better"],
        ["--approve", "--file", "-"],
        ["--reject", "--option", "eu"],
        ["better", "--edit", "--file", "-"],
        ["better", "--file", "-"],
        ["--option", "eu", "--option", "us"],
        ["--option", "eu", "--values", "{}"],
        ["--values", "{}", "hm"],
        ["--values", "{}", "--edit"],
    ],
    ids=" ".join,
)
def test_two_answers_at_once_are_wrong_usage(alone: Run, arguments: list[str]) -> None:
    ended = alone("answer", "ship", *arguments, input="from stdin")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "--comment" in ended.stderr


@pytest.mark.parametrize(
    ("members", "first", "says"),
    [
        ({}, {"text": "mine"}, "key:default was first: respond 'mine'"),
        (_DRAFT, {"decision": "approve"}, "key:default was first: approve\n"),
        (_CHOICE, {"option_ids": ("eu",)}, "key:default was first: respond 'Frankfurt'"),
        (_DRAFT, {"decision": "reject"}, "key:default was first: reject\n"),
        ({}, None, "key:default cancelled it: cancelled"),
    ],
    ids=["text", "approve", "option", "reject", "cancelled"],
)
def test_who_is_too_late_is_told_who_was_first_and_what_they_said(
    *, sayso: Run, put: Put, person: Client, members: dict[str, Any], first: dict[str, Any] | None, says: str
) -> None:
    put(request_id="ship", **members)
    settled = person.cancel("ship") if first is None else person.answer("ship", **first)
    late = sayso("answer", "ship", "yours")
    assert late.exit_code == 1
    assert says in late.stderr
    assert person.get("ship") == settled


def test_no_answer_and_no_terminal_is_wrong_usage(alone: Run) -> None:
    for arguments in ([], ["--json"], ["--comment", "well"]):
        ended = alone("answer", "ship", *arguments, input="a\n")
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert "say what to answer: --approve, --reject" in ended.stderr


def test_who_answers_after_the_deadline_is_told_that_it_is_over(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="ship", timeout=0.01)
    assert person.settled("ship").reason == "deadline"
    late = sayso("answer", "ship", "yours")
    assert (late.exit_code, late.stderr) == (1, "Error: its time is over: nobody answered it\n")


@pytest.mark.parametrize(
    "arguments", [["--approve"], ["--reject"], ["--edit", '{"amount": 7}']], ids=lambda one: one[0]
)
def test_an_answer_is_about_the_call_that_was_looked_at(
    server: HumanInputServer, sayso: Run, put: Put, person: Client, arguments: list[str]
) -> None:
    """Where that is not the one that would run, the answer does not count."""
    put(request_id="pay", **_CALL)
    digest = action_digest("pay", {"amount": 1})

    class Lying(BaseHTTPRequestHandler):
        """Shows another call than the one that is asked about."""

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {"Authorization": str(self.headers["Authorization"])}
            reply = httpx.request(self.command, server.url + self.path, content=body, headers=headers)
            told = reply.json()
            if self.command == "GET":
                told["action"] |= {"args": {"amount": 1}, "digest": digest}
            self.send_response(reply.status_code)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = _pass_on  # noqa: N815 - as the library has it

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with listening(HTTPServer(("127.0.0.1", 0), Lying)) as url:
        ended = sayso("answer", "pay", *arguments, "--url", url)
    assert ended.exit_code == 1
    assert "names another action than this request asks about" in ended.stderr
    assert person.get("pay").is_open
    assert sayso("answer", "pay", *arguments).exit_code == 0
