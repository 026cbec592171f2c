"""How things are written and read: round trips, and hostile input that is refused without being repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sayso import limits, wire
from sayso.errors import AlreadySettled, Fault, Invalid, NotFound, SaysoError
from sayso.model import Action, Option, Question, Source, Submission
from sayso.wire import Event, Reset
from tests.builders import NOW, answered, asked, completed, request

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HARD = st.sampled_from(
    ["\u2028", "\u2029", "\x85", "\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x00", "\ufeff", "\U0010ffff", ""]
)
LINES = st.lists(TEXT | HARD, max_size=6).map("".join)
CANARY = "canary-7f3a"
UNKNOWN_MEMBER = "has a member that is not known here; check its spelling"
READERS: list[Callable[[bytes], Any]] = [
    wire.decode_question,
    wire.decode_submission,
    wire.decode_answer_message,
    wire.decode_cancellation,
]
NEEDED = {
    wire.decode_question: {"execution_id": "run-1", "prompt": "Ship it?"},
    wire.decode_answer_message: {"type": "answer", "request_id": "request-1"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.just(CANARY) | TEXT, inner, max_size=3),
    max_leaves=8,
)
STRUCTS = (Question, Submission, Option, Action, Source, wire.AnswerMessage)
MEMBERS = st.sampled_from(sorted({"type", *(name for struct in STRUCTS for name in struct.__struct_fields__)}))
BODIES = st.dictionaries(
    MEMBERS | st.just(CANARY) | st.just(f"`{CANARY}` - at `$.{CANARY}`"),
    JSON
    | st.dictionaries(MEMBERS | st.just(CANARY), JSON, max_size=3)
    | st.lists(st.dictionaries(MEMBERS, JSON, max_size=3)),
    max_size=5,
)


def event_of(context: str) -> Event:
    return Event.of(asked(request(context=context)), position=7, seq=3)


def refusal(read: Callable[[Any], Any], data: Any) -> dict[str, Any]:
    """The problem object of input that must be refused."""
    with pytest.raises(Invalid) as refused:
        read(data)
    return wire.problem(refused.value)


def faults_of(data: bytes) -> list[str]:
    return [fault["pointer"] for fault in refusal(wire.decode_question, data)["errors"]]


# written and read


@given(
    TEXT,
    st.dictionaries(TEXT, JSON.filter(lambda value: "nan" not in repr(value) and "inf" not in repr(value)), max_size=3),
)
def test_a_request_that_was_written_is_read_back(text: str, metadata: dict[str, Any]) -> None:
    pending = request(context=text, metadata=metadata, options=(Option(id="a", label=text),), timeout=60)

    for one in (pending, answered(pending, text)):
        assert wire.decode_request(wire.encode(one)) == one


@given(TEXT, TEXT)
def test_a_question_and_an_answer_are_read_as_they_were_written(one: str, two: str) -> None:
    question = Question(execution_id=one, prompt=two, assignees=(one, two))
    submission = Submission(text=one, comment=two, values=[one, {two: 1}])

    assert wire.decode_question(wire.encode(question)) == question
    assert wire.decode_submission(wire.encode(submission)) == submission


@given(TEXT)
def test_an_event_holds_its_fact_and_its_place(text: str) -> None:
    done = answered(request(), text)

    event = Event.of(completed(done), position=9, seq=2)

    told = json.loads(event.data)
    assert told == json.loads(event.text)
    assert (told["seq"], told["human_feedback"], told["type"]) == (2, text, "human_input_completed")
    assert (event.position, event.event_id, event.request_id) == (9, done.settled_event_id, done.request_id)


def test_times_are_iso_8601_in_utc() -> None:
    assert json.loads(event_of("").data)["timestamp"] == "2030-01-31T12:00:00Z"
    assert wire.timestamp(NOW) == "2030-01-31T12:00:00Z"


# SSE


@pytest.mark.promise("STREAM-6")
@given(LINES)
def test_an_sse_event_is_one_id_and_one_data_line(text: str) -> None:
    event = event_of(text)

    block = event.sse.decode()

    assert block.endswith("\n\n")
    lines = re.split(r"\r\n|\r|\n", block.removesuffix("\n\n"))  # https://html.spec.whatwg.org/#parsing-an-event-stream
    assert [line.partition(": ")[0] for line in lines] == ["id", "data"]
    assert lines[0] == f"id: {event.event_id}"
    assert json.loads(lines[1].removeprefix("data: "))["context"] == text


@pytest.mark.promise("STREAM-6")
@given(LINES)
@example("one\u2028two")
@example("one\x85two")
def test_an_sse_event_is_two_lines_for_clients_that_split_like_python(text: str) -> None:
    lines = event_of(text).sse.decode().splitlines()  # as httpx does in iter_lines: the seed's client reads so

    assert len(lines) == 3
    assert json.loads(lines[1].removeprefix("data: "))["context"] == text
    assert lines[2] == ""


@pytest.mark.promise("STREAM-3")
def test_a_reset_is_one_block_that_always_has_data() -> None:
    pending = request(context="\u2028\r\n")
    reset = Reset("unknown-cursor", "event-9", (pending,), more=True)

    lines = reset.sse.decode().splitlines()

    assert lines[:-2] == ["id: event-9"]
    told = json.loads(lines[-2].removeprefix("data: "))
    assert (told["type"], told["reason"], told["more"]) == ("reset", "unknown-cursor", True)
    assert told["event_id"] == "event-9"
    assert [one["request_id"] for one in told["requests"]] == [pending.request_id]


# pages and messages


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_page_joins_the_events_own_bytes(count: int) -> None:
    events = [event_of(f"{number}\n") for number in range(count)]

    page = wire.events_page(events, cursor="c", more=False, reset=None)

    assert json.loads(page) == {"events": [json.loads(event.data) for event in events], "cursor": "c", "more": False}


@pytest.mark.promise("STREAM-3")
def test_a_page_after_a_reset_says_why() -> None:
    reset = Reset("foreign-cursor", None, (), more=False)

    page = json.loads(wire.events_page([], cursor=None, more=True, reset=reset))

    assert page == {"events": [], "cursor": None, "more": True, "reset": {"reason": "foreign-cursor"}}


@pytest.mark.promise("STREAM-7")
def test_an_accepted_answer_is_told_with_its_request() -> None:
    done = answered(request(), answer_id="mine")

    told = json.loads(wire.accepted_message(done))

    assert (told["type"], told["request_id"], told["answer_id"]) == ("answer_accepted", done.request_id, "mine")
    assert told["request"]["status"] == "answered"


@pytest.mark.promise("STREAM-7")
def test_a_refused_message_is_told_with_its_ids_and_a_problem() -> None:
    done = answered(request())

    told = json.loads(wire.error_message(AlreadySettled(done), {"request_id": "r", "answer_id": None}))

    assert (told["type"], told["request_id"], told["answer_id"]) == ("error", "r", None)
    assert (told["problem"]["type"], told["problem"]["status"]) == ("urn:sayso:problem:already-settled", 409)
    assert told["problem"]["request"]["request_id"] == done.request_id


@pytest.mark.parametrize("error", [NotFound(), Invalid(Fault("/a", "is wrong")), SaysoError()])
def test_a_problem_is_json_with_the_members_of_rfc_9457(error: SaysoError) -> None:
    problem = json.loads(wire.encode(wire.problem(error)))

    assert problem["type"] == f"urn:sayso:problem:{error.code}"
    assert problem["status"] == error.status
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (b'{"request_id": "r", "answer_id": "a", "x": 1}', ("r", "a")),
        (b'{"request_id": "no id", "answer_id": 3}', (None, None)),
        (b"[]", (None, None)),
        (b"{", (None, None)),
        (b"", (None, None)),
        (b"[" * 100_000, (None, None)),
        (b'{"request_id": "\xff"}', (None, None)),
        ("\ud800", (None, None)),
    ],
    ids=["whole", "no-ids", "list", "cut", "empty", "deep", "no-utf8", "surrogate"],
)  # fmt: skip
@pytest.mark.promise("STREAM-7")
def test_the_ids_of_a_message_are_found_where_there_are_any(
    data: bytes | str, ids: tuple[str | None, str | None]
) -> None:
    assert tuple(wire.reference(data).values()) == ids


# hostile input


@pytest.mark.promise("ASK-4", "ANSWER-4")
@pytest.mark.parametrize("read", READERS)
@given(body=BODIES, whole=st.booleans())
@example(body={"reason_flags": {CANARY: CANARY}}, whole=True)
@example(body={"type": CANARY}, whole=True)
def test_a_refusal_never_repeats_what_was_sent(read: Callable[[bytes], Any], body: dict[str, Any], whole: bool) -> None:
    needed = NEEDED.get(read, {}) if whole else {}
    try:
        read(json.dumps(needed | body).encode())
    except Invalid as refused:
        problem = json.dumps(wire.problem(refused))
        assert CANARY not in problem
        assert all(re.fullmatch(r"(/\w+)*", fault.pointer) for fault in refused.faults)


@pytest.mark.promise("ASK-4", "ANSWER-4")
@pytest.mark.parametrize("read", READERS)
@given(st.binary(max_size=200) | TEXT.map(lambda text: f'{{"{text}":{CANARY}}}'.encode()))
def test_bytes_of_any_kind_are_read_or_refused(read: Callable[[bytes], Any], data: bytes) -> None:
    try:
        read(data)
    except Invalid as refused:
        assert CANARY not in json.dumps(wire.problem(refused))


@pytest.mark.promise("ASK-4", "ANSWER-4")
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[" * 200_000,
        b'{"metadata":' * 100_000,
        b'{"values":' + b"[" * 100_000,
        b'{"prompt":"\xff"}',
        b'{"prompt":"\\ud800"}',
        b'{"prompt":"a\x00b"}',
        b'{"prompt":NaN}',
        b'{"prompt":1e99999}',
        b'{"round":' + b"9" * 10_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
    ids=[
        *("empty", "cut", "null", "lists", "objects", "values", "no-utf8"),
        *("surrogate", "nul", "nan", "huge", "digits", "bom"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(read: Callable[[bytes], Any], data: bytes) -> None:
    if data == b"" and read is wire.decode_cancellation:
        assert read(data) == "cancelled"
        return

    assert refusal(read, data)["status"] == 422


@pytest.mark.promise("STREAM-7")
def test_a_message_with_half_a_character_is_refused() -> None:
    assert refusal(wire.decode_answer_message, '{"type":"answer","request_id":"\ud800"}')["status"] == 422


def test_a_nul_in_a_text_is_a_character_like_any_other() -> None:
    assert wire.decode_question(b'{"execution_id":"a","prompt":"a\\u0000b"}').prompt == "a\x00b"


@pytest.mark.promise("ASK-4")
@pytest.mark.parametrize(
    ("member", "pointer", "detail"),
    [
        ('"prompt": 3', "/prompt", "Expected str, got int"),
        ('"kind": "bigger"', "/kind", "must be one of: review, approval, gate, question, choice, form"),
        ('"allow": ["approve", "dance"]', "/allow/1", "must be one of: approve, edit, respond, reject"),
        ('"priority": "bigger"', "/priority", "must be one of: low, normal, high, urgent"),
        ('"on_timeout": "x"', "/on_timeout", "must be one of: reject, approve, default, cancel"),
        ('"options": [{"id": "a"}, {"label": "b"}]', "/options/1/id", "is missing"),
        ('"options": [{"id": "a", "style": "pink"}]', "/options/0/style", "must be one of: default, primary, danger"),
        ('"options": [{"id": "a", "colour": 1}]', "/options/0", UNKNOWN_MEMBER),
        ('"action": {"args": {}}', "/action/name", "is missing"),
        ('"action": {"name": "a", "args": []}', "/action/args", "Expected object, got array"),
        ('"deadline": "tomorrow"', "/deadline", "Invalid RFC3339 encoded datetime"),
        ('"reason_flags": {"a": 1}', "/reason_flags", "Expected bool, got int"),
        ('"timeout": "5"', "/timeout", "Expected float | null, got str"),
        ('"promt": 3', "", UNKNOWN_MEMBER),
    ],
)  # fmt: skip
def test_a_fault_points_at_what_is_wrong(member: str, pointer: str, detail: str) -> None:
    problem = refusal(wire.decode_question, f'{{"execution_id": "a", "prompt": "b", {member}}}'.encode())

    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.promise("ASK-4")
def test_what_is_missing_is_named() -> None:
    assert faults_of(b"{}") == ["/execution_id"]
    assert faults_of(b'{"execution_id": "a"}') == ["/prompt"]


def test_a_message_of_another_type_is_refused() -> None:
    problem = refusal(wire.decode_answer_message, b'{"type": "cancel", "request_id": "a"}')

    assert problem["errors"] == [{"pointer": "/type", "detail": "must be one of: answer"}]


def test_a_message_without_a_type_is_refused() -> None:
    assert refusal(wire.decode_answer_message, b'{"request_id": "a", "text": "yes"}')["status"] == 422


@pytest.mark.parametrize("member", ["by", "channel", "status", "settled_by"])
@pytest.mark.promise("ANSWER-6")
def test_who_answered_is_nothing_that_an_answer_can_say(member: str) -> None:
    data = json.dumps({"text": "yes", member: "key:boss"}).encode()

    assert refusal(wire.decode_submission, data)["errors"][0]["pointer"] == ""


# check_json


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, "\ud800", {"a": "\udfff"}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="must be JSON"):
        wire.check_json(value, "/metadata")


def test_json_that_is_too_large_or_too_deep_is_refused() -> None:
    wire.check_json("a" * (limits.JSON - 2), "/metadata")
    with pytest.raises(Invalid, match="bytes of JSON"):
        wire.check_json("a" * (limits.JSON - 1), "/metadata")
    deep: list[Any] = []
    for _ in range(limits.JSON_DEPTH - 1):
        deep = [deep]
    wire.check_json(deep, "/metadata")
    with pytest.raises(Invalid, match="nested deeper"):
        wire.check_json([deep], "/metadata")
