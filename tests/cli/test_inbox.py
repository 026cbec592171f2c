"""`sayso inbox` and `sayso cancel`: what is listed and shown, and how a request is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sayso import Action, Client
from sayso.model import Source
from tests.cli.conftest import Put, Run, lines


def test_an_empty_inbox_says_so_beside_the_output(sayso: Run) -> None:
    for arguments, says in (
        ([], "Nothing waits.\n"),
        (["--all"], "There is nothing like that.\n"),
        (["--kind", "form"], "There is nothing like that.\n"),
    ):
        listed = sayso("inbox", *arguments)
        assert (listed.exit_code, listed.stdout, listed.stderr) == (0, "", says)


def test_the_inbox_shows_what_waits_oldest_first(sayso: Run, put: Put, person: Client) -> None:
    first, gone, last = put(title="First"), put(title="Gone"), put(title="Last", priority="urgent", timeout=7_300)
    person.cancel(gone.request_id)
    heads, *rows = sayso("inbox").stdout.splitlines()
    assert heads.split() == ["ID", "AGE", "LEFT", "KIND", "PRIORITY", "WHAT"]
    assert [row.split()[0] for row in rows] == [first.request_id[-8:], last.request_id[-8:]]
    assert "First" in rows[0]
    assert rows[1].split()[2:] == ["2h1m", "question", "urgent", "Last"]


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


def test_the_inbox_is_narrowed_by_kind_priority_and_people(sayso: Run, put: Put) -> None:
    put(request_id="plain", source=Source(name="script"))
    put(request_id="call", action=Action(name="pay"), priority="high", assignees=("ada", "bo"))
    put(request_id="draft", kind="review", priority="urgent", assignees=("cy",), context_data={"agent": "The Writer\n"})
    assert _listed(sayso, "--kind", "approval") == ["call"]
    assert _listed(sayso, "--kind", "approval", "--kind", "review") == ["call", "draft"]
    assert _listed(sayso, "--priority", "high", "--priority", "normal") == ["plain", "call"]
    assert _listed(sayso, "--assignee", "bo", "--assignee", "cy") == ["call", "draft"]
    assert _listed(sayso, "--agent", "The Writer") == ["draft"]
    assert _listed(sayso, "--agent", "script") == ["plain"]
    assert _listed(sayso, "--agent", "script", "--kind", "review") == []
    assert _listed(sayso, "--kind", "review", "--all") == ["draft"]


def test_the_inbox_is_searched_and_may_begin_with_the_newest(sayso: Run, put: Put) -> None:
    put(request_id="one", title="Deploy 2.4")
    put(request_id="two", title="Publish")
    put(request_id="three", prompt="May I deploy?", title="Ask")
    assert _listed(sayso, "--search", "DEPLOY") == ["one", "three"]
    assert _listed(sayso, "--newest") == ["three", "two", "one"]
    assert _listed(sayso, "--newest", "--limit", "1", "--search", "deploy") == ["three"]


def test_the_limit_counts_what_is_left_by_the_others_and_says_when_it_cuts(sayso: Run, put: Put) -> None:
    for number in range(6):
        put(request_id=f"r{number}", priority="high" if number % 2 else "low")
    assert _listed(sayso, "--priority", "high", "--limit", "2") == ["r1", "r3"]
    assert sayso("inbox", "--limit", "5").stderr == "There are more than these: --limit 10\n"
    assert sayso("inbox", "--limit", "6").stderr == ""


def test_the_inbox_is_narrowed_by_time(sayso: Run, put: Put) -> None:
    asked = put(request_id="ship").created_at
    assert _listed(sayso, "--since", "1h") == ["ship"]
    assert _listed(sayso, "--since", asked.isoformat()) == ["ship"]
    assert _listed(sayso, "--since", (asked + timedelta(milliseconds=1)).isoformat()) == []
    assert _listed(sayso, "--since", asked.astimezone().strftime("%Y-%m-%d")) == ["ship"]  # midnight, here


@pytest.mark.parametrize("since", ["soon", "90", "2026-13-01", "-2d", "9" * 30 + "d", ""])
def test_what_is_no_moment_is_wrong_usage(alone: Run, since: str) -> None:
    ended = alone("inbox", "--since", since)
    assert ended.exit_code == 2
    assert "Invalid value for '--since'" in ended.stderr


def test_one_request_is_shown_whatever_became_of_it(sayso: Run, put: Put, person: Client) -> None:
    put(request_id="order-1-alpha", prompt="Ship it?", assignees=("ada",))
    assert "question · pending · order-1-alpha" in sayso("inbox", "order-1").stdout
    person.answer("order-1-alpha", text="aye, aye", comment="at last")
    shown = sayso("inbox", "1-alpha").stdout
    for part in ("Ship it?", "for ada", "answered by key:default: respond", "aye, aye", "(at last)"):
        assert part in shown
    (told,) = lines(sayso("inbox", "order-1", "--json").stdout)
    assert told["answer"]["text"] == "aye, aye"
    assert "no request begins or ends with 'order-2'\n" in sayso("inbox", "order-2").stderr


@pytest.mark.parametrize(
    "arguments",
    [["ship", "--all"], ["ship", "--kind", "form"], ["ship", "--status", "pending"], ["--all", "--status", "pending"]],
    ids=" ".join,
)
def test_what_contradicts_itself_is_wrong_usage(alone: Run, arguments: list[str]) -> None:
    ended = alone("inbox", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "leave" in ended.stderr


def test_a_pipe_gets_whole_titles(sayso: Run, put: Put) -> None:
    put(title="long " * 40)
    assert ("long " * 40).strip() in sayso("inbox", env={"COLUMNS": "60"}).stdout


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


@pytest.mark.parametrize("id", ["", "../health", "ship/answer", "ship?x", "schiff-ö", "\udcff"])
def test_what_can_be_no_id_is_wrong_usage(alone: Run, id: str) -> None:
    ended = alone("answer", id, "yes")
    assert ended.exit_code == 2
    assert "can be no id: it must be 1 to 128 of A-Z" in ended.stderr


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
    assert ended.stderr == "Error: key:default was first: respond 'yes'\n"
    assert person.get("ship").status == "answered"
