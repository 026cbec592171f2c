"""`sayso audit`: exports that anybody can check, and a check that names the first break."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sayso import Client, HumanInputServer
from sayso.audit import Draft
from sayso.chain import Chains
from sayso.cli.audit.export import _within
from sayso.cli.audit.verify import _lines
from sayso.model import Action
from tests.builders import question, request
from tests.cli.conftest import Put, Run, lines

Line = dict[str, Any]


@pytest.fixture
def done(put: Put, person: Client) -> None:
    """Two runs, of three entries and of one."""
    put(execution_id="a", request_id="one")
    person.answer("one", text="yes")
    put(execution_id="b", request_id="two")
    put(execution_id="a", request_id="three")


@pytest.fixture
def exported(done: None, sayso: Run, tmp_path: Path) -> Path:
    file = tmp_path / "audit.jsonl"
    file.write_text(sayso("audit", "export").stdout)
    return file


def test_an_export_has_every_entry_run_after_run(done: None, sayso: Run) -> None:
    found = lines(sayso("audit", "export").stdout)
    places = [(one["execution_id"], one["number"], one["change"]) for one in found]
    assert places == [("a", 1, "asked"), ("a", 2, "answered"), ("a", 3, "asked"), ("b", 1, "asked")]
    assert lines(sayso("audit", "export", "--execution", "b", "--json").stdout) == found[3:]
    assert lines(sayso("audit", "export", "--since", "1h").stdout) == found
    assert lines(sayso("audit", "export", "--until", "1h").stdout) == []
    assert lines(sayso("audit", "export", "--since", found[1]["at"]).stdout)[0] == found[1]
    assert lines(sayso("audit", "export", "--until", found[2]["at"]).stdout)[:2] == found[:2]


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [(None, None, "1324 12"), (2, None, "324 2"), (3, None, "324 "), (None, 3, "1 12"), (2, 4, "32 2"), (None, 1, "")],
)
def test_each_chain_is_cut_at_its_ends_and_never_in_the_middle(
    since: int | None, until: int | None, shown: str
) -> None:
    """Clocks go back now and then, and a chain with a hole could not be verified. What is at `until` is left out."""
    begin = datetime(2030, 1, 31, tzinfo=UTC)
    times = [("a", 1), ("a", 3), ("a", 2), ("a", 4), ("b", 1), ("b", 2)]
    entries = [{"execution_id": id, "at": (begin + timedelta(hours=at)).isoformat(), "hour": at} for id, at in times]
    bounds = [None if hour is None else begin + timedelta(hours=hour) for hour in (since, until)]
    found = list(_within(entries, *bounds))
    by_chain = ["".join(str(one["hour"]) for one in found if one["execution_id"] == id) for id in ("a", "b")]
    assert " ".join(by_chain).rstrip() == shown.rstrip()


def test_an_entry_whose_time_has_no_zone_is_shown_whenever_it_was() -> None:
    """It is not as it was written, and cannot be compared."""
    odd = {"execution_id": "a", "at": "2030-01-31T12:00:00"}
    early = {"execution_id": "a", "at": "2030-01-31T12:00:00Z"}
    since = datetime(2040, 1, 1, tzinfo=UTC)
    assert list(_within([early, odd], since, None)) == [odd]
    assert list(_within([odd], None, since)) == [odd]


@pytest.mark.promise("AUDIT-3")
def test_what_is_whole_ends_with_0_and_says_what_does_not_show(exported: Path, sayso: Run, alone: Run) -> None:
    ended = alone("audit", "verify", str(exported))
    assert (ended.exit_code, ended.stdout) == (0, "4 entries of 2 executions: whole\n")
    assert "nothing noted earlier was compared" in ended.stderr
    assert sayso("audit", "verify").stdout == ended.stdout
    assert sayso("audit", "verify", "--execution", "a").stdout == "3 entries of 1 executions: whole\n"
    piped = alone("audit", "verify", "-", input=exported.read_bytes())
    assert piped.stdout == ended.stdout


@pytest.mark.promise("AUDIT-3")
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda text: text.replace(b'"answered"', b'"expired"'), "line 2: execution a: entry 2 was changed"),
        (
            lambda text: b"".join(text.splitlines(keepends=True)[1:]),
            "line 1: execution a: entry 2 stands where entry 1",
        ),
        (lambda text: text[:-20], "line 4: this is no entry"),
        (lambda text: text + b"\xff\n", "line 5: this is no entry"),
        (lambda text: text + b"[" * 100_000, "line 5: this is no entry"),
        (lambda text: text + b"\n", "line 5: this is no entry"),
    ],
)
def test_the_first_break_is_said_with_its_line(exported: Path, alone: Run, harm: Any, told: str) -> None:
    exported.write_bytes(harm(exported.read_bytes()))
    ended = alone("audit", "verify", str(exported))
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert told in ended.stderr


@pytest.mark.promise("AUDIT-3")
def test_heads_that_were_noted_show_what_was_cut_off(exported: Path, tmp_path: Path, sayso: Run, alone: Run) -> None:
    whole = exported.read_text().splitlines(keepends=True)
    heads = tmp_path / "heads.jsonl"
    heads.write_text(sayso("audit", "verify", "--json").stdout)
    assert [(one["execution_id"], one["number"]) for one in lines(heads.read_text())] == [("a", 3), ("b", 1)]
    assert alone("audit", "verify", str(exported), "--heads", str(heads)).stderr == ""
    assert sayso("audit", "verify", "--heads", str(heads)).exit_code == 0

    exported.write_text("".join([*whole[:2], whole[3]]))

    assert alone("audit", "verify", str(exported)).exit_code == 0
    ended = alone("audit", "verify", str(exported), "--heads", str(heads))
    assert (ended.exit_code, "entry 3 was noted: the end was cut off" in ended.stderr) == (1, True)
    last = json.loads(whole[2])
    ended = alone("audit", "verify", str(exported), "--head", f"a=3:{last['hash']}")
    assert (ended.exit_code, "the end was cut off" in ended.stderr) == (1, True)
    part = tmp_path / "part.jsonl"
    part.write_text("".join(whole[1:3]))
    assert alone("audit", "verify", str(part)).exit_code == 1
    assert alone("audit", "verify", str(part), "--part").exit_code == 0


def test_a_file_with_execution_is_a_wrong_command_line(exported: Path, alone: Run) -> None:
    assert alone("audit", "verify", str(exported), "--execution", "a").exit_code == 2
    heads = exported.with_name("heads")
    heads.write_text('{"execution_id": "a"}\n')
    ended = alone("audit", "verify", str(exported), "--heads", str(heads))
    assert (ended.exit_code, "line 1: it has no number" in ended.stderr) == (2, True)


def test_a_server_whose_audit_was_tampered_with_is_found_out(
    done: None, sayso: Run, server: HumanInputServer, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "0.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER audit_is_not_changed")
        db.execute("UPDATE audit SET data = CAST(replace(CAST(data AS TEXT), 'http', 'smtp') AS BLOB) WHERE number = 2")
    ended = sayso("audit", "verify")
    assert (ended.exit_code, "execution a: entry 2 was changed" in ended.stderr) == (1, True)
    told = lines(sayso("audit", "export").stdout)[1]
    assert '"channel":"smtp"' in told["damaged"]


def test_what_an_answer_at_the_terminal_is_about_is_said_with_it(sayso: Run, person: Client) -> None:
    asked = person.ask(question(action=Action(name="pay"), request_id="pay"))
    assert asked.action is not None
    assert sayso("answer", "pay", "--approve").exit_code == 0
    assert lines(sayso("audit", "export").stdout)[1]["action"] == asked.action.digest


def test_a_long_audit_is_verified_in_little_memory(tmp_path: Path) -> None:
    """Of many chains, as it would be held if anything were."""
    file = tmp_path / "long.jsonl"
    one = Draft.of(request())
    with file.open("wb") as out:
        for number in range(20_000):
            id = f"run-{number:07}"
            draft = Draft(id, one.head.replace(b'"run-1"', f'"{id}"'.encode()), one.tail)
            out.write(draft.after(0, None).line + b"\n")
    chains, most = Chains(), []
    tracemalloc.start()
    with file.open("rb") as text:
        for number, entry in enumerate(_lines(text)):
            chains.add(entry)
            if number % 5_000 == 4_999:
                most.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    chains.end()
    assert chains.executions == 20_000
    assert most[-1] < most[0] + 50_000
