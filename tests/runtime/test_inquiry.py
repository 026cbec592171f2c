"""`sayso.ask` and `sayso.aask`: a question from any code, and its answer in the type that was asked for."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, NotRequired, TypedDict

import httpx
import pytest
from pydantic import BaseModel, Field

import sayso
from sayso import Action, HumanInputServer, Option, inquiry, limits
from sayso.errors import Invalid, Misconfigured, NoAnswer, NotReady, SaysoError, ServerStopped, WouldBlock
from tests.builders import Even
from tests.crewai.person import APPROVE, LONGEST, Decide, Person, in_turn, leave

People = Callable[..., Person]
Inquire = Callable[..., sayso.Reply[Any]]
Aside = Callable[..., Future[Any]]
SOON = 0.01
"""Seconds until a request runs out of time that nobody is to answer."""


def _awaited(prompt: str, **members: Any) -> sayso.Reply[Any]:
    return asyncio.run(sayso.aask(prompt, **members))


both_roads = pytest.mark.parametrize("inquire", [sayso.ask, _awaited], ids=["ask", "aask"])


@pytest.fixture
def server(serve: Callable[..., HumanInputServer]) -> Iterator[HumanInputServer]:
    """Stopped when a test takes far too long, so that nobody waits for ever."""
    server = serve()
    guard = threading.Timer(2 * LONGEST, server.stop)
    guard.start()
    yield server
    guard.cancel()


@pytest.fixture
def person(server: HumanInputServer) -> Iterator[People]:
    """Makes people who follow the server and answer by a script, until the test ends."""
    with ExitStack() as people:

        def follow(decide: Decide, **settings: Any) -> Person:
            return people.enter_context(Person(server.url, decide, gone=server.stop, **settings))

        yield follow


@pytest.fixture
def aside(server: HumanInputServer) -> Iterator[Aside]:
    """Runs a function in a thread of its own."""
    with ThreadPoolExecutor(40) as pool:
        yield pool.submit
        server.stop()


def _told(client: httpx.Client) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = client.get("/requests", params={"limit": 1000}).json()["requests"]
    return told


def _one_asked(reader: Person) -> bool:
    return len(reader.asked) == 1


# What is asked, and what comes back


@both_roads
def test_a_text_comes_back_as_it_was_written(person: People, inquire: Inquire) -> None:
    reader = person(in_turn([{"human_feedback": "  Blue.\n", "comment": "sleepy"}]))
    reply = inquire("Which colour?")
    assert (reply.decision, reply.text, reply.comment) == ("respond", "  Blue.\n", "sleepy")
    assert (reply.option, reply.values, reply.edited, reply.approved) == (None, None, None, False)
    assert (reply.request.status, reply.request.settled_by, reply.request.prompt) == (
        "answered",
        "key:default",
        "Which colour?",
    )
    assert (reader.asked[0]["kind"], reader.asked[0]["source"]["name"]) == ("question", "python")


@both_roads
@pytest.mark.parametrize(
    ("options", "shown", "answer", "chosen"),
    [
        (["yes", "no"], [("yes", ""), ("no", "")], {"option_ids": ["no"]}, ("no", "no")),
        (iter(("yes", "no")), [("yes", ""), ("no", "")], {"human_feedback": "yes"}, ("yes", "yes")),
        (
            {"eu": "Frankfurt", "us": "Ohio"},
            [("eu", "Frankfurt"), ("us", "Ohio")],
            {"human_feedback": "Ohio"},
            ("us", "Ohio"),
        ),
        (
            (Option(id="a", label="First", style="danger"), "b"),
            [("a", "First"), ("b", "")],
            {"option_ids": ["a"]},
            ("a", "First"),
        ),
    ],
    ids=["texts", "an iterator", "ids with labels", "options"],
)
def test_the_option_that_a_person_chose_comes_back(
    *,
    person: People,
    inquire: Inquire,
    options: Any,
    shown: list[tuple[str, str]],
    answer: dict[str, Any],
    chosen: tuple[str, str],
) -> None:
    if not isinstance(options, list | dict | tuple):
        options = iter(["yes", "no"])  # each road uses one up
    reader = person(in_turn([answer]))
    reply = inquire("Which one?", options=options)
    assert (reply.option, reply.text) == chosen
    assert [(one["id"], one["label"]) for one in reader.asked[0]["options"]] == shown
    assert reader.asked[0]["kind"] == "choice"


@both_roads
@pytest.mark.parametrize(
    ("answer", "approved", "text"),
    [
        (APPROVE, True, ""),
        ({"decision": "reject"}, False, "reject"),
        ({"decision": "reject", "text": "no"}, False, "no"),
    ],
)
def test_an_approval_is_a_yes_or_a_no(
    person: People, inquire: Inquire, answer: dict[str, Any], approved: bool, text: str
) -> None:
    person(in_turn([answer]))
    reply = inquire("Send it?", kind="approval")
    assert (reply.approved, reply.text) == (approved, text)


@both_roads
def test_an_action_that_was_changed_is_approved_with_what_to_use_instead(person: People, inquire: Inquire) -> None:
    reader = person(in_turn([{"decision": "edit", "edited": {"to": "bob"}}]))
    reply = inquire("Send it?", action=Action(name="send", args={"to": "ann"}))
    assert (reply.approved, reply.edited) == (True, {"to": "bob"})
    assert reader.asked[0]["action"]["args"] == {"to": "ann"}


@both_roads
def test_what_is_said_beside_the_prompt_reaches_the_person(person: People, inquire: Inquire) -> None:
    members: dict[str, Any] = {
        "title": "Paint",
        "context": "The shed.",
        "context_data": {"shed": 3},
        "priority": "high",
        "reason_flags": {"ambiguity": True},
        "metadata": {"ticket": 7},
        "execution_id": "paint-1",
        "request_id": "paint-1-colour",
        "deadline": datetime(2040, 1, 1, tzinfo=UTC),
    }
    reader = person(in_turn([{"human_feedback": "Blue"}]))
    reply = inquire("Which colour?", assignees=["ada", "bob"], **members)
    sent = {name: reader.asked[0][name] for name in members}
    assert sent == members | {
        "deadline": "2040-01-01T00:00:00Z",
        "reason_flags": {"ambiguity": True, "missing_field": False},
    }
    assert reader.asked[0]["assignees"] == ["ada", "bob"]
    assert (reply.request.execution_id, reply.request.request_id) == ("paint-1", "paint-1-colour")


def test_each_question_outside_a_framework_has_an_execution_of_its_own(person: People) -> None:
    person(lambda asked: {"human_feedback": "Blue"})
    assert sayso.ask("One?").request.execution_id != sayso.ask("Two?").request.execution_id


@pytest.mark.promise("ASK-1")
@pytest.mark.parametrize("members", [{"execution_id": "run-7"}, {}], ids=["in a run of mine", "in none"])
def test_asking_again_with_the_same_request_id_is_the_same_question(person: People, members: dict[str, Any]) -> None:
    reader = person(in_turn([{"human_feedback": "Blue"}]))
    first = sayso.ask("Which colour?", request_id="colour-7", **members)
    again = sayso.ask("Which colour?", request_id="colour-7", **members)
    assert again.request == first.request
    assert len(reader.asked) == 1


# A form


class Room(BaseModel):
    floor: int
    view: Literal["sea", "yard"] = "yard"


class Trip(BaseModel):
    city: str
    nights: int = Field(gt=0)
    room: Room


class Meal(enum.Enum):
    BREAKFAST = "breakfast"
    NONE = "none"


@dataclass
class Guest:
    name: str
    age: int = 30


@dataclass
class Stay:
    guest: Guest
    arrival: date
    level: Literal["low", "high"]
    meal: Meal = Meal.NONE
    note: str = "none"


class Place(TypedDict):
    name: str
    floor: NotRequired[int]


@both_roads
@pytest.mark.parametrize(
    ("response", "values", "filled", "required"),
    [
        (
            Trip,
            {"city": "Rome", "nights": 2, "room": {"floor": 3}},
            Trip(city="Rome", nights=2, room=Room(floor=3)),
            ["city", "nights", "room"],
        ),
        (
            Stay,
            {"guest": {"name": "Ada"}, "arrival": "2030-01-31", "level": "low", "meal": "breakfast"},
            Stay(Guest("Ada"), date(2030, 1, 31), "low", Meal.BREAKFAST),
            ["guest", "arrival", "level"],
        ),
        (Place, {"name": "Shed"}, {"name": "Shed"}, ["name"]),
        (Place, {"name": "Shed", "floor": 1}, {"name": "Shed", "floor": 1}, ["name"]),
    ],
    ids=["pydantic", "dataclass", "TypedDict", "TypedDict with more"],
)
def test_a_form_comes_back_as_the_type_that_was_asked_for(
    *, person: People, inquire: Inquire, response: type, values: dict[str, Any], filled: Any, required: list[str]
) -> None:
    reader = person(in_turn([{"values": values}]))
    reply = inquire("Where to?", response=response)
    assert reply.values == filled
    assert type(reply.values) is type(filled)
    schema = reader.asked[0]["response_schema"]
    assert (reader.asked[0]["kind"], schema["type"], schema["required"]) == ("form", "object", required)


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    ("response", "values", "pointer"),
    [
        (Trip, {"city": "Rome", "nights": 0, "room": {"floor": 3}}, "/values/nights"),
        (Trip, {"city": "Rome", "nights": 1, "room": {"floor": 3, "view": "sky"}}, "/values/room/view"),
        (Stay, {"guest": {"name": "Ada"}, "arrival": "soon", "level": "low"}, "/values/arrival"),
        (Stay, {"guest": {"name": 7}, "arrival": "2030-01-31", "level": "low"}, "/values/guest/name"),
        (Stay, {"guest": {"name": "Ada"}, "arrival": "2030-01-31", "level": "mid"}, "/values/level"),
        (Place, {"name": "Shed", "floor": "one"}, "/values/floor"),
    ],
)
def test_values_that_do_not_fit_the_schema_are_refused_where_they_are_sent(
    person: People, aside: Aside, response: type, values: dict[str, Any], pointer: str
) -> None:
    reader = person(leave)
    asking = aside(sayso.ask, "Where to?", response=response)
    reader.wait_until(_one_asked)
    refused = reader.try_to_answer(reader.asked[0]["request_id"], values=values)
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]
    assert not asking.done()


@dataclass
class EvenToo:
    lines: int

    def __post_init__(self) -> None:
        if self.lines % 2:
            raise ValueError("must be even")


ODD, EVEN = {"values": {"lines": 3}}, {"values": {"lines": 4}}
own_checks = pytest.mark.parametrize("response", [Even, EvenToo], ids=["pydantic", "dataclass"])


@both_roads
@own_checks
def test_values_that_only_the_types_own_check_refuses_are_asked_for_again(
    person: People, inquire: Inquire, response: type[Any]
) -> None:
    reader = person(in_turn([ODD, {"values": {"lines": 5}}, EVEN]))
    members: dict[str, Any] = {"execution_id": "run-1", "request_id": "mine", "priority": "high", "timeout": 600}
    reply = inquire("How many lines?", response=response, **members)
    assert reply.values == response(lines=4)
    first, second, third = reader.asked
    assert [one["round"] for one in reader.asked] == [1, 2, 3]
    assert [first["previous"], second["previous"], third["previous"]] == [
        None,
        first["request_id"],
        second["request_id"],
    ]
    assert first["request_id"] == "mine"
    assert len({one["request_id"] for one in reader.asked}) == 3
    for again in (second, third):
        assert "must be even" in again["prompt"]
        assert again["prompt"].endswith("How many lines?")
        assert again["prompt"].count("**Please check") == 1
        kept = ("execution_id", "priority", "deadline", "response_schema", "source", "kind")
        assert {name: again[name] for name in kept} == {name: first[name] for name in kept}
    assert first["deadline"] is not None


def test_a_form_that_is_asked_for_again_keeps_its_title(person: People) -> None:
    """A list shows titles: each round is the same matter."""
    reader = person(in_turn([ODD, EVEN]))
    sayso.ask("How many lines?", response=Even)
    assert [one["title"] for one in reader.asked] == ["How many lines?"] * 2


def test_a_form_with_the_longest_prompt_there_may_be_can_be_asked_for_again(person: People) -> None:
    reader = person(in_turn([ODD, EVEN]))
    assert sayso.ask("x" * limits.PROMPT, response=Even).values == Even(lines=4)
    assert "must be even" in reader.asked[1]["prompt"]


@own_checks
def test_a_form_that_is_asked_for_again_and_then_left_ends_with_its_default(
    person: People, response: type[Any]
) -> None:
    reader = person(in_turn([ODD]))
    until = {"timeout": 0.5, "default": {"values": {"lines": 2}}}
    reader._decide = lambda asked: ODD if asked["round"] == 1 else None
    reply = sayso.ask("How many lines?", response=response, **until)  # type: ignore[call-overload]
    assert reply.values == response(lines=2)
    assert reply.request.status == "expired"


@pytest.mark.parametrize("response", [int, list[int], object, threading.Lock])
def test_a_type_that_is_no_form_is_refused_by_name_before_anybody_is_asked(
    server: HumanInputServer, client: httpx.Client, response: Any
) -> None:
    with pytest.raises(Misconfigured, match="response="):
        sayso.ask("How many?", response=response)
    assert _told(client) == []


# Nobody answers


@pytest.mark.promise("SETTLE-3")
@both_roads
@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, "cancelled"),
        ({"options": ["yes", "no"]}, "cancelled"),
        ({"response": Trip}, "cancelled"),
        ({"kind": "approval"}, "expired"),  # the protocol's own reject is no person's no
        ({"on_timeout": "cancel"}, "cancelled"),
        ({"on_timeout": "cancel", "default": "Blue"}, "cancelled"),
        ({"response": Even, "default": {"values": {"lines": 3}}}, "expired"),  # its own check refuses it
    ],
)
def test_without_an_answer_in_time_it_says_so_with_the_request(
    server: HumanInputServer, inquire: Inquire, members: dict[str, Any], status: str
) -> None:
    with pytest.raises(NoAnswer, match="deadline") as caught:
        inquire("Which colour?", timeout=SOON, **members)
    assert (caught.value.request.status, caught.value.request.settled_by) == (status, "system:deadline")


@pytest.mark.promise("SETTLE-3")
@both_roads
@pytest.mark.parametrize(
    ("members", "text", "option", "values"),
    [
        ({"default": "Blue"}, "Blue", None, None),
        ({"default": ""}, "", None, None),
        ({"default": "Ohio", "options": {"eu": "Frankfurt", "us": "Ohio"}}, "Ohio", "us", None),
        ({"default": {"option_ids": ["b"]}, "options": ["a", "b"]}, "b", "b", None),
        (
            {"default": {"values": {"city": "Rome", "nights": 1, "room": {"floor": 0}}}, "response": Trip},
            '{"city":"Rome","nights":1,"room":{"floor":0}}',
            None,
            Trip(city="Rome", nights=1, room=Room(floor=0)),
        ),
        ({"default": {"values": {"name": "Shed"}}, "response": Place}, '{"name":"Shed"}', None, {"name": "Shed"}),
    ],
)
def test_a_default_is_the_reply_when_nobody_answers_in_time(
    *, server: HumanInputServer, inquire: Inquire, members: dict[str, Any], text: str, option: str | None, values: Any
) -> None:
    reply = inquire("Which colour?", timeout=SOON, **members)
    assert (reply.text, reply.option, reply.values, reply.decision) == (text, option, values, "respond")
    assert (reply.request.status, reply.request.settled_by) == ("expired", "system:deadline")


@pytest.mark.promise("SETTLE-3")
@both_roads
@pytest.mark.parametrize(
    ("members", "approved"),
    [
        ({"on_timeout": "approve"}, True),
        ({"on_timeout": "reject"}, False),
        ({"default": {"decision": "approve"}}, True),
        ({"default": {"decision": "reject"}, "on_timeout": "default"}, False),
    ],
)
def test_an_approval_that_nobody_gave_in_time_ends_as_the_asker_said(
    server: HumanInputServer, inquire: Inquire, members: dict[str, Any], approved: bool
) -> None:
    reply = inquire("Send it?", kind="approval", timeout=SOON, **members)
    assert (reply.approved, reply.request.status) == (approved, "expired")


@both_roads
def test_an_answer_in_time_counts_and_the_default_does_not(person: People, inquire: Inquire) -> None:
    person(in_turn([{"human_feedback": "Red"}]))
    reply = inquire("Which colour?", timeout=600, default="Blue")
    assert (reply.text, reply.request.status) == ("Red", "answered")


@both_roads
def test_a_question_that_somebody_cancels_has_no_answer(person: People, client: httpx.Client, inquire: Inquire) -> None:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()

    person(cancel)
    with pytest.raises(NoAnswer, match="lunch") as caught:
        inquire("Which colour?", default="Blue")
    assert (caught.value.request.status, caught.value.request.answer) == ("cancelled", None)


@pytest.mark.promise("SETTLE-4")
@both_roads
def test_stopping_the_server_ends_the_waiting_with_the_request_as_it_was_given_up(
    server: HumanInputServer, person: People, aside: Aside, inquire: Inquire
) -> None:
    reader = person(leave)
    asking = aside(inquire, "Which colour?", default="Blue")
    reader.wait_until(_one_asked)
    server.stop()
    error = asking.exception(LONGEST)
    assert isinstance(error, ServerStopped)
    assert (error.request.status, error.request.reason) == ("cancelled", "asker-gone")


@both_roads
def test_a_server_that_has_stopped_says_that_nothing_was_asked(server: HumanInputServer, inquire: Inquire) -> None:
    server.stop()
    with pytest.raises(NotReady):
        inquire("Which colour?", asker=server)


@both_roads
def test_without_any_server_it_says_what_to_set(inquire: Inquire) -> None:
    with pytest.raises(Misconfigured, match="SAYSO_URL"):
        inquire("Which colour?")


# What cannot be asked


@both_roads
@pytest.mark.parametrize("member", ["promt", "option", "response_schema_", "default_text"])
def test_a_member_that_there_is_not_is_named(
    server: HumanInputServer, client: httpx.Client, inquire: Inquire, member: str
) -> None:
    with pytest.raises(TypeError, match=f"'{member}'"):
        inquire("Which colour?", **{member: "x"})
    assert _told(client) == []


@pytest.mark.promise("ASK-2")
@both_roads
@pytest.mark.parametrize(
    ("prompt", "members", "pointer"),
    [
        (" ", {}, "/prompt"),
        ("Which?", {"kind": "choice"}, "/options"),
        ("Which?", {"kind": "form"}, "/response_schema"),
        ("Which?", {"options": ["a", "a"]}, "/options"),
        ("Which?", {"execution_id": "not an id"}, "/execution_id"),
        ("Which?", {"request_id": "a/b"}, "/request_id"),
        ("Which?", {"timeout": 0}, "/timeout"),
        ("Which?", {"timeout": float("nan")}, "/timeout"),
        ("Which?", {"timeout": 5, "deadline": datetime(2040, 1, 1, tzinfo=UTC)}, "/timeout"),
        ("Which?", {"deadline": datetime(2040, 1, 1)}, "/deadline"),  # has no zone
        ("Which?", {"on_timeout": "default"}, "/default"),
        ("Which?", {"on_timeout": "reject"}, "/on_timeout"),
        ("Which?", {"options": ["a"], "default": "b"}, "/default/human_feedback"),
        ("Where?", {"response": Trip, "default": "Rome"}, "/default/human_feedback"),
        ("Which?", {"metadata": {"it": object()}}, "/metadata"),
        ("Which?", {"title": "x" * 300}, "/title"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_says_where(
    *,
    server: HumanInputServer,
    client: httpx.Client,
    inquire: Inquire,
    prompt: str,
    members: dict[str, Any],
    pointer: str,
) -> None:
    with pytest.raises(Invalid) as caught:
        inquire(prompt, **members)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]
    assert _told(client) == []


@pytest.mark.promise("ASK-2")
@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"kind": "aproval"}, "/kind"),
        ({"priority": "urgnt"}, "/priority"),
        ({"timeout": "5"}, "/timeout"),
        ({"on_timeout": "refuse"}, "/on_timeout"),
        ({"options": ["a", 2]}, "/options/1/id"),
        ({"title": 7}, "/title"),
        ({"reason_flags": {"ambiguity": "yes"}}, "/reason_flags"),
        ({"metadata": [1]}, "/metadata"),
    ],
)
def test_a_member_of_the_wrong_type_or_word_is_refused_as_it_is_over_http(
    server: HumanInputServer, client: httpx.Client, aside: Aside, members: dict[str, Any], pointer: str
) -> None:
    error = aside(sayso.ask, "Which?", **{"default": "this", "timeout": 5} | members).exception(LONGEST)
    assert isinstance(error, Invalid | TypeError), repr(error)
    if isinstance(error, Invalid):
        assert pointer in {fault.pointer for fault in error.faults}
    assert _told(client) == []


@pytest.mark.parametrize("name", ["options", "assignees"])
def test_one_text_where_a_list_belongs_is_no_list_of_its_letters(
    server: HumanInputServer, client: httpx.Client, name: str
) -> None:
    """A type checker cannot tell: a text is an iterable of texts."""
    with pytest.raises((SaysoError, TypeError)):
        sayso.ask("Which?", **{"timeout": SOON, "default": "a", name: "ada" if name == "assignees" else "ab"})  # type: ignore[misc]
    assert _told(client) == []


async def test_asking_in_a_running_loop_is_refused_and_names_the_other_way(
    server: HumanInputServer, client: httpx.Client
) -> None:
    with pytest.raises(WouldBlock, match="aask"):
        sayso.ask("Which colour?", asker=server)
    assert _told(client) == []


# Whom it asks, and who waits


@both_roads
def test_an_explicit_server_is_asked_whoever_else_runs(
    server: HumanInputServer, serve: Callable[..., HumanInputServer], person: People, inquire: Inquire
) -> None:
    reader, later = person(in_turn([{"human_feedback": "Blue"}])), serve()
    with Person(later.url, in_turn([{"human_feedback": "Red"}]), gone=later.stop) as other:
        assert inquire("Which colour?", asker=server).text == "Blue"
        assert (len(reader.asked), len(other.asked)) == (1, 0)
        assert inquire("Which colour?").text == "Red"


async def test_cancelling_an_awaited_question_gives_it_up(person: People) -> None:
    reader = person(leave)
    asking = asyncio.create_task(sayso.aask("Which colour?"))
    await asyncio.to_thread(reader.wait_until, _one_asked)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.to_thread(reader.wait_until, lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["status"], reader.settled[0]["reason"]) == ("cancelled", "asker-gone")


def test_interrupting_a_waiting_thread_gives_its_question_up(person: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(future: Future[Any]) -> Any:
        reader.wait_until(_one_asked)
        raise KeyboardInterrupt

    reader = person(leave)
    monkeypatch.setattr(inquiry, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sayso.ask("Which colour?")
    reader.wait_until(lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["status"], reader.settled[0]["reason"]) == ("cancelled", "asker-gone")


async def test_many_questions_of_one_loop_wait_at_once_and_each_gets_its_own_answer(person: People) -> None:
    reader, many = person(leave), 100
    async with asyncio.timeout(4 * LONGEST), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(sayso.aask(f"Number {number}?")) for number in range(many)]
        await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == many)
        reader_answers = asyncio.to_thread(
            lambda: [reader.answer(one["request_id"], human_feedback=one["prompt"]) for one in reversed(reader.asked)]
        )
        await reader_answers
    assert [task.result().text for task in asking] == [f"Number {number}?" for number in range(many)]


def test_many_threads_ask_at_once_and_each_gets_its_own_answer(person: People, aside: Aside) -> None:
    reader, many = person(leave), 30
    asking = [aside(sayso.ask, f"Number {number}?") for number in range(many)]
    reader.wait_until(lambda it: len(it.asked) == many)
    for one in reversed(reader.asked):
        reader.answer(one["request_id"], human_feedback=one["prompt"])
    assert [one.result(LONGEST).text for one in asking] == [f"Number {number}?" for number in range(many)]
