"""`sayso ask`: what is asked, what is printed, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sayso import Client, HumanInputServer, Option, Submission
from tests.cli.conftest import FORBIDDEN, HOSTILE, SCHEMA, Run, Terminal, is_waited_for, lines
from tests.client.relay import relayed
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([" "], "PROMPT: must not be blank"),
        (["a", "--kind", "form"], "--schema: "),
        (["a", "--option", "x", "--option", "x"], "--option: "),
        (["a", "--option", "=label"], "--option: "),
        (["a", "--timeout", "99999d"], "--timeout: "),
        (["a", "--title", "t" * 201], "--title: "),
        (["a", "--kind", "approval", "--default", "well"], "--default: "),
    ],
    ids=["blank", "form", "options", "option", "timeout", "title", "default"],
)
def test_what_the_server_refuses_is_an_error_that_names_the_option(
    sayso: Run, person: Client, arguments: list[str], says: str
) -> None:
    refused = sayso("ask", *arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"Error: {says}" in refused.stderr
    assert list(person.list()) == []


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
    assert sayso(*command, input=SCHEMA).exit_code == 0
    person.answer("ship", given)
    waited = sayso(*command, "--wait", input=SCHEMA)
    assert (waited.exit_code, waited.stdout) == (code, printed)


def test_waiting_in_vain_ends_with_124_and_prints_nothing(sayso: Run) -> None:
    waited = sayso("ask", "Ship it?", "--timeout", "0.05", "--wait")
    assert (waited.exit_code, waited.stdout, waited.stderr) == (124, "", "nobody answered: deadline\n")


@pytest.mark.parametrize("kind", ["approval", "review", "gate"])
def test_waiting_in_vain_for_a_decision_ends_with_124_too(sayso: Run, kind: str) -> None:
    assert sayso("ask", "Ship it?", "--kind", kind, "--timeout", "0.05", "--wait").exit_code == 124


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--default", "later"], "later\n"),
        (["--option", "eu=Frankfurt", "--default", "eu"], "eu\n"),
        (["--kind", "approval", "--default", "approve"], ""),
        (["--kind", "review", "--default", "shorter"], "shorter\n"),
        (["--default", "approve"], "approve\n"),
    ],
    ids=["text", "option", "approval", "review", "the-word"],
)
def test_a_default_counts_when_nobody_answers_in_time(sayso: Run, arguments: list[str], printed: str) -> None:
    waited = sayso("ask", "Ship it?", "--timeout", "0.05", *arguments, "--wait")
    assert (waited.exit_code, waited.stdout, waited.stderr) == (0, printed, "")


def test_a_form_may_have_a_default(sayso: Run) -> None:
    command = ("ask", "Where?", "--schema", "-", "--timeout", "0.05", "--default", '{"city": "Esbjerg"}', "--wait")
    waited = sayso(*command, input=SCHEMA)
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


async def test_a_process_waits_until_a_person_answers(server: HumanInputServer, person: Client) -> None:
    settings = {"SAYSO_URL": server.url, "SAYSO_API_KEY": KEY, "PYTHONUNBUFFERED": ""}
    async with relayed(server.url) as relay:
        command = (SAYSO, "ask", "Ship it?", "--option", "eu=Frankfurt", "--wait", "--url", relay.url)
        async with program(*command, **settings) as running:
            await relay.until(is_waited_for)
            (asked,) = await asyncio.to_thread(lambda: list(person.list()))
            await asyncio.to_thread(person.answer, asked.request_id, option_ids=("eu",))
            assert await running.end() == 0
            assert running.output == "eu\n"


@pytest.mark.parametrize("kind", ["approval", "review", "gate"])
def test_a_default_may_be_to_reject(sayso: Run, kind: str) -> None:
    waited = sayso("ask", "Ship it?", "--kind", kind, "--timeout", "0.05", "--default", "reject", "--wait")
    assert (waited.exit_code, waited.stdout) == (3, "reject\n")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400), (" 2h ", 7_200)],
)
def test_a_timeout_is_a_span_of_time(sayso: Run, person: Client, said: str, seconds: float) -> None:
    stored = person.get(sayso("ask", "Ship it?", "--timeout", said).stdout.strip())
    assert stored.deadline is not None
    assert round((stored.deadline - stored.created_at).total_seconds()) == seconds


def test_the_prompt_may_come_from_stdin(sayso: Run, person: Client) -> None:
    asked = sayso("ask", "-", input="Ship it?\r\nOr sink it?\n\n")
    assert person.get(asked.stdout.strip()).prompt == "Ship it?\nOr sink it?"


def test_a_byte_order_mark_is_no_part_of_a_text(sayso: Run, person: Client, tmp_path: Path) -> None:
    (tmp_path / "draft.md").write_bytes(b"\xef\xbb\xbfgr\xc3\xb6\xc3\x9fer\r\n")
    asked = sayso("ask", "Ship it?", "--context", str(tmp_path / "draft.md"))
    assert person.get(asked.stdout.strip()).context == "größer\n"


@pytest.mark.parametrize(
    ("arguments", "input", "says"),
    [
        (["-", "--context", "-"], b"x", "stdin is read for another one already"),
        (["-"], b" \n", "stdin is empty"),
        (["Ship it?", "--context", "-"], b"\xff", "stdin is no text in UTF-8"),
        (["Ship it?", "--context", "/"], b"", "/: Is a directory"),
        (["Ship it?", "--context", "/dev/zero"], b"", "/dev/zero is larger than anything a server takes"),
        (["Ship it?", "--context", "a\0b"], b"", "can be no file"),
        (["Ship it?", "--timeout", "nan"], b"", "'nan' is no span of time; write 90 (seconds), 10m, 2h or 1d"),
        (["Ship it?", "--timeout", "9" * 400], b"", "is no span of time"),
        (["Ship it?", "--id", "a b"], b"", "'a b' can be no id"),
        (["Ship it?", "--execution", "a b"], b"", "'a b' can be no id"),
        (["Ship it?", "--schema", "-", "--default", "x"], b"{}", "--default: is no JSON"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_what_can_be_no_question_is_wrong_usage(alone: Run, arguments: list[str], input: bytes, says: str) -> None:
    refused = alone("ask", *arguments, input=input)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert says in refused.stderr


def test_a_terminal_gets_an_answer_that_it_does_not_obey(terminal: Terminal, sayso: Run, person: Client) -> None:
    sayso("ask", "Ship it?", "--id", "ship")
    person.answer("ship", text=HOSTILE)
    at = terminal("ask", "Ship it?", "--id", "ship", "--wait")
    assert at.end() == 0
    assert "red" in at.output
    assert [mark for mark in FORBIDDEN if mark in at.output] == []
    assert sayso("ask", "Ship it?", "--id", "ship", "--wait").stdout == f"{HOSTILE}\n"  # a program gets all of it
