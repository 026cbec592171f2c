"""Whether an audit is whole: every kind of break shows, and what a chain cannot show is shown by what was noted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sayso.audit import Draft
from sayso.chain import Chains, Head
from sayso.errors import AuditBroken
from tests.builders import request

Line = dict[str, Any]


def chain(execution_id: str, length: int, first: int = 0) -> list[Line]:
    """Entries as they come from an export; of another history for another `first`."""
    lines, last = [], (0, None)
    for number in range(length):
        one = request(execution_id=execution_id, request_id=f"r{first + number}")
        entry = Draft.of(one).after(*last)
        last = (entry.number, entry.hash)  # type: ignore[assignment]
        lines.append(msgspec.json.decode(entry.line))
    return lines


def heads_of(lines: Iterable[Line], **how: Any) -> list[Head]:
    """Where each chain ends. Raises AuditBroken."""
    chains = Chains(**how)
    return [head for head in (*map(chains.add, lines), chains.end()) if head is not None]


def head_of(line: Line) -> Head:
    return Head(line["execution_id"], line["number"], line["hash"])


def nested(levels: int) -> Any:
    """As deep as msgspec reads it; a number at its end keeps it from being written at once."""
    return msgspec.json.decode(b"[" * levels + b"1.5" + b"]" * levels)


@pytest.fixture
def lines() -> list[Line]:
    """Three chains, in the order of an export."""
    return chain("a", 3) + chain("b", 5) + chain("c", 1)


def test_what_is_whole_is_whole(lines: list[Line]) -> None:
    assert heads_of(lines) == [head_of(lines[2]), head_of(lines[7]), head_of(lines[8])]
    assert heads_of([]) == []


BREAKS: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "changed": (lambda them: them[4].update(by="key:mallory"), "execution b: entry 2 was changed"),
    "more said": (lambda them: them[4].update(note="all is well"), "execution b: entry 2 was changed"),
    "less said": (lambda them: them[4].pop("channel"), "execution b: entry 2 was changed"),
    "another number": (lambda them: them[4].update(number=7), "execution b: entry 7 was changed"),
    "another hash": (lambda them: them[4].update(hash="0" * 64), "execution b: entry 2 was changed"),
    "removed": (lambda them: them.pop(4), "execution b: entry 3 stands where entry 2 should"),
    "first removed": (lambda them: them.pop(3), "execution b: entry 2 stands where entry 1 should"),
    "twice": (lambda them: them.insert(4, them[4]), "execution b: entry 2 stands where entry 3 should"),
    "swapped": (lambda them: them.insert(3, them.pop(4)), "execution b: entry 2 stands where entry 1 should"),
    "of another history": (lambda them: them.__setitem__(5, chain("b", 3, 9)[2]), "execution b: entry 3 follows on"),
    "chains swapped": (lambda them: them.append(them.pop(0)), "entry 2 stands where entry 1 should"),
    "chain inserted": (lambda them: them.extend(chain("b", 1)), "execution b: entry 1 stands after entries of another"),
    "no entry": (lambda them: them.insert(1, {"number": 1}), "this is no entry"),
    "nothing": (lambda them: them.insert(1, None), "this is no entry"),  # type: ignore[arg-type]
    "a number that is none": (lambda them: them[0].update(number=True), "this is no entry"),
    "a value that goes too deep": (lambda them: them[0].update(by=nested(490)), "entry 1 was changed"),
    "a value that has no form": (lambda them: them[0].update(by=float("nan")), "entry 1 was changed"),
}


@pytest.mark.promise("AUDIT-3")
@pytest.mark.parametrize("name", BREAKS)
def test_a_break_shows_where_it_is(lines: list[Line], name: str) -> None:
    harm, told = BREAKS[name]
    harm(lines)
    with pytest.raises(AuditBroken, match=told):
        heads_of(lines)


@pytest.mark.promise("AUDIT-3")
@given(st.data())
def test_whatever_is_done_to_one_entry_shows(data: st.DataObject) -> None:
    lines = chain("a", 4)
    at = data.draw(st.integers(0, 3))
    name = data.draw(st.sampled_from(sorted(lines[at])))
    value = data.draw(st.none() | st.integers(0, 9) | st.text(max_size=3) | st.just(lines[at - 1][name]))
    was = lines[at][name]
    lines[at][name] = value
    if value == was and type(value) is type(was):
        assert len(heads_of(lines)) == 1
    else:
        with pytest.raises(AuditBroken):
            heads_of(lines)


@pytest.mark.promise("AUDIT-3")
def test_what_was_noted_shows_what_a_chain_cannot(lines: list[Line]) -> None:
    noted = heads_of(lines)

    assert heads_of(lines + chain("d", 2), noted=noted)
    for harmed, told in (
        ([*lines[:6], lines[8]], "execution b: entry 3 is the last, but entry 5 was noted: the end was cut off"),
        ([*lines[:3], *chain("b", 5, 50), lines[8]], "execution b: entry 5 is not the one that was noted"),
        ([*lines[:3], lines[8]], "execution b: noted up to entry 5, and none is there"),
    ):
        heads_of(harmed)  # by itself it is whole
        with pytest.raises(AuditBroken, match=told):
            heads_of(harmed, noted=noted)


def test_what_was_noted_in_the_middle_of_a_chain_is_compared_too(lines: list[Line]) -> None:
    assert heads_of(lines, noted=[head_of(lines[4])])
    with pytest.raises(AuditBroken, match="entry 2 is not the one that was noted"):
        heads_of([*lines[:3], *chain("b", 5, 50)], noted=[head_of(lines[4])])


def test_a_file_may_go_on_where_a_chain_was_noted(lines: list[Line]) -> None:
    rest = lines[5:8]
    with pytest.raises(AuditBroken, match="entry 3 stands where entry 1 should"):
        heads_of(rest)
    assert heads_of(rest, noted=[head_of(lines[4])]) == [head_of(lines[7])]
    with pytest.raises(AuditBroken, match="entry 3 follows on another"):
        heads_of(rest, noted=[head_of(chain("b", 2, 9)[1])])


def test_a_part_may_begin_and_end_anywhere_but_has_no_hole(lines: list[Line]) -> None:
    noted = heads_of(lines)
    assert heads_of(lines[4:6], noted=noted, is_part=True) == [head_of(lines[5])]
    with pytest.raises(AuditBroken, match="entry 4 stands where entry 3 should"):
        heads_of([lines[4], lines[6]], is_part=True)
