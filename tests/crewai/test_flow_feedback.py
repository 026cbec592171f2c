"""`@human_feedback` of flows: what a person decides and what the flow makes of it; the user's set-up; the console."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from crewai.events import crewai_event_bus
from crewai.events.types.flow_events import HumanFeedbackReceivedEvent, HumanFeedbackRequestedEvent
from crewai.flow.flow import Flow, listen, start
from crewai.flow.flow_config import flow_config
from crewai.flow.human_feedback import human_feedback
from pydantic import BaseModel, ConfigDict

from sayso import HumanInputServer, create_app
from sayso.adapters.crewai import Rejected, Stopped, Unanswered, install
from sayso.model import Question
from tests.builders import Even
from tests.conftest import KEY
from tests.crewai.conftest import Console
from tests.crewai.person import APPROVE, LONGEST, Person, in_turn, leave
from tests.crewai.points import reviewed, routed
from tests.crewai.roads import Kickoff, both_roads
from tests.crewai.scripted import ScriptedModel

People = Callable[..., Person]
OUTCOMES = ("approved", "rejected")
EVERYTHING = ["approve", "edit", "respond", "reject"]


class Own:
    """A provider of the user's."""

    def __init__(self) -> None:
        self.asked = 0

    def request_feedback(self, context: Any, flow: Any) -> str:
        self.asked += 1
        return "own"


@pytest.fixture
def hitl() -> Iterator[Callable[[Any], None]]:
    """Sets the provider of the whole process, as a user does; puts back what was there."""
    former = flow_config.hitl_provider

    def put(provider: Any) -> None:
        flow_config.hitl_provider = provider

    yield put
    flow_config.hitl_provider = former


@pytest.fixture
def hurried(server: HumanInputServer) -> Iterator[list[str]]:
    """Every question has a deadline that comes at once; gives the ids of the requests."""
    ids: list[str] = []

    def hurry(question: Question, context: Any) -> Question:
        ids.append(f"hurried-{len(ids)}")
        return question.replace(timeout=0.2, request_id=ids[-1])

    undo = install(server, prepare=hurry)
    yield ids
    undo()


@pytest.fixture
def heard() -> Iterator[queue.Queue[Any]]:
    """What a listener on crewAI's bus hears of its own two events of a feedback."""
    heard: queue.Queue[Any] = queue.Queue()
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(HumanFeedbackRequestedEvent)
        def requested(source: Any, event: HumanFeedbackRequestedEvent) -> None:
            heard.put(event)

        @crewai_event_bus.on(HumanFeedbackReceivedEvent)
        def received(source: Any, event: HumanFeedbackReceivedEvent) -> None:
            heard.put(event)

        yield heard


def _heard(heard: queue.Queue[Any]) -> tuple[Any, Any]:
    """The two events, of which there are no more."""
    events = {type(event): event for event in (heard.get(timeout=LONGEST) for _ in range(2))}
    assert crewai_event_bus.flush(LONGEST)
    assert heard.empty()
    return events[HumanFeedbackRequestedEvent], events[HumanFeedbackReceivedEvent]


def _cancel(client: httpx.Client) -> Callable[[dict[str, Any]], None]:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()

    return cancel


# Without outcomes


@both_roads
@pytest.mark.parametrize("answer", [APPROVE, {"human_feedback": " "}], ids=["approve", "blank"])
def test_approval_takes_the_output_as_it_is(person: People, kickoff: Kickoff, answer: dict[str, Any]) -> None:
    reader = person(in_turn([answer]))
    result = kickoff(reviewed(metadata={"team": "press"}))
    assert (result.output, result.feedback, result.outcome) == ("draft", "", None)
    assert (result.method_name, result.metadata) == ("work", {"team": "press"})
    assert type(result.feedback) is str
    (asked,) = reader.asked
    assert (asked["kind"], asked["allow"], asked["options"]) == ("review", EVERYTHING, [])
    assert (asked["context"], asked["metadata"]) == ("draft", {"team": "press"})
    assert asked["prompt"].startswith("Ship it?\n\n")
    assert asked["context_data"] == {"flow": "Reviewed", "method": "work"}


@both_roads
def test_a_response_is_the_feedback_and_leaves_the_output(person: People, kickoff: Kickoff) -> None:
    reader, flow = person(in_turn([{"decision": "respond", "text": " kinder\n"}])), reviewed()
    result = kickoff(flow)
    assert (result.output, result.feedback, result.outcome) == ("draft", " kinder\n", None)
    assert type(result.feedback) is str
    assert flow.human_feedback_history == [result]
    assert flow.last_human_feedback is result
    assert len(reader.asked) == 1


@both_roads
def test_an_edit_takes_the_place_of_the_output_for_what_follows(person: People, kickoff: Kickoff) -> None:
    class Steps(Flow[dict[str, Any]]):
        @start()
        @human_feedback(message="Ship it?")
        def work(self) -> str:
            return "draft"

        @listen(work)
        def publish(self, review: Any) -> Any:
            return review

    person(in_turn([{"decision": "edit", "edited": "  Mine.\n"}]))
    flow = Steps(suppress_flow_events=True)
    result = kickoff(flow)
    assert (result.output, result.feedback) == ("  Mine.\n", "")
    assert type(result.feedback) is str
    assert flow.last_human_feedback.output == "  Mine.\n"


@both_roads
def test_an_edited_model_arrives_as_one_and_is_asked_for_again_where_its_own_validator_refuses_it(
    person: People, kickoff: Kickoff
) -> None:
    reader = person(in_turn([{"decision": "edit", "edited": {"lines": lines}} for lines in (3, 4)]))
    result = kickoff(reviewed(Even(lines=2)))
    assert result.output == Even(lines=4)
    assert type(result.output) is Even
    first, second = reader.asked
    assert first["context"] == '{"lines":2}'
    assert first["response_schema"]["required"] == ["lines"]
    assert (second["round"], second["previous"]) == (2, first["request_id"])
    assert second["prompt"] == f"**The edit cannot be used:** Value error, must be even\n\n{first['prompt']}"


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    ("output", "edited", "pointer"),
    [
        (Even(lines=2), {"lines": "four"}, "/edited/lines"),
        ("draft", " ", "/edited"),
        ({"lines": 2}, {"lines": 4}, "/decision"),
        ("", "Mine.", "/decision"),
        (None, "Mine.", "/decision"),
    ],
    ids=["a model", "a text", "a dict", "no text", "nothing"],
)
def test_an_edit_that_does_not_fit_is_refused_and_the_request_stays_open(
    person: People,
    aside: Callable[..., Future[Any]],
    client: httpx.Client,
    output: Any,
    edited: Any,
    *,
    pointer: str,
) -> None:
    reader = person(leave)
    running = aside(reviewed(output).kickoff)
    reader.wait_until(lambda it: len(it.asked) == 1)
    request_id = reader.asked[0]["request_id"]
    refused = reader.try_to_answer(request_id, decision="edit", edited=edited)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert client.get(f"/requests/{request_id}").json()["status"] == "pending"
    reader.answer(request_id, **APPROVE)
    assert running.result(LONGEST).output == output


@both_roads
def test_a_rejection_ends_the_flow_after_one_question(person: People, kickoff: Kickoff) -> None:
    went_on: list[str] = []

    class Steps(Flow[dict[str, Any]]):
        @start()
        @human_feedback(message="Ship it?")
        def work(self) -> str:
            return "draft"

        @listen(work)
        def publish(self) -> None:
            went_on.append("published")

    reader = person(in_turn([{"decision": "reject", "text": "off topic"}]))
    with pytest.raises(Rejected, match="key:default: off topic"):
        kickoff(Steps(suppress_flow_events=True))
    assert len(reader.asked) == 1
    assert went_on == []


@both_roads
@pytest.mark.parametrize("make", [reviewed, lambda: routed(*OUTCOMES)], ids=["free", "emit"])
def test_a_cancelled_request_ends_the_flow_as_unanswered(
    person: People, client: httpx.Client, kickoff: Kickoff, make: Callable[[], Any]
) -> None:
    reader = person(_cancel(client))
    with pytest.raises(Unanswered, match="lunch"):
        kickoff(make())
    assert len(reader.asked) == 1


@both_roads
@pytest.mark.parametrize("make", [reviewed, lambda: routed(*OUTCOMES)], ids=["free", "emit"])
def test_a_deadline_without_a_default_ends_the_flow_as_unanswered(
    hurried: list[str], client: httpx.Client, kickoff: Kickoff, make: Callable[[], Any]
) -> None:
    with pytest.raises(Unanswered):
        kickoff(make())
    assert len(hurried) == 1
    assert client.get(f"/requests/{hurried[0]}").json()["settled_by"] == "system:deadline"


@both_roads
def test_stopping_the_server_ends_a_waiting_flow(
    server: HumanInputServer, person: People, aside: Callable[..., Future[Any]], kickoff: Kickoff
) -> None:
    reader = person(leave)
    running = aside(kickoff, reviewed())
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert isinstance(running.exception(LONGEST), Stopped)
    assert len(reader.asked) == 1


async def test_cancelling_an_awaited_flow_cancels_its_request(person: People) -> None:
    reader = person(leave)
    running = asyncio.create_task(reviewed().kickoff_async())
    await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(reader.wait_until, lambda it: len(it.settled) == 1)
    assert (reader.settled[0]["status"], reader.settled[0]["reason"]) == ("cancelled", "asker-gone")


# With outcomes


@both_roads
@pytest.mark.parametrize("outcome", ["shipped", "not shipped"])
@pytest.mark.parametrize(
    ("answer", "feedback"),
    [
        (lambda outcome: {"option_ids": [outcome]}, None),
        (lambda outcome: {"human_feedback": f" {outcome} "}, None),
        (lambda outcome: {"option_ids": [outcome], "text": "shipped? not shipped?"}, "shipped? not shipped?"),
    ],
    ids=["by id", "by text", "with words"],
)
def test_a_chosen_outcome_routes_exactly_and_without_a_model(
    person: People,
    kickoff: Kickoff,
    answer: Callable[[str], dict[str, Any]],
    outcome: str,
    *,
    feedback: str | None,
) -> None:
    """One outcome is part of the other's name, so that whoever reads the text could take it for either."""
    model, reader = ScriptedModel(), person(in_turn([answer(outcome)]))
    flow = routed("shipped", "not shipped", llm=model)
    assert kickoff(flow) is None  # what the last listener returns
    assert flow.routes == [outcome]
    assert model.calls == 0
    result = flow.last_human_feedback
    assert (result.outcome, result.feedback, result.output) == (outcome, feedback or outcome, "draft")
    assert type(result.feedback) is str
    (asked,) = reader.asked
    assert [option["id"] for option in asked["options"]] == ["shipped", "not shipped"]
    assert (asked["kind"], asked["allow"]) == ("review", ["respond"])


@both_roads
def test_an_outcome_that_differs_from_another_by_case_alone_routes_exactly(person: People, kickoff: Kickoff) -> None:
    person(in_turn([{"option_ids": ["go"]}]))
    flow = routed("Go", "go", llm=ScriptedModel())
    kickoff(flow)
    assert flow.routes == ["go"]


@both_roads
@pytest.mark.parametrize("written", ["rejected", '{"outcome": "rejected"}'])
def test_free_text_is_understood_by_one_call_of_the_model(person: People, kickoff: Kickoff, written: str) -> None:
    model, reader = ScriptedModel(lambda number, feedback: written), person(in_turn([{"human_feedback": "oh no"}]))
    flow = routed(*OUTCOMES, llm=model)
    kickoff(flow)
    assert flow.routes == ["rejected"]
    assert model.calls == 1
    assert (flow.last_human_feedback.feedback, flow.last_human_feedback.outcome) == ("oh no", "rejected")
    assert type(flow.last_human_feedback.feedback) is str
    assert len(reader.asked) == 1


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    "unfit",
    [{"human_feedback": " "}, APPROVE, {"decision": "reject"}, {"option_ids": ["maybe"]}, {"option_ids": []}],
    ids=["blank", "approve", "reject", "no such outcome", "no outcome"],
)
@pytest.mark.parametrize("default", [None, "rejected"])
def test_what_chooses_no_outcome_is_refused_and_the_request_stays_open(
    person: People,
    aside: Callable[..., Future[Any]],
    client: httpx.Client,
    unfit: dict[str, Any],
    default: str | None,
) -> None:
    """Blank too where crewAI has a default: a person who sends nothing has decided nothing."""
    reader, flow = person(leave), routed(*OUTCOMES, llm=ScriptedModel(), default_outcome=default)
    running = aside(flow.kickoff)
    reader.wait_until(lambda it: len(it.asked) == 1)
    request_id = reader.asked[0]["request_id"]
    assert reader.try_to_answer(request_id, **unfit).status_code == 422
    assert client.get(f"/requests/{request_id}").json()["status"] == "pending"
    reader.answer(request_id, option_ids=["approved"])
    running.result(LONGEST)
    assert flow.routes == ["approved"]


@both_roads
def test_a_deadline_chooses_the_default_outcome_without_a_model(
    hurried: list[str], client: httpx.Client, kickoff: Kickoff
) -> None:
    model = ScriptedModel()
    flow = routed(*OUTCOMES, llm=model, default_outcome="rejected")
    kickoff(flow)
    assert flow.routes == ["rejected"]
    assert model.calls == 0
    assert len(hurried) == 1
    settled = client.get(f"/requests/{hurried[0]}").json()
    assert (settled["status"], settled["answer"]["option_ids"]) == ("expired", ["rejected"])
    assert type(flow.last_human_feedback.feedback) is str


# Events


@both_roads
@pytest.mark.parametrize(
    ("make", "answer", "feedback", "outcome"),
    [
        (reviewed, {"human_feedback": "kinder"}, "kinder", None),
        (reviewed, APPROVE, "", None),
        (lambda: routed(*OUTCOMES, llm=ScriptedModel()), {"option_ids": ["rejected"]}, "rejected", "rejected"),
    ],
    ids=["respond", "approve", "choose"],
)
def test_crewais_own_two_events_are_on_the_bus_once_each_with_our_request_id(
    person: People,
    heard: queue.Queue[Any],
    kickoff: Kickoff,
    make: Callable[[], Any],
    *,
    answer: dict[str, Any],
    feedback: str,
    outcome: str | None,
) -> None:
    reader, flow = person(in_turn([answer])), make()
    kickoff(flow)
    requested, received = _heard(heard)
    assert requested.request_id == received.request_id == reader.asked[0]["request_id"]
    assert (requested.flow_name, requested.method_name) == (type(flow).__name__, "work")
    assert (requested.output, requested.message) == ("draft", "Ship it?")
    assert requested.emit == (None if outcome is None else list(OUTCOMES))
    assert (received.flow_name, received.method_name) == (type(flow).__name__, "work")
    assert (received.feedback, received.outcome) == (feedback, outcome)


# Outputs that are hard to show


class Odd(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Any


@both_roads
@pytest.mark.parametrize(
    "make",
    [
        object,
        lambda: {"set": {1}, "thing": object()},
        lambda: "half \ud800",
        lambda: "x" * 300_000,
        lambda: Odd(thing=object()),
        lambda: Odd(thing="half \ud800"),
        lambda: Odd(thing=b"\xff"),
    ],
    ids=["an object", "a dict", "half a pair", "long", "a model of an object", "a model of half a pair", "of bytes"],
)
def test_whatever_a_method_returns_can_be_reviewed(person: People, kickoff: Kickoff, make: Callable[[], Any]) -> None:
    output, reader = make(), person(in_turn([APPROVE]))
    assert kickoff(reviewed(output)).output is output
    assert len(reader.asked) == 1
    assert reader.asked[0]["context"]


# Several at once


def test_two_methods_that_start_together_are_asked_together_and_each_gets_its_own_answer(
    person: People, aside: Callable[..., Future[Any]]
) -> None:
    class Pair(Flow[dict[str, Any]]):
        @start()
        @human_feedback(message="First?")
        def one(self) -> str:
            return "first draft"

        @start()
        @human_feedback(message="Second?")
        async def other(self) -> str:
            return "second draft"

    reader, flow = person(leave), Pair(suppress_flow_events=True)
    running = aside(flow.kickoff)
    reader.wait_until(lambda it: len(it.asked) == 2)
    for asked in reversed(reader.asked):  # both are open; the later one is answered first
        reader.answer(asked["request_id"], human_feedback=f"for {asked['context']}")
    running.result(LONGEST)
    said = {one.method_name: (one.output, one.feedback) for one in flow.human_feedback_history}
    assert said == {"one": ("first draft", "for first draft"), "other": ("second draft", "for second draft")}
    assert len({one["execution_id"] for one in reader.asked}) == 1
    assert len({one["task_id"] for one in reader.asked}) == 2


def test_flows_that_wait_hold_no_thread(person: People, aside: Callable[..., Future[Any]]) -> None:
    """Thirty wait where two threads serve the whole loop; if each held one, the third would not be asked."""
    flows, workers = 30, 2

    async def run_all() -> list[Any]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(workers))
        many = (reviewed(f"draft {number}") for number in range(flows))
        return await asyncio.gather(*(flow.kickoff_async() for flow in many))

    reader, before = person(leave), threading.active_count()
    running = aside(lambda: asyncio.run(run_all()))
    reader.wait_until(lambda it: len(it.asked) == flows)
    assert threading.active_count() - before < flows  # the loop's own, and those of crewAI's bus and of the store
    for asked in reversed(reader.asked):
        reader.answer(asked["request_id"], human_feedback=f"for {asked['context']}")
    assert [one.feedback for one in running.result(LONGEST)] == [f"for draft {number}" for number in range(flows)]


async def test_a_flow_waits_on_the_loop_of_a_host_without_stopping_it() -> None:
    server = HumanInputServer(api_key=KEY, store=":memory:", quiet=True)
    road = httpx.ASGITransport(create_app(server))
    try:
        async with httpx.AsyncClient(
            transport=road, base_url="http://host", headers={"Authorization": f"Bearer {KEY}"}
        ) as client:
            running = asyncio.create_task(reviewed().kickoff_async())
            async with asyncio.timeout(LONGEST):
                page = (await client.get("/poll/human-input", params={"wait": "5"})).raise_for_status().json()
                url = f"/requests/{page['events'][0]['request_id']}/answer"
                (await client.post(url, json={"human_feedback": "kinder"})).raise_for_status()
                assert (await running).feedback == "kinder"
    finally:
        server.stop()


# What the user set up


def _from_the_server(asked: dict[str, Any]) -> dict[str, Any]:
    """Answers at once, so that a flow that asks here too does not wait."""
    return {"human_feedback": "from the server"}


@both_roads
@pytest.mark.parametrize("make", [reviewed, lambda **own: routed(*OUTCOMES, llm=_rejecting(), **own)])
def test_a_provider_that_the_user_gave_the_method_is_left_alone(
    person: People, kickoff: Kickoff, make: Callable[..., Any]
) -> None:
    own, reader = Own(), person(_from_the_server)
    flow = make(provider=own)
    kickoff(flow)
    assert flow.last_human_feedback.feedback == "own"
    assert own.asked == 1
    assert reader.asked == []


@both_roads
@pytest.mark.parametrize("when", ["before the server", "while it runs"])
def test_a_provider_that_the_user_gave_the_process_is_left_alone_and_stays(
    serve: Callable[..., HumanInputServer], hitl: Callable[[Any], None], kickoff: Kickoff, when: str
) -> None:
    own = Own()
    if when == "before the server":
        hitl(own)
    server = serve(adapters=True)
    if when == "while it runs":
        hitl(own)
    with Person(server.url, _from_the_server, gone=server.stop) as reader:
        assert kickoff(reviewed()).feedback == "own"
    server.stop()
    assert flow_config.hitl_provider is own
    assert kickoff(reviewed()).feedback == "own"
    assert own.asked == 2
    assert reader.asked == []


def _rejecting() -> ScriptedModel:
    return ScriptedModel(lambda number, feedback: "rejected")


# No server


def test_the_providers_of_the_process_are_as_before_after_the_server_stops(
    serve: Callable[..., HumanInputServer],
) -> None:
    before = (flow_config.hitl_provider, flow_config.input_provider)
    server = serve(adapters=True)
    assert None not in (flow_config.hitl_provider, flow_config.input_provider)
    server.stop()
    assert (flow_config.hitl_provider, flow_config.input_provider) == before == (None, None)


@both_roads
@pytest.mark.parametrize("line", ["kinder", ""])
@pytest.mark.parametrize("server_was", ["never there", "made", "stopped"])
def test_without_a_server_the_console_reviews_as_ever(
    serve: Callable[..., HumanInputServer],
    console: Console,
    heard: queue.Queue[Any],
    kickoff: Kickoff,
    line: str,
    *,
    server_was: str,
) -> None:
    server = {
        "never there": lambda: None,
        "made": lambda: HumanInputServer(port=0, quiet=True),  # it stands by
        "stopped": lambda: serve(adapters=True).stop(),
    }[server_was]()
    console.feed(line)
    result = kickoff(reviewed())
    assert (result.output, result.feedback, result.outcome) == ("draft", line, None)
    assert console.reads == 1
    requested, received = _heard(heard)
    assert (requested.request_id, received.request_id, received.feedback) == (None, None, line)
    if server is not None:
        server.stop()


@both_roads
@pytest.mark.parametrize(
    ("line", "outcome", "calls"), [("oh no", "rejected", 1), ("approved", "rejected", 1), ("", "approved", 0)]
)
@pytest.mark.parametrize("was_there", [False, True])
def test_without_a_server_every_text_for_an_outcome_costs_a_model_call_as_ever(
    serve: Callable[..., HumanInputServer],
    console: Console,
    kickoff: Kickoff,
    line: str,
    outcome: str,
    *,
    calls: int,
    was_there: bool,
) -> None:
    """The model here understands everything as `rejected`; crewAI asks it even where a line equals an outcome."""
    if was_there:
        serve(adapters=True).stop()
    model = _rejecting()
    flow = routed(*OUTCOMES, llm=model)
    console.feed(line)
    kickoff(flow)
    assert flow.routes == [outcome]
    assert (model.calls, console.reads) == (calls, 1)
