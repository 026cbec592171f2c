"""Each promise of docs/protocol.md is shown by a test that carries its id."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PROMISES = set(re.findall(r"^\| `([A-Z]+-\d+)` \|", (_ROOT / "docs/protocol.md").read_text(), re.MULTILINE))
_CARRIED = {
    id
    for file in (_ROOT / "tests").rglob("test_*.py")
    for ids in re.findall(r"promise\(([^)]*)\)", file.read_text())
    for id in re.findall(r'"([A-Z]+-\d+)"', ids)
}


def test_there_are_promises() -> None:
    assert len(_PROMISES) > 30


def test_every_promise_is_carried_by_a_test() -> None:
    assert sorted(_PROMISES - _CARRIED) == []


def test_no_test_carries_a_promise_that_was_never_made() -> None:
    assert sorted(_CARRIED - _PROMISES) == []


def test_every_test_that_the_proposals_table_names_exists() -> None:
    file, count, missing = "", 0, []
    for named in re.findall(r"`([\w/…]+\.py)(?:::(\w+))?`|`…::(\w+)`", (_ROOT / "docs/seed.md").read_text()):
        file = named[0] or file
        source = _ROOT / "tests" / file
        test = named[1] or named[2]
        if not source.is_file() or (test and f"def {test}(" not in source.read_text()):
            missing.append((file, test))
        count += 1
    assert count > 25
    assert missing == []
