"""From a question to a request: every check, every default, and what an asker is told."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sayso import limits
from sayso.asking import default_answer
from sayso.errors import Invalid
from sayso.model import Action, Option, Source
from sayso.wire import decode_question, decode_request, encode
from tests.builders import NOW, request

SCHEMA = {"type": "object", "required": ["day"]}
OPTIONS = (Option(id="s"), Option(id="w"))


def faults_of(**members: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        request(**members)
    return [fault.pointer for fault in refused.value.faults]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


# defaults


def test_a_prompt_is_enough() -> None:
    made = request()

    assert (made.kind, made.allow, made.on_timeout, made.status) == ("question", ("respond",), "cancel", "pending")
    assert (made.priority, made.round, made.previous, made.deadline) == ("normal", 1, None, None)
    assert (made.created_at, made.title, made.context) == (NOW, "Ship it?", "")


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({}, "question"),
        ({"options": OPTIONS}, "choice"),
        ({"response_schema": SCHEMA}, "form"),
        ({"action": Action(name="pay")}, "approval"),
        ({"action": Action(name="pay"), "response_schema": SCHEMA}, "approval"),
        ({"options": OPTIONS, "response_schema": SCHEMA}, "choice"),
        ({"options": OPTIONS, "kind": "review"}, "review"),
    ],
)
def test_the_kind_follows_from_the_rest(members: dict[str, Any], kind: str) -> None:
    assert request(**members).kind == kind


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        ({"kind": "review"}, "reject"),
        ({"kind": "approval"}, "reject"),
        ({"kind": "gate"}, "reject"),
        ({}, "cancel"),
        ({"options": OPTIONS}, "cancel"),
        ({"kind": "review", "allow": ("approve",)}, "cancel"),
        ({"kind": "review", "default": "fine"}, "default"),
        ({"kind": "review", "default": "fine", "on_timeout": "approve"}, "approve"),
        ({"default": ""}, "default"),
    ],
)
def test_what_happens_at_the_deadline_unless_it_is_said(members: dict[str, Any], chosen: str) -> None:
    assert request(**members).on_timeout == chosen


@pytest.mark.promise("EVENT-4")
def test_the_two_flags_are_always_there() -> None:
    assert request().reason_flags == {"ambiguity": False, "missing_field": False}
    flags = request(reason_flags={"ambiguity": True, "mine": True}).reason_flags
    assert flags == {"ambiguity": True, "missing_field": False, "mine": True}


@pytest.mark.parametrize(
    ("members", "title"),
    [
        ({"prompt": "\n\n  First line \nsecond"}, "First line"),
        ({"prompt": "one\u2028two"}, "one"),
        ({"prompt": "a \t b"}, "a b"),
        ({"title": "Mine\nand yours"}, "Mine and yours"),
        ({"title": " \n "}, "Ship it?"),
        ({"prompt": "a" * 300}, "a" * 199 + "…"),
        ({"title": "a" * 200}, "a" * 200),
    ],
)
def test_a_title_is_one_line_that_is_not_blank(members: dict[str, Any], title: str) -> None:
    assert request(**members).title == title


# ids


def test_the_askers_request_id_is_kept() -> None:
    assert request(request_id="mine").request_id == "mine"


@pytest.mark.promise("EVENT-4")
def test_ids_of_crew_task_and_agent_are_uuids_that_are_made_the_same_each_time() -> None:
    one, two, other = request(), request(prompt="another"), request(execution_id="run-2")

    made = [one.crew_id, one.task_id, one.agent_id]
    assert [uuid.UUID(id).version for id in made] == [5, 5, 5]
    assert len(set(made)) == 3
    assert [two.crew_id, two.task_id, two.agent_id] == made
    assert other.crew_id != one.crew_id


@pytest.mark.promise("EVENT-4")
def test_a_native_id_decides_the_uuid_and_is_kept() -> None:
    native = {"task_id": 7}
    one = request(source=Source(name="flow", native=native))
    two = request(source=Source(name="flow", native=native), execution_id="run-2")
    other = request(source=Source(name="crew", native=native))

    assert one.task_id == two.task_id != other.task_id
    assert one.crew_id != two.crew_id
    assert one.source.native == native


@pytest.mark.promise("EVENT-4")
def test_a_given_uuid_is_kept() -> None:
    given = str(uuid.uuid4())

    assert request(crew_id=given.upper()).crew_id == given


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize("name", ["crew_id", "task_id", "agent_id"])
@pytest.mark.parametrize(
    "bad", ["", "crew-1", "{12345678-1234-5678-1234-567812345678}", "12345678123456781234567812345678"]
)
def test_what_is_no_uuid_is_refused(name: str, bad: str) -> None:
    assert faults_of(**{name: bad}) == [f"/{name}"]


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize("name", ["execution_id", "request_id", "previous"])
@pytest.mark.parametrize("bad", ["", ".", "..", "a b", "a/b", "a" * 129, "a\x00", "\ud800"])
def test_what_is_no_id_is_refused(name: str, bad: str) -> None:
    assert faults_of(**{name: bad}) == [f"/{name}"]


# checks


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"prompt": ""}, ["/prompt"]),
        ({"prompt": " \n\u2003"}, ["/prompt"]),
        ({"prompt": "ä" * (limits.PROMPT // 2) + "a"}, ["/prompt"]),
        ({"context": "a" * (limits.CONTEXT + 1)}, ["/context"]),
        ({"title": "a" * (limits.TITLE_CHARACTERS + 1)}, ["/title"]),
        ({"options": (Option(id=" "),)}, ["/options/0/id"]),
        ({"options": (Option(id="a"), Option(id="a"))}, ["/options"]),
        ({"options": (Option(id="a"), Option(id="a" * 1025))}, ["/options/1/id"]),
        ({"options": (Option(id="a", label="a" * 1025),)}, ["/options/0/label"]),
        ({"options": (Option(id="a", description="a" * 1025),)}, ["/options/0/description"]),
        ({"options": tuple(Option(id=str(n)) for n in range(limits.OPTIONS + 1))}, ["/options"]),
        ({"assignees": ("a", "a" * 1025)}, ["/assignees/1"]),
        ({"assignees": ("a",) * (limits.ASSIGNEES + 1)}, ["/assignees"]),
        ({"reason_flags": {"a" * (limits.LABEL + 1): True}}, ["/reason_flags"]),
        ({"source": Source(name="a" * (limits.LABEL + 1))}, ["/source/name"]),
        ({"round": 0}, ["/round"]),
        ({"round": limits.ROUND + 1}, ["/round"]),
        ({"timeout": 0}, ["/timeout"]),
        ({"timeout": -1}, ["/timeout"]),
        ({"timeout": math.nan}, ["/timeout"]),
        ({"timeout": math.inf}, ["/timeout"]),
        ({"timeout": limits.TIMEOUT + 1}, ["/timeout"]),
        ({"timeout": 5, "deadline": NOW}, ["/timeout"]),
        ({"deadline": datetime(2030, 1, 1)}, ["/deadline"]),
        ({"metadata": {"a": "a" * limits.JSON}}, ["/metadata"]),
        ({"context_data": {"a": "a" * limits.JSON}}, ["/context_data"]),
        ({"source": Source(native={"a": "a" * limits.JSON})}, ["/source/native"]),
        ({"default": "a" * limits.JSON}, ["/default"]),
        ({"response_schema": {"title": "a" * limits.JSON}}, ["/response_schema"]),
        ({"action": Action(name="a" * limits.JSON)}, ["/action/name"]),
        ({"action": Action(name="pay", args={"a": "a" * limits.JSON})}, ["/action/args"]),
        ({"metadata": nested(limits.JSON_DEPTH + 1)}, ["/metadata"]),
        ({"metadata": nested(5_000)}, ["/metadata"]),
        ({"metadata": {"a": object()}}, ["/metadata"]),
        ({"context_data": {"a": "\ud800"}}, ["/context_data"]),
        ({"kind": "choice"}, ["/options"]),
        ({"kind": "form"}, ["/response_schema"]),
        ({"response_schema": {"type": "nothing"}}, ["/response_schema/type"]),
        ({"response_schema": {"$ref": "https://example.com/schema"}}, ["/response_schema"]),
        ({"action": Action(name="pay", args_schema={"type": 1})}, ["/action/args_schema/type"]),
        ({"action": Action(name="pay", digest="0" * 64)}, ["/action/digest"]),
        ({"allow": ()}, ["/allow"]),
        ({"allow": ("approve",)}, ["/allow"]),
        ({"kind": "gate", "allow": ("respond", "edit")}, ["/allow"]),
        ({"kind": "approval", "allow": ("edit",)}, ["/allow"]),
        ({"on_timeout": "approve"}, ["/on_timeout"]),
        ({"on_timeout": "reject"}, ["/on_timeout"]),
        ({"on_timeout": "default"}, ["/default"]),
        ({"options": OPTIONS, "default": "neither"}, ["/default/human_feedback"]),
        ({"options": OPTIONS, "default": {"option_ids": ["x"]}}, ["/default/option_ids/0"]),
        ({"default": {"nonsense": 1}}, ["/default"]),
        ({"default": {"text": 1}}, ["/default"]),
        ({"response_schema": SCHEMA, "default": {"values": {}}}, ["/default/values"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_each_check_points_at_what_it_refuses(members: dict[str, Any], pointers: list[str]) -> None:
    assert faults_of(**members) == pointers


@pytest.mark.parametrize(
    "members",
    [
        {"prompt": "ä" * (limits.PROMPT // 2)},
        {"context": "a" * limits.CONTEXT},
        {"options": tuple(Option(id=str(n), label="a" * 1024) for n in range(limits.OPTIONS))},
        {"assignees": ("a" * 1024,) * limits.ASSIGNEES},
        {"round": limits.ROUND},
        {"timeout": limits.TIMEOUT},
        {"timeout": 0.001},
        {"metadata": nested(limits.JSON_DEPTH)},
        {"deadline": NOW - timedelta(days=1)},
        {"prompt": "a\x00b \N{GRINNING FACE} \u2028"},
        {"metadata": {"big": 10**30, "float": 1e300}},
    ],
)
def test_what_just_fits_is_taken_and_read_back(members: dict[str, Any]) -> None:
    made = request(**members)

    assert decode_request(encode(made)) == made


@pytest.mark.promise("ASK-4")
def test_several_faults_are_told_at_once() -> None:
    pointers = faults_of(
        execution_id="",
        prompt="",
        crew_id="crew",
        timeout=-1,
        round=0,
        options=(Option(id=""),),
        metadata={"a": "a" * limits.JSON},
    )

    assert set(pointers) == {"/execution_id", "/prompt", "/crew_id", "/timeout", "/round", "/options/0/id", "/metadata"}


@pytest.mark.promise("ASK-4")
def test_several_faults_of_the_parts_are_told_at_once() -> None:
    large = {"a": "a" * limits.JSON}

    pointers = faults_of(
        metadata=large,
        context_data=large,
        response_schema={"type": "nothing"},
        allow=("approve",),
        action=Action(name="pay", args_schema={"type": "nothing"}),
        kind="question",
    )

    expected = ["/context_data", "/metadata", "/response_schema/type", "/action/args_schema/type", "/allow"]
    assert sorted(pointers) == sorted(expected)


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"prompt": "a\ud800"}, "/prompt"),
        ({"context": "a\ud800"}, "/context"),
        ({"title": "a\ud800"}, "/title"),
        ({"assignees": ("a\ud800",)}, "/assignees/0"),
        ({"options": (Option(id="a", label="\ud800"),)}, "/options/0/label"),
        ({"source": Source(name="\ud800")}, "/source/name"),
    ],
)
def test_text_that_no_utf8_can_hold_is_refused(members: dict[str, Any], pointer: str) -> None:
    assert faults_of(**members) == [pointer]


# the deadline


def test_a_timeout_is_counted_from_the_asking() -> None:
    assert request(timeout=90.5).deadline == NOW + timedelta(seconds=90.5)


def test_a_deadline_is_kept_as_it_is() -> None:
    deadline = datetime(2031, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert request(deadline=deadline).deadline == deadline


@pytest.mark.parametrize("offset", ["+05:45", "-03:30", "+23:59"])
def test_a_deadline_of_an_odd_zone_is_kept_in_utc(offset: str) -> None:
    asked = decode_question(
        json.dumps({"execution_id": "a", "prompt": "b", "deadline": f"2031-05-01T12:00:00{offset}"}).encode()
    )

    kept = request(deadline=asked.deadline)

    assert kept.deadline is not None
    assert (kept.deadline, kept.deadline.tzinfo) == (asked.deadline, UTC)
    assert json.loads(encode(kept))["deadline"].endswith("Z")


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize("deadline", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_deadline_that_has_no_time_in_utc_is_refused(deadline: str) -> None:
    asked = decode_question(json.dumps({"execution_id": "a", "prompt": "b", "deadline": deadline}).encode())

    assert faults_of(deadline=asked.deadline) == ["/deadline"]


@pytest.mark.promise("SETTLE-3")
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": "review"}, ("reject", None)),
        ({"kind": "review", "on_timeout": "approve"}, ("approve", None)),
        ({"kind": "review", "default": "shorter"}, ("respond", "shorter")),
        ({"kind": "review", "default": ""}, ("approve", None)),
        ({"default": {"decision": "respond", "text": "x"}}, ("respond", "x")),
    ],
)
def test_the_default_answer_is_what_on_timeout_says(members: dict[str, Any], expected: tuple[str, str | None]) -> None:
    answer = default_answer(request(**members), "a1")

    assert answer is not None
    assert (answer.decision, answer.text) == expected


@pytest.mark.promise("SETTLE-3")
def test_cancelling_at_the_deadline_is_no_answer() -> None:
    assert default_answer(request(), "a1") is None


# the digests


@pytest.mark.promise("ASK-5")
def test_an_actions_digest_is_the_sha_256_of_its_canonical_json() -> None:
    args = {"b": [1, 2.5, 1e21, True, None], "a": "ä\u2028", "10": {}, "9": 0}
    canonical = '{"args":{"10":{},"9":0,"a":"ä\u2028","b":[1,2.5,1e+21,true,null]},"name":"pay"}'

    made = request(action=Action(name="pay", args=args))

    assert made.action is not None
    assert made.action.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert request(action=made.action).action == made.action


@pytest.mark.promise("ASK-5")
def test_an_action_is_told_from_every_other_by_its_digest() -> None:
    actions = [
        Action(name="pay"),
        Action(name="pay", args={"a": 1}),
        Action(name="pay", args={"a": "1"}),
        Action(name="a"),
    ]

    digests = {made.action.digest for made in (request(action=action) for action in actions) if made.action}

    assert len(digests) == len(actions)


@pytest.mark.promise("ASK-5")
@pytest.mark.parametrize("value", [2**53, -(2**53), 10**30, math.nan, math.inf])
def test_a_number_without_an_exact_json_form_is_refused_in_an_action(value: float) -> None:
    assert faults_of(action=Action(name="pay", args={"sum": value})) == ["/action/args"]


@pytest.mark.promise("ASK-5")
@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1])
def test_the_largest_exact_integer_is_taken_in_an_action(value: int) -> None:
    assert request(action=Action(name="pay", args={"sum": value})).action is not None


def test_the_moment_and_the_asker_come_from_outside() -> None:
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    made = request(now=moment, by="key:b", durable=False)

    assert (made.created_at, made.asked_by, made.durable) == (moment, "key:b", False)
