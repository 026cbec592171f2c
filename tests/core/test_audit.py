"""An entry of the audit: what it is over, that its bytes are canonical, and what each kind of change notes."""

from __future__ import annotations

import hashlib
from datetime import timedelta, timezone
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sayso.asking import default_answer
from sayso.audit import ASKED, FIRST, Draft, Entry, proof
from sayso.digest import canonical
from sayso.kinds import resolve
from sayso.model import Action, Question, Request, Submission
from sayso.wire import encode
from tests.builders import NOW, answered, request

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
EXACT = st.integers(1 - 2**53, 2**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | EXACT | TEXT | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
CALL_OF: dict[str, Any] = {"action": Action(name="pay", args={"amount": 7})}


def first(one: Request) -> dict[str, Any]:
    entry = Draft.of(one).after(0, None)
    members: dict[str, Any] = msgspec.json.decode(entry.line)
    return members


def sha(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(msgspec.to_builtins(value))).hexdigest()


def settled(one: Request, **given: Any) -> Request:
    answer = resolve(one, Submission(**given), "a1")
    return one.answered(answer, by="session:ada", channel="inbox", now=NOW, event_id="e2")


@given(JSON)
def test_what_is_written_quickly_is_what_rfc_8785_says(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_names_are_sorted_as_utf_16_has_them() -> None:
    names = {"\ue000": 1, "\N{GRINNING FACE}": 2, "a": 3}
    assert canonical(names) == rfc8785.dumps(names) == '{"a":3,"\N{GRINNING FACE}":2,"\ue000":1}'.encode()


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**63 - 1, 9_007_199_254_740_993])
def test_an_integer_that_doubles_leave_out_is_the_nearest_double(number: int) -> None:
    assert canonical({"n": [number]}) == rfc8785.dumps({"n": [float(number)]})


@given(TEXT, TEXT, st.sampled_from([NOW, NOW.astimezone(timezone(timedelta(hours=5)))]))
def test_the_bytes_of_an_entry_are_canonical(by: str, channel: str, now: Any) -> None:
    one = request(**CALL_OF).cancelled("no", by=by, channel=channel, now=now, event_id="e2")
    before = Draft.of(request()).after(0, None)

    entry = Draft.of(one).after(1, before.hash)

    members = msgspec.json.decode(entry.line)
    assert bytes.fromhex(members.pop("hash")) == entry.hash == hashlib.sha256(entry.data).digest()
    assert entry.data == rfc8785.dumps(members)
    assert (members["number"], members["previous"]) == (2, before.hash.hex())
    assert members["at"] == "2030-01-31T12:00:00Z"


@pytest.mark.promise("AUDIT-1")
def test_an_asking_is_noted_with_who_how_and_what() -> None:
    one = request(now=NOW, by="key:agent", context="a draft", metadata={"cost": 1.5, "ö": 2**60})

    entry = first(one)

    assert entry.pop("hash") and entry.pop("digest")
    assert entry == {
        "action": None,
        "at": "2030-01-31T12:00:00Z",
        "by": "key:agent",
        "change": "asked",
        "channel": "http",
        "event_id": one.asked_event_id,
        "execution_id": "run-1",
        "number": 1,
        "previous": FIRST,
        "proof": "key",
        "request_id": one.request_id,
    }


@pytest.mark.promise("AUDIT-1")
def test_the_digest_of_what_was_asked_can_be_made_again_from_the_request_as_it_is_shown() -> None:
    one = request(context="ünï", metadata={"cost": 1.0, "ö": [None, True]}, timeout=60, **CALL_OF)
    shown = msgspec.json.decode(encode(settled(one, decision="approve")))

    assert first(one)["digest"] == sha({name: shown[name] for name in ASKED})


def test_the_digest_is_over_everything_that_a_question_says() -> None:
    """Who adds a member to questions decides here what becomes of the digests that were made before."""
    asked = {name for name in Request.__struct_fields__ if name in Question.__struct_fields__}
    assert asked == set(ASKED)


@pytest.mark.promise("AUDIT-1")
@pytest.mark.parametrize("given", [{"decision": "approve"}, {"decision": "reject", "text": "no"}])
def test_an_answer_is_noted_with_who_how_and_what(given: dict[str, Any]) -> None:
    one = settled(request(**CALL_OF), **given)

    entry = first(one)

    assert entry["digest"] == sha({"answer": one.answer, "reason": ""})
    assert {name: entry[name] for name in ("change", "by", "proof", "channel", "event_id")} == {
        "change": "answered",
        "by": "session:ada",
        "proof": "session",
        "channel": "inbox",
        "event_id": "e2",
    }


@pytest.mark.promise("AUDIT-1")
def test_running_out_of_time_and_being_given_up_are_noted() -> None:
    open, how = request(on_timeout="reject", kind="review"), {"now": NOW, "event_id": "e2"}
    expired = open.expired(default_answer(open, "a1"), **how)  # type: ignore[arg-type]
    given_up = open.cancelled("not now", by="key:a", channel="websocket", **how)  # type: ignore[arg-type]
    silent = open.expired(None, **how)  # type: ignore[arg-type]

    found = [first(one) for one in (expired, given_up, silent)]

    assert [one["change"] for one in found] == ["expired", "cancelled", "cancelled"]
    assert [one["proof"] for one in found] == ["system", "key", "system"]
    assert found[1]["digest"] == sha({"answer": None, "reason": "not now"})
    assert len({one["digest"] for one in found}) == 3


@pytest.mark.promise("AUDIT-4")
def test_the_action_noted_is_the_one_that_may_run() -> None:
    one = request(**CALL_OF)
    assert one.action is not None
    edited = {"amount": 5, "to": "ada"}

    assert first(one)["action"] == one.action.digest
    assert first(settled(one, decision="approve"))["action"] == one.action.digest
    assert first(settled(one, decision="edit", edited=edited))["action"] == sha({"args": edited, "name": "pay"})
    assert first(settled(one, decision="reject"))["action"] is None
    assert first(one.cancelled("no", by="key:a", channel="http", now=NOW, event_id="e2"))["action"] is None
    assert first(one.expired(None, now=NOW, event_id="e2"))["action"] is None
    assert first(answered(request()))["action"] is None


@pytest.mark.parametrize(
    ("by", "how"),
    [("key:default", "key"), ("session:a:b", "session"), ("process", "process"), ("system:deadline", "system")],
)
def test_how_it_was_proved_is_how_the_name_begins(by: str, how: str) -> None:
    assert proof(by) == how
    assert proof("anonymous") == "anonymous"


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.data.replace(b"key:default", b"key:defauIt"),
        lambda entry: entry.data[:-3],
        lambda entry: b"\xff\x00",
        lambda entry: b"",
    ],
)
def test_an_entry_that_is_not_as_it_was_written_is_told_with_its_place_and_its_hash(damage: Any) -> None:
    entry = Draft.of(request()).after(0, None)
    harmed = Entry(entry.execution_id, entry.number, entry.hash, damage(entry))

    told = msgspec.json.decode(harmed.line)

    assert set(told) == {"execution_id", "number", "hash", "damaged"}
    assert (told["execution_id"], told["number"], told["hash"]) == ("run-1", 1, entry.hash.hex())


def test_an_entry_that_stands_in_the_place_of_another_is_told_as_such() -> None:
    entry = Draft.of(request()).after(0, None)
    for moved in (
        Entry("run-1", 2, entry.hash, entry.data),
        Entry("run-2", 1, entry.hash, entry.data),
    ):
        assert "damaged" in msgspec.json.decode(moved.line)
