"""What SECURITY.md and the operators' pages name is there, and what they tell to do in an emergency does it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from sayso import HumanInputServer
from tests.postgres import Cluster
from tests.server.keyholder import Holder, make_key

_ROOT = Path(__file__).parent.parent
_POLICY = (_ROOT / "SECURITY.md").read_text()
_GUIDE = (_ROOT / "docs/security.md").read_text()
_PROMISES = re.findall(r"^\| `([A-Z]+-\d+)` \|", (_ROOT / "docs/protocol.md").read_text(), re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_threat_names_tests_that_are_there() -> None:
    rows = [line for line in _POLICY.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (_ROOT / file).read_text(), f"{file}::{test}"


def test_every_promise_that_is_named_was_made() -> None:
    named = set(re.findall(r"`([A-Z]+-\d+)`", _POLICY))
    assert len(named) > 20
    assert sorted(named - set(_PROMISES)) == []


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/security.md", "docs/operations.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (_ROOT / page).read_text())
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" not in path:
            target = (_ROOT / page).parent / path if path else _ROOT / page
            assert target.exists(), link
            assert not anchor or anchor in _anchors(target), link


def _session_after(store: str, serve: Callable[..., HumanInputServer], do: Callable[[], object]) -> tuple[int, int]:
    """The status that a session begun before `do`, with the server stopped, gets after it; and that of its key."""
    before = serve(store=store)
    secret = make_key(before.url, "read")["secret"]
    holder = Holder.by_session(before.url, secret)
    assert holder.call("GET", "/requests") == 200
    before.stop()
    do()
    after = serve(store=store)
    session = {name: value for name, value in holder.headers.items() if name == "Cookie"}
    holder.close()
    by_session = httpx.get(f"{after.url}/requests", headers=session | {"Sec-Fetch-Site": "same-origin"})
    by_key = httpx.get(f"{after.url}/requests", headers={"Authorization": f"Bearer {secret}"})
    after.stop()
    return by_session.status_code, by_key.status_code


_STATEMENTS = {table: statement for statement, table in re.findall(r'"(DELETE FROM (\S+) WHERE [^"]*)"', _GUIDE)}
"""What the guide says to run when a copy of the store got out, by the table."""


def test_the_guides_statement_ends_every_session_of_a_file(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    path = tmp_path / "questions.db"

    def run() -> None:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(_STATEMENTS["meta"])

    assert _session_after(f"sqlite:///{path}", serve, lambda: None) == (200, 200)  # the control: a restart alone
    assert _session_after(f"sqlite:///{path}", serve, run) == (401, 200)


def test_the_guides_statement_ends_every_session_of_a_database(
    serve: Callable[..., HumanInputServer], cluster: Cluster, database: str
) -> None:
    assert _session_after(database, serve, lambda: None) == (200, 200)
    assert _session_after(database, serve, lambda: cluster.sql(_STATEMENTS["sayso.meta"], database)) == (401, 200)
