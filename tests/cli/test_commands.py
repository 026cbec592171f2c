"""The commands: what they print, how they end, and what they leave behind on the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

import pytest

from sayso import Action, Client, HumanInputServer, Option, Request, Submission
from sayso.cli import main, shared
from tests.builders import question
from tests.cli.conftest import FORBIDDEN, HOSTILE, Run, lines
from tests.client.relay import free_port, relayed
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program, python
from tests.runtime.test_imports import _WITHOUT

Put = Callable[..., Request]
Serve = Callable[..., HumanInputServer]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands try an unreachable server once."""
    monkeypatch.setattr(shared, "_PATIENCE", 0.0)


@contextmanager
def _listening(server: TCPServer) -> Iterator[str]:
    """The address of something that is no sayso server."""
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _web_page(status: int) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<h1>It works!</h1>")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Page


class _Mute(BaseRequestHandler):
    """Takes the call and hangs up."""

    def handle(self) -> None:
        self.request.recv(1)


# ask


def test_a_question_prints_its_id(sayso: Run, person: Client) -> None:
    asked = sayso("ask", "Ship it?", "--title", "Ship", "--priority", "high", "--assignee", "ada", "--assignee", "bo")
    assert asked.exit_code == 0
    stored = person.get(asked.stdout.strip())
    assert (stored.prompt, stored.title, stored.priority, stored.assignees) == (
        "Ship it?",
        "Ship",
        "high",
        ("ada", "bo"),
    )
    assert (stored.source.name, stored.is_open, stored.kind) == ("cli", True, "question")


def test_two_questions_in_one_folder_are_two_runs(sayso: Run) -> None:
    runs = [lines(sayso("ask", "Ship it?", "--json").stdout)[0]["execution_id"] for _ in range(2)]
    assert runs[0] != runs[1]


def test_a_question_may_belong_to_a_run(sayso: Run) -> None:
    assert lines(sayso("ask", "Ship it?", "--execution", "order-42", "--json").stdout)[0]["execution_id"] == "order-42"


def test_the_context_comes_from_stdin_or_a_file(sayso: Run, person: Client, tmp_path: Path) -> None:
    asked = sayso("ask", "May this go in?", "--kind", "review", "--context", "-", input="- größer\n+ kleiner\n")
    assert person.get(asked.stdout.strip()).context == "- größer\n+ kleiner\n"
    (tmp_path / "draft.md").write_text("a **draft**")
    asked = sayso("ask", "May this go in?", "--context", str(tmp_path / "draft.md"))
    assert person.get(asked.stdout.strip()).context == "a **draft**"


def test_options_have_labels_or_stand_for_themselves(sayso: Run, person: Client) -> None:
    asked = person.get(sayso("ask", "Where?", "--option", "eu=Frankfurt=Main", "--option", "us").stdout.strip())
    assert asked.kind == "choice"
    assert asked.options == (Option(id="eu", label="Frankfurt=Main"), Option(id="us", label=""))


def test_a_schema_makes_a_form(sayso: Run, person: Client, tmp_path: Path) -> None:
    (tmp_path / "form.json").write_text('{"type": "object"}')
    asked = person.get(sayso("ask", "Fill in", "--schema", str(tmp_path / "form.json")).stdout.strip())
    assert (asked.kind, asked.response_schema) == ("form", {"type": "object"})


def test_a_schema_that_is_no_json_is_wrong_usage(sayso: Run, person: Client) -> None:
    asked = sayso("ask", "Fill in", "--schema", "-", input="{")
    assert asked.exit_code == 2
    assert "--schema" in asked.stderr
    assert "is no JSON" in asked.stderr
    assert list(person.list()) == []


def test_asking_again_under_an_id_asks_once(sayso: Run, person: Client) -> None:
    again = [sayso("ask", "Ship it?", "--id", "ship", "--timeout", "600") for _ in range(2)]
    assert [(one.exit_code, one.stdout) for one in again] == [(0, "ship\n")] * 2
    assert [one.request_id for one in person.list()] == ["ship"]


def test_another_question_under_the_same_id_is_refused(sayso: Run, person: Client) -> None:
    sayso("ask", "Ship it?", "--id", "ship")
    other = sayso("ask", "Sink it?", "--id", "ship")
    assert other.exit_code == 1
    assert "already taken by another question" in other.stderr
    assert person.get("ship").prompt == "Ship it?"


_SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}}'


@pytest.mark.parametrize(
    ("arguments", "given", "printed", "code"),
    [
        (["--kind", "approval"], Submission(decision="approve"), "", 0),
        (["--kind", "approval"], Submission(decision="reject"), "reject\n", 3),
        (["--kind", "review"], Submission(decision="reject", text="not this week"), "not this week\n", 3),
        (["--kind", "review"], Submission(text="shorter"), "shorter\n", 0),
        (["--kind", "review"], Submission(decision="edit", edited="Better"), "Better\n", 0),
        ([], Submission(human_feedback="größer"), "größer\n", 0),
        ([], Submission(human_feedback=""), "", 0),
        (["--option", "eu=Frankfurt", "--option", "us"], Submission(option_ids=("eu",)), "eu\n", 0),
        (["--schema", "-"], Submission(values={"city": "Esbjerg"}), '{"city":"Esbjerg"}\n', 0),
    ],
    ids=["approved", "rejected", "with-reason", "wish", "edited", "written", "blank", "chosen", "form"],
)
def test_waiting_prints_the_answer_and_ends_as_it_was_decided(
    *, sayso: Run, person: Client, arguments: list[str], given: Submission, printed: str, code: int
) -> None:
    command = ("ask", "Ship it?", "--id", "ship", *arguments)
    assert sayso(*command, input=_SCHEMA).exit_code == 0
    person.answer("ship", given)
    waited = sayso(*command, "--wait", input=_SCHEMA)
    assert (waited.exit_code, waited.stdout) == (code, printed)


def test_waiting_in_vain_ends_with_124_and_prints_nothing(sayso: Run) -> None:
    waited = sayso("ask", "Ship it?", "--timeout", "0.05", "--wait")
    assert (waited.exit_code, waited.stdout, waited.stderr) == (124, "", "nobody answered: deadline\n")


@pytest.mark.parametrize("kind", ["approval", "review", "gate"])
def test_waiting_in_vain_for_a_decision_ends_with_124_too(sayso: Run, kind: str) -> None:
    assert sayso("ask", "Ship it?", "--kind", kind, "--timeout", "0.05", "--wait").exit_code == 124


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [(["--default", "later"], "later\n"), (["--option", "eu=Frankfurt", "--default", "eu"], "eu\n")],
    ids=["text", "option"],
)
def test_a_default_counts_when_nobody_answers_in_time(sayso: Run, arguments: list[str], printed: str) -> None:
    waited = sayso("ask", "Ship it?", "--timeout", "0.05", *arguments, "--wait")
    assert (waited.exit_code, waited.stdout, waited.stderr) == (0, printed, "")


def test_a_form_may_have_a_default(sayso: Run) -> None:
    command = ("ask", "Where?", "--schema", "-", "--timeout", "0.05", "--default", '{"city": "Esbjerg"}', "--wait")
    waited = sayso(*command, input=_SCHEMA)
    assert (waited.exit_code, waited.stdout) == (0, '{"city":"Esbjerg"}\n')


def test_waiting_for_a_cancelled_question_is_an_error_that_says_why(sayso: Run, person: Client) -> None:
    sayso("ask", "Ship it?", "--id", "ship")
    person.cancel("ship", "no longer needed")
    waited = sayso("ask", "Ship it?", "--id", "ship", "--wait")
    assert (waited.exit_code, waited.stdout, waited.stderr) == (1, "", "nobody answered: no longer needed\n")


def test_waiting_as_json_prints_the_settled_request(sayso: Run, person: Client) -> None:
    sayso("ask", "Ship it?", "--id", "ship", "--kind", "approval")
    person.answer("ship", decision="reject", text="no")
    waited = sayso("ask", "Ship it?", "--id", "ship", "--kind", "approval", "--wait", "--json")
    assert waited.exit_code == 3
    (told,) = lines(waited.stdout)
    assert (told["status"], told["answer"]["decision"], told["answer"]["text"]) == ("answered", "reject", "no")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "a", "b"],
        ["ask", "a", "--kind", "wish"],
        ["ask", "a", "--timeout", "0"],
        ["ask", "a", "--timeout", "soon"],
        ["ask", "a", "--context", "/no/such/file"],
        ["ask", "a", "--api-key", "x"],
        ["inbox", "--limit", "0"],
        ["inbox", "--status", "open"],
        ["export", "--status", "open"],
        ["answer"],
        ["cancel"],
        ["completion", "csh"],
        ["guess"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_asks_nothing(sayso: Run, person: Client, arguments: list[str]) -> None:
    ended = sayso(*arguments)
    assert ended.exit_code == 2
    assert "Error: " in ended.stderr
    assert ended.stdout == ""
    assert list(person.list()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", " "], "/prompt: "),
        (["ask", "a", "--kind", "form"], "/response_schema: "),
        (["ask", "a", "--option", "x", "--option", "x"], "/options: "),
        (["ask", "a", "--id", "a b"], "/request_id: "),
        (["inbox", "--execution", "a b"], "/execution_id: "),
    ],
    ids=["blank", "form", "options", "id", "execution"],
)
def test_what_the_server_refuses_is_an_error_that_says_what_is_wrong(
    sayso: Run, arguments: list[str], says: str
) -> None:
    refused = sayso(*arguments)
    assert refused.exit_code == 1
    assert f"Error: {says}" in refused.stderr


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "arguments",
    [["ask", "a", "--wait"], ["inbox"], ["answer", "a", "b"], ["cancel", "a"], ["export"]],
    ids=lambda arguments: arguments[0],
)
def test_a_server_that_is_gone_is_an_error(sayso: Run, arguments: list[str]) -> None:
    ended = sayso(*arguments, "--url", f"http://127.0.0.1:{free_port()}")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Error: the server cannot be reached" in ended.stderr


async def test_a_process_waits_until_a_person_answers(server: HumanInputServer, person: Client) -> None:
    settings = {"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY, "PYTHONUNBUFFERED": ""}
    async with relayed(server.url) as relay:
        command = (SAYSO, "ask", "Ship it?", "--option", "eu=Frankfurt", "--wait", "--url", relay.url)
        async with program(*command, **settings) as running:
            await relay.until(lambda relay: _waits(relay.calls))
            (asked,) = await asyncio.to_thread(lambda: list(person.list()))
            await asyncio.to_thread(person.answer, asked.request_id, option_ids=("eu",))
            assert await running.end() == 0
            assert running.output == "eu\n"


def _waits(calls: list[str]) -> bool:
    return any(call.startswith("GET /requests/") for call in calls)


async def _interrupted(server: HumanInputServer, *arguments: str) -> str:
    """What `ask --wait` says when Ctrl-C comes while it waits."""
    async with relayed(server.url) as relay:
        command = (SAYSO, "ask", "Ship it?", "--wait", "--url", relay.url, *arguments)
        async with program(*command, SAYSO_API_KEY=KEY) as running:
            await relay.until(lambda relay: _waits(relay.calls))
            running.send(signal.SIGINT)
            assert await running.end() == 130
            return running.output


async def test_ctrl_c_cancels_a_question_that_nobody_else_knows(server: HumanInputServer, person: Client) -> None:
    assert await _interrupted(server) == ""
    (left,) = person.list()
    assert (left.status, left.reason) == ("cancelled", "asker-gone")


async def test_ctrl_c_leaves_a_question_open_that_can_be_asked_again(server: HumanInputServer, person: Client) -> None:
    assert await _interrupted(server, "--id", "ship") == ""
    assert person.get("ship").is_open


# inbox, cancel and the ids of requests


def test_an_empty_inbox_says_so_beside_the_output(sayso: Run) -> None:
    for arguments, says in (([], "Nothing waits.\n"), (["--all"], "There is nothing.\n")):
        listed = sayso("inbox", *arguments)
        assert (listed.exit_code, listed.stdout, listed.stderr) == (0, "", says)


def test_the_inbox_shows_what_waits_oldest_first(sayso: Run, put: Put, person: Client) -> None:
    first, gone, last = put(title="First"), put(title="Gone"), put(title="Last", priority="urgent", timeout=7_300)
    person.cancel(gone.request_id)
    heads, *rows = sayso("inbox").stdout.splitlines()
    assert heads.split() == ["ID", "AGE", "LEFT", "KIND", "WHAT", "STATUS"]
    assert [row.split()[0] for row in rows] == [first.request_id[-8:], last.request_id[-8:]]
    assert "First" in rows[0]
    assert rows[1].split()[2:] == ["2h", "question", "Last", "pending", "urgent"]


def _listed(sayso: Run, *arguments: str) -> list[str]:
    listed = sayso("inbox", "--json", *arguments)
    assert listed.exit_code == 0
    return [one["request_id"] for one in lines(listed.stdout)]


def test_the_inbox_is_narrowed_by_status_run_and_number(sayso: Run, put: Put, person: Client) -> None:
    for id, run in (("open", "one"), ("done", "one"), ("gone", "two"), ("late", "two")):
        put(request_id=id, execution_id=run)
    person.answer("done", text="yes")
    person.cancel("gone")
    assert _listed(sayso) == ["open", "late"]
    assert _listed(sayso, "--all") == ["open", "done", "gone", "late"]
    assert _listed(sayso, "--status", "answered") == ["done"]
    assert _listed(sayso, "--status", "answered", "--status", "cancelled") == ["done", "gone"]
    assert _listed(sayso, "--all", "--execution", "two") == ["gone", "late"]
    assert _listed(sayso, "--all", "--limit", "3") == ["open", "done", "gone"]
    assert _listed(sayso, "--execution", "three") == []


def test_the_inbox_goes_beyond_one_page(sayso: Run, put: Put) -> None:
    ids = [put(request_id=f"r{number}").request_id for number in range(103)]
    assert _listed(sayso) == ids[:100]
    assert _listed(sayso, "--limit", "102") == ids[:102]
    assert [one["request_id"] for one in lines(sayso("export").stdout)] == ids


@pytest.mark.parametrize("command", ["answer", "cancel"])
@pytest.mark.parametrize("part", ["order-1-alpha", "order-1", "1-alpha"], ids=["whole", "beginning", "end"])
def test_a_request_is_named_by_its_id_or_an_end_of_it(
    sayso: Run, put: Put, person: Client, command: str, part: str
) -> None:
    put(request_id="order-1-alpha")
    put(request_id="order-2-beta")
    assert sayso(command, part, *(["yes"] if command == "answer" else [])).exit_code == 0
    assert not person.get("order-1-alpha").is_open
    assert person.get("order-2-beta").is_open


def test_a_whole_id_is_meant_although_another_begins_with_it(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="a1-b")
    put(request_id="a1")
    assert sayso("cancel", "a1").exit_code == 0
    assert person.get("a1-b").is_open
    assert not person.get("a1").is_open


@pytest.mark.parametrize("command", ["answer", "cancel"])
def test_an_id_that_names_two_requests_or_none_is_an_error(sayso: Run, put: Put, person: Client, command: str) -> None:
    put(request_id="order-1-alpha")
    put(request_id="order-2-alpha")
    for part, says in (
        ("order", "2 open requests begin or end with 'order'"),
        ("alpha", "2 open"),
        ("rder", "no open"),
    ):
        ended = sayso(command, part, *(["yes"] if command == "answer" else []))
        assert ended.exit_code == 1
        assert says in ended.stderr
    assert all(one.is_open for one in person.list())


def test_the_id_that_the_inbox_shows_is_enough(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="deploy-to-production-2026-11")
    shown = sayso("inbox").stdout.splitlines()[1].split()[0]
    assert sayso("cancel", shown).exit_code == 0
    assert not person.get("deploy-to-production-2026-11").is_open


@pytest.mark.parametrize("id", ["../health", "ship/answer", "ship?x"])
def test_what_can_be_no_id_names_no_request(sayso: Run, put: Put, person: Client, id: str) -> None:
    put(request_id="ship")
    ended = sayso("answer", id, "yes")
    assert ended.exit_code == 1
    assert "no open request" in ended.stderr
    assert person.get("ship").is_open


def test_cancelling_tells_the_asker_why(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="ship")
    ended = sayso("cancel", "ship", "--reason", "no longer needed")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "cancelled ship\n")
    assert (person.get("ship").status, person.get("ship").reason) == ("cancelled", "no longer needed")
    put(request_id="sink")
    (told,) = lines(sayso("cancel", "sink", "--json").stdout)
    assert (told["request_id"], told["status"], told["reason"]) == ("sink", "cancelled", "cancelled")


def test_what_is_answered_cannot_be_cancelled(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="ship")
    person.answer("ship", text="yes")
    ended = sayso("cancel", "ship")
    assert ended.exit_code == 1
    assert "settled already" in ended.stderr
    assert person.get("ship").status == "answered"


# answer


_CALL = {"action": Action(name="pay", args={"amount": 120})}
_DRAFT = {"kind": "review", "context": "a draft"}
_FORM = {"response_schema": json.loads(_SCHEMA)}
_CHOICE = {"options": (Option(id="eu", label="Frankfurt"), Option(id="us"))}


@pytest.mark.parametrize(
    ("members", "arguments", "given"),
    [
        ({}, ["Esbjerg"], {"decision": "respond", "text": "Esbjerg"}),
        ({}, [""], {"decision": "respond", "text": ""}),
        ({}, ["--file", "-"], {"decision": "respond", "text": "from stdin"}),
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
        (_DRAFT, ["--approve", "--comment", "fine"], {"decision": "approve", "comment": "fine"}),
    ],
    ids=lambda value: " ".join(value) or "blank" if isinstance(value, list) else "",
)
def test_an_answer_on_the_command_line_is_given(
    *, sayso: Run, put: Put, person: Client, members: dict[str, Any], arguments: list[str], given: dict[str, Any]
) -> None:
    put(request_id="ship", **members)
    ended = sayso("answer", "ship", *arguments, input="from stdin")
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
        (_FORM, ["Esbjerg"], 1, "this is a form"),
        ({"kind": "approval"}, ["well"], 1, "a text neither allows nor forbids the call"),
        ({"kind": "approval"}, ["--edit", "x"], 1, "this request takes only: approve, reject"),
        ({}, ["--approve"], 1, "this request takes only: respond"),
        (_CALL, ["--edit", "[]"], 1, "must be an object"),
        (_CALL, ["--edit", "{"], 2, "is no JSON"),
        (_FORM, ["--values", "Esbjerg"], 2, "is no JSON"),
        (_DRAFT, ["--edit"], 2, "--edit needs the TEXT, or --file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_open(
    *, sayso: Run, put: Put, person: Client, members: dict[str, Any], arguments: list[str], code: int, says: str
) -> None:
    put(request_id="ship", **members)
    ended = sayso("answer", "ship", *arguments)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert says in ended.stderr
    assert person.get("ship").is_open


@pytest.mark.parametrize(
    ("members", "arguments"),
    [
        (_DRAFT, ["--approve", "but shorter"]),
        (_CHOICE, ["--option", "eu", "--values", "{}"]),
        (_FORM, ["--values", "{}", "hm"]),
    ],
    ids=["approve-text", "option-values", "values-text"],
)
def test_two_answers_at_once_are_wrong_usage(
    sayso: Run, put: Put, person: Client, members: dict[str, Any], arguments: list[str]
) -> None:
    put(request_id="ship", **members)
    assert sayso("answer", "ship", *arguments).exit_code != 0
    assert person.get("ship").is_open


@pytest.mark.parametrize(
    ("members", "first", "says"),
    [
        ({}, {"text": "mine"}, "key:default was first: respond 'mine'"),
        (_DRAFT, {"decision": "approve"}, "key:default was first: approve\n"),
        (_CHOICE, {"option_ids": ("eu",)}, "key:default was first: respond 'Frankfurt'"),
        ({}, None, "key:default was first: cancelled"),
    ],
    ids=["text", "approve", "option", "cancelled"],
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


def test_no_answer_and_no_terminal_is_wrong_usage(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="ship")
    ended = sayso("answer", "ship", input="a\n")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "say what to answer: --approve, --reject" in ended.stderr
    assert person.get("ship").is_open


# watch and export


def _settings(server: HumanInputServer) -> dict[str, str]:
    """Without unbuffered output, which would hide what is not flushed."""
    return {"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY, "PYTHONUNBUFFERED": ""}


async def test_watching_a_run_tells_it_from_the_beginning_and_live(
    server: HumanInputServer, put: Put, person: Client
) -> None:
    put(request_id="other", execution_id="two", title="Another run")
    put(request_id="ship-123456", execution_id="one", title="Ship it?")
    async with program(SAYSO, "watch", "one", **_settings(server)) as running:
        asked = await running.line("asked")
        assert asked.split()[1:] == ["asked", "ship-123456", "Ship", "it?"]
        await asyncio.to_thread(person.answer, "ship-123456", text="aye")
        told = await running.line("answered")
        assert told.split()[1:] == ["answered", "ship-123456", "respond", "by", "key:default:", "aye"]
        assert "Another run" not in running.output
        assert "\x1b" not in running.output


async def test_watching_all_runs_tells_what_is_open_and_what_comes(
    server: HumanInputServer, put: Put, person: Client
) -> None:
    put(request_id="done")
    person.answer("done", text="yes")
    put(request_id="open", execution_id="one")
    async with program(SAYSO, "watch", "--json", **_settings(server)) as running:
        first = json.loads(await running.line("{"))
        assert (first["type"], first["request_id"]) == ("human_input_required", "open")
        await asyncio.to_thread(put, request_id="next", execution_id="two")
        assert json.loads(await running.line("{"))["request_id"] == "next"
        await asyncio.to_thread(person.cancel, "open", "enough")
        last = json.loads(await running.line("{"))
        assert (last["type"], last["request_id"], last["reason"]) == ("human_input_completed", "open", "enough")


async def test_watching_goes_on_after_an_event(server: HumanInputServer, put: Put) -> None:
    first, second = put(request_id="first"), put(request_id="second")
    async with program(SAYSO, "watch", "--after", first.asked_event_id, "--json", **_settings(server)) as running:
        assert json.loads(await running.line("{"))["event_id"] == second.asked_event_id


async def test_watching_after_an_unknown_event_tells_what_is_open(server: HumanInputServer, put: Put) -> None:
    put(request_id="first", title="Ship it?")
    gone = "0197a1f4-0000-7000-8000-000000000000"
    async with program(SAYSO, "watch", "run-1", "--after", gone, **_settings(server)) as running:
        assert "what is open now" in await running.line("---")
        await asyncio.to_thread(put, request_id="second", title="Sink it?")
        await running.line("Sink it?")
        assert "Ship it?" in running.output


async def test_watching_goes_on_through_a_restart_without_a_gap_or_a_repeat(serve: Serve, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    server = await asyncio.to_thread(serve, store=store)
    port, address = server._bound_port, server.url

    def ask(id: str) -> None:
        with Client(address, KEY) as client:
            client.ask(question(request_id=id))

    await asyncio.to_thread(ask, "before")
    async with program(SAYSO, "watch", "--json", **_settings(server)) as running:
        await running.line('"before"')
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(serve, store=store, port=port)
        await asyncio.to_thread(ask, "after")
        await running.line('"after"')
        assert [one["request_id"] for one in lines(running.output)] == ["before", "after"]


async def test_ctrl_c_ends_watching_with_130(server: HumanInputServer, put: Put) -> None:
    put()
    async with program(SAYSO, "watch", **_settings(server)) as running:
        await running.line("asked")
        running.send(signal.SIGINT)
        assert await running.end() == 130


async def test_watching_what_can_be_no_run_is_an_error(server: HumanInputServer) -> None:
    async with program(SAYSO, "watch", "a b", **_settings(server)) as running:
        assert await running.end() == 1
        assert "Error: " in running.output
        assert "Traceback" not in running.output


def test_the_export_is_everything_in_asking_order(sayso: Run, put: Put, person: Client) -> None:
    for id, run in (("one", "a"), ("two", "b"), ("three", "a")):
        put(request_id=id, execution_id=run)
    person.answer("two", text="yes")
    assert [one["request_id"] for one in lines(sayso("export").stdout)] == ["one", "two", "three"]
    assert [one["request_id"] for one in lines(sayso("export", "--execution", "a").stdout)] == ["one", "three"]
    (answered,) = lines(sayso("export", "--status", "answered").stdout)
    assert answered["answer"]["text"] == "yes"


def test_an_empty_export_is_empty(sayso: Run) -> None:
    ended = sayso("export")
    assert (ended.exit_code, ended.output) == (0, "")


def test_the_reader_of_an_export_may_leave_early(server: HumanInputServer, put: Put) -> None:
    for number in range(30):  # more than a pipe holds
        put(request_id=f"r{number}", context="long " * 4_000)
    with subprocess.Popen(
        [SAYSO, "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | _settings(server)
    ) as exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        assert json.loads(exporting.stdout.readline())["request_id"] == "r0"
        exporting.stdout.close()
        assert exporting.stderr.read() == b""
        assert exporting.wait(30) == 0


# hostile text


def test_hostile_text_leaves_the_inbox_one_line_to_a_request(sayso: Run, put: Put) -> None:
    put(prompt=HOSTILE, title=HOSTILE)
    shown = sayso("inbox").stdout
    assert len(shown.splitlines()) == 2
    assert "red" in shown
    assert [mark for mark in FORBIDDEN if mark in shown] == []


async def test_hostile_text_is_watched_one_line_to_an_event(server: HumanInputServer, put: Put, person: Client) -> None:
    put(request_id="ship", title=HOSTILE)
    person.answer("ship", text=HOSTILE)
    async with program(SAYSO, "watch", "run-1", **_settings(server)) as running:
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


# doctor


def test_the_doctor_finds_nothing_wrong(sayso: Run, put: Put, server: HumanInputServer) -> None:
    well = sayso("doctor")
    assert well.exit_code == 0
    assert "✗" not in well.stdout
    assert f"✓ {server.url} answers; nothing waits" in well.stdout
    assert "✓ a key is set" in well.stdout
    put()
    assert "; something waits" in sayso("doctor").stdout


def test_the_doctor_reads_the_key_from_a_file(sayso: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    named: dict[str, str | None] = {"SAYSO_API_KEY": None, "SAYSO_API_KEY_FILE": str(tmp_path / "key")}
    assert sayso("doctor", env=named).exit_code == 0
    (tmp_path / "key").unlink()
    ill = sayso("doctor", env=named)
    assert ill.exit_code == 1
    assert "✗ SAYSO_API_KEY_FILE names" in ill.stdout


@pytest.mark.usefixtures("impatient")
def test_the_doctor_says_what_is_wrong_and_what_to_do(sayso: Run) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for env, says, cure in (
        ({"SAYSO_API_KEY": "another"}, "wants another key", "set SAYSO_API_KEY"),
        ({"SAYSO_API_KEY": None}, "wants another key", "set SAYSO_API_KEY"),
        ({"SAYSO_URL": nowhere}, f"no server answers at {nowhere}", "sayso serve, or set SAYSO_URL\n"),
        ({"SAYSO_URL": "localhost"}, "the server's address must be a URL", ""),
    ):
        ill = sayso("doctor", env=env)
        assert ill.exit_code == 1
        assert f"✗ {says}" in ill.stdout or f"{says}\n" in ill.stdout
        assert cure in ill.stdout


def test_the_doctor_takes_no_key_for_good_to_know(sayso: Run, serve: Serve) -> None:
    open_to_all = serve(api_key=None)
    well = sayso("doctor", env={"SAYSO_API_KEY": None, "SAYSO_URL": open_to_all.url})
    assert well.exit_code == 0
    assert "· no key is set: SAYSO_API_KEY" in well.stdout


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: HTTPServer(("127.0.0.1", 0), _web_page(200)), "not as a sayso server does"),
        (lambda: HTTPServer(("127.0.0.1", 0), _web_page(404)), "not as a sayso server does"),
        (lambda: HTTPServer(("127.0.0.1", 0), _web_page(502)), "something listens there"),
        (lambda: TCPServer(("127.0.0.1", 0), _Mute), "something listens there"),
    ],
    ids=["page", "not-found", "bad-gateway", "hangs-up"],
)
def test_the_doctor_sees_that_something_else_has_the_port(sayso: Run, make: Callable[[], TCPServer], says: str) -> None:
    with _listening(make()) as url:
        ill = sayso("doctor", env={"SAYSO_URL": url})
    assert ill.exit_code == 1
    assert url in ill.stdout
    assert says in ill.stdout


# keys, extras, help, completion, demo


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("key", [KEY, "wrong-key-77", "kéy that cannot be sent"], ids=["right", "wrong", "unfit"])
def test_no_key_is_ever_shown(sayso: Run, put: Put, key: str) -> None:
    put(request_id="ship")
    commands = (
        ["doctor"],
        ["inbox"],
        ["inbox", "--url", "http://ada:s3cret@127.0.0.1:1"],
        ["doctor", "--url", "http://ada:s3cret@127.0.0.1:1"],
        ["inbox", "--url", "http://127.0.0.1:1"],
        ["export"],
        ["ask", "a", "--json"],
        ["answer", "ship", "yes", "--json"],
        ["answer", "ship", "yes"],
        ["answer", "--help"],
    )
    for command in commands:
        ended = sayso(*command, env={"SAYSO_API_KEY": key})
        assert ended.output
        assert key not in ended.output
        assert "s3cret" not in ended.output


_METADATA = "Without.__getattr__ = lambda self, name: getattr(self.finder, name)"
"""Makes `importlib.metadata`, which the doctor asks for versions, work beside `_WITHOUT`."""


@pytest.mark.parametrize("command", ["inbox", "doctor"])
@pytest.mark.parametrize("package", ["httpx", "rich"])
async def test_a_command_without_the_client_says_how_to_install_it(package: str, command: str) -> None:
    code = f"{_WITHOUT}\n{_METADATA}\nfrom sayso.cli import main\nmain(['{command}'])"
    async with program(*python(code, package)) as running:
        assert await running.end() == 1
        assert package in running.output
        assert "pip install 'sayso[client]'" in running.output
        assert "Traceback" not in running.output


@pytest.mark.parametrize(
    "command",
    sorted(main.commands),
)
def test_the_help_of_every_command_has_an_example(sayso: Run, command: str) -> None:
    for option in ("--help", "-h"):
        told = sayso(command, option)
        assert (told.exit_code, told.stderr) == (0, "")
        _, heading, examples = told.stdout.partition("  Example")
        assert heading
        assert f"sayso {command}" in examples.partition("Options:")[0]


def test_the_commands_are_these(sayso: Run) -> None:
    names = "answer ask cancel completion demo doctor export inbox serve watch"
    assert sorted(main.commands) == names.split()
    told = sayso("--help").stdout
    assert [name for name in names.split() if f"\n  {name} " not in told] == []
    assert sayso("--version").stdout.startswith("sayso, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_sayso_itself(sayso: Run, shell: str) -> None:
    script = sayso("completion", shell)
    assert (script.exit_code, script.stderr) == (0, "")
    assert f"_SAYSO_COMPLETE={shell}_complete" in script.stdout
    if path := shutil.which(shell):
        subprocess.run([path, "-n"], input=script.stdout, text=True, check=True, timeout=10)


def test_a_shell_that_asks_is_told_the_commands_and_options() -> None:
    for words, told in (("sayso in", "plain,inbox"), ("sayso inbox --st", "plain,--status")):
        asking = {"_SAYSO_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        run = subprocess.run([SAYSO], env=os.environ | asking, capture_output=True, text=True, check=True, timeout=30)
        assert run.stdout.splitlines() == [told]


async def test_ctrl_c_ends_the_demo_with_130() -> None:
    async with program(SAYSO, "demo") as running:
        await running.line("Ctrl-C ends it.")
        running.send(signal.SIGINT)
        assert await running.end() == 130


async def test_the_demo_has_three_questions_and_says_how_to_answer_them() -> None:
    async with program(SAYSO, "demo") as running:
        exports = (await running.line("export SAYSO_URL=")).split()[1:]
        url = dict(one.split("=", 1) for one in exports)["SAYSO_URL"]
        await running.line("Ctrl-C ends it.")
        with Client(url, "demo") as client:

            def answer_all() -> None:
                events = client.follow()
                for _ in range(3):
                    asked = next(events)
                    given = {"choice": "Esbjerg", "review": "shorter"}.get(asked.kind)
                    client.answer(asked.request_id, **({"text": given} if given else {"decision": "reject"}))
                events.close()

            await asyncio.to_thread(answer_all)
        assert await running.end() == 0
        for says in ("'Which harbour comes first?' -> respond", "'May this go out?' -> respond shorter", "-> reject"):
            assert says in running.output
