"""What comes as JSON: questions, answers, messages, keys, and the schemas in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from sayso import asking, audit, kinds, schema, wire
from sayso.chain import Chains
from sayso.errors import ActionMismatch, Invalid, NameTaken, NotFound
from sayso.keys import KeyWanted, Rotation, created, rotated
from sayso.model import Action, InputCompleted, InputRequired, Option, Question, Request, Submission
from sayso.wire import AnswerMessage, AuthMessage, Cancellation, Event, LeaseWanted, Login, TicketWanted
from tests.builders import NOW, request
from tests.fuzz.documents import SCHEMAS, VALUES, WORDS, documents, written
from tests.fuzz.mutation import damaged
from tests.fuzz.target import CANARY, Target, check_silent, pure, refused

_SCHEMA: Final = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"enum": [1, 2, None]}},
    "required": ["a"],
    "additionalProperties": False,
}
_ACTION: Final = Action(name="send_mail", args={"to": "a", "n": 1}, args_schema=_SCHEMA)
REQUESTS: Final = (
    request(),
    request(kind="review"),
    request(kind="review", response_schema=_SCHEMA),
    request(kind="gate", allow=("respond", "reject")),
    request(action=_ACTION),
    request(options=(Option(id="a"), Option(id="b", label="yes"), Option(id="c", label="yes"))),
    request(kind="review", options=(Option(id="4"),)),
    request(response_schema=_SCHEMA),
)
"""One of each kind that takes answers in its own way."""


# questions


def _asked(decode: Callable[[bytes], Question]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        question = refused(lambda: decode(data), Invalid)
        if question is None:
            return
        ids = {"request_id": "request-1", "event_id": "event-1"}
        stored = refused(
            lambda: asking.as_request(question, now=NOW, steady=NOW, by="key:a", durable=True, **ids), Invalid
        )
        if stored is not None:
            _stored_and_told(stored)
            asking.default_answer(stored, "answer-1")

    return check


def _stored_and_told(stored: Request) -> None:
    """A request that was taken can be written, read back, told of and noted, whatever is in it."""
    assert wire.decode_request(wire.encode(stored)) == msgspec.convert(msgspec.to_builtins(stored), Request)
    fact = InputRequired.of(stored) if stored.is_open else InputCompleted.of(stored)
    event = Event.of(fact, position=1, seq=1)
    assert len(event.sse.decode().splitlines()) == 3
    assert json.loads(event.text)["execution_id"] == stored.execution_id
    before, after = Event.around_seq(fact)
    assert before + b"1" + after == event.data
    Chains().add(json.loads(audit.Draft.of(stored).after(0, None).line))


def _without_refusal(data: bytes) -> Question:
    """The control: what is no JSON gets msgspec's own word."""
    return msgspec.json.decode(data, type=Question)


_QUESTIONS: Final = documents(Question).flatmap(
    lambda members: st.fixed_dictionaries(
        {name: st.just(value) for name, value in members.items()}
        | {"execution_id": st.just("run-1"), "prompt": st.just("Ship it?")}
        | ({"response_schema": SCHEMAS} if "response_schema" in members else {})
    )
)


# answers


def _answered(resolve: Callable[[Request, Submission, str], Any]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        pending, said = REQUESTS[data[0] % len(REQUESTS)] if data else REQUESTS[0], data[1:]
        given = refused(lambda: wire.decode_submission(said), Invalid)
        if given is None:
            return
        answer = refused(lambda: resolve(pending, given, "answer-1"), Invalid, ActionMismatch)
        if answer is not None:
            assert answer.decision in pending.allow
            settled = pending.answered(answer, by="key:a", channel="http", now=NOW, event_id="event-2")
            assert isinstance(settled.human_feedback, str)
            _stored_and_told(settled)

    return check


def _takes_any_option(pending: Request, given: Submission, answer_id: str) -> Any:
    """The control: an option that is not offered is looked up all the same."""
    for id in given.option_ids or ():
        pending.option(id)
    return kinds.resolve(pending, given, answer_id)


_FILLED: Final = st.fixed_dictionaries({"a": st.text(max_size=12)}, optional={"b": st.sampled_from([1, 2, 3, None])})
_FITTING: Final = st.one_of(
    st.fixed_dictionaries({"human_feedback": WORDS}),
    st.fixed_dictionaries({"text": WORDS}, optional={"option_ids": st.lists(WORDS, max_size=2)}),
    st.fixed_dictionaries(
        {"decision": st.sampled_from(["approve", "reject", "respond", "edit"])}, optional={"text": WORDS}
    ),
    st.fixed_dictionaries({"option_ids": st.lists(st.sampled_from(["a", "b", "c", "4"]), min_size=1, max_size=2)}),
    st.fixed_dictionaries({"values": _FILLED | VALUES}, optional={"comment": WORDS}),
    st.fixed_dictionaries({"edited": _FILLED | VALUES | WORDS}, optional={"action_digest": WORDS}),
)
_SUBMISSIONS: Final = st.builds(
    lambda which, said: bytes([which]) + said,
    st.integers(0, len(REQUESTS) - 1),
    written(_FITTING | _FITTING | documents(Submission)),
)


# whatever else is said


_KEYS: Final = created(
    (), KeyWanted(name="a", scopes=("ask",), expires_at=datetime(2031, 1, 1, tzinfo=UTC)), id="old", hash="", now=NOW
).put


def _key(data: bytes) -> None:
    wanted = wire.decode_key_wanted(data)
    wire.encode(created(_KEYS, wanted, id="new", hash="", now=NOW).key)


def _rotated(data: bytes) -> None:
    wire.encode(rotated(_KEYS, "old", wire.decode_rotation(data), id="new", hash="", now=NOW).put)


_READERS: Final = (
    *(
        wire.decode_cancellation,
        wire.decode_lease,
        wire.decode_login,
        wire.decode_replay,
        wire.decode_ticket_wanted,
        _key,
        _rotated,
    ),
    *(wire.decode_auth_message, wire.decode_answer_message, wire.reference),
)
_MESSAGES: Final = st.one_of(
    [
        st.builds(lambda said, which=which: bytes([which]) + said, written(documents(type_)))
        for which, type_ in enumerate(
            (
                Cancellation,
                LeaseWanted,
                Login,
                TicketWanted,
                KeyWanted,
                Rotation,
                AuthMessage,
                AnswerMessage,
                AnswerMessage,
            )
        )
    ]
)


def _said(readers: tuple[Callable[[bytes], Any], ...]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        read, said = readers[data[0] % len(readers)] if data else readers[0], data[1:]
        read_too = (wire.reference(said), said.decode("utf-8", "replace"))
        assert all(id is None or len(id) <= 128 for id in read_too[0].values())
        refused(lambda: read(said), Invalid, NameTaken, NotFound)

    return check


def _repeats(data: bytes) -> Any:
    """The control: says what it was that it did not understand."""
    try:
        return wire.decode_cancellation(data)
    except Invalid as error:
        raise NotFound(data.decode("utf-8", "replace")) from error


# schemas


def _fitted(check_value: Callable[[Any, dict[str, Any], str], None]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            given = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        if not (isinstance(given, dict) and isinstance(given.get("schema"), dict)):
            return
        wanted, value = given["schema"], given.get("value")

        def taken() -> bool:
            wire.check_json(wanted, "/response_schema")
            schema.check_schema(wanted, "/response_schema")
            wire.check_json(value, "/values")
            return True

        if refused(taken, Invalid):
            _silent(lambda: check_value(value, wanted, "/values"), wanted)

    return check


def _silent(use: Callable[[], None], wanted: Any) -> None:
    """What a schema says itself may be told to whoever must fit it; what they wrote may not."""
    try:
        use()
    except Invalid as error:
        assert 0 < len(error.faults) <= 50
        if CANARY not in json.dumps(wanted):
            check_silent(error)


def _unmasked(value: Any, wanted: dict[str, Any], pointer: str) -> None:
    """The control: whoever fills in a form reads there what they wrote."""
    import jsonschema_rs

    for fault in jsonschema_rs.Draft202012Validator(wanted).iter_errors(value):
        assert CANARY not in fault.message, fault.message


_FITTED: Final = written(st.fixed_dictionaries({"schema": SCHEMAS, "value": VALUES}))


def _targets() -> tuple[tuple[str, SearchStrategy[bytes], Callable[..., Any], Any, Any, int], ...]:
    return (
        ("questions", written(_QUESTIONS | documents(Question)), _asked, wire.decode_question, _without_refusal, 700),
        ("answers", _SUBMISSIONS, _answered, kinds.resolve, _takes_any_option, 500),
        ("messages", _MESSAGES, _said, _READERS, (_repeats,), 500),
        ("schemas", _FITTED, _fitted, schema.check_value, _unmasked, 500),
    )


TARGETS: Final[tuple[Target, ...]] = tuple(
    pure(name, damaged(inputs), check(parser), check(double), count)
    for name, inputs, check, parser, double, count in _targets()
)
