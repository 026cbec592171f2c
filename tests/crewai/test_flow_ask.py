"""`Flow.ask`: its answers, its timeout, what it leaves behind; the user's own set-up; the console; a host's loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from crewai.events import crewai_event_bus
from crewai.events.types.flow_events import FlowInputReceivedEvent, FlowInputRequestedEvent
from crewai.flow.flow import Flow, listen, start
from crewai.flow.flow_config import flow_config
from crewai.flow.input_provider import InputResponse

from sayso import HumanInputServer, create_app
from sayso.adapters.crewai import install
from sayso.errors import WouldBlock
from tests.conftest import KEY
from tests.crewai.conftest import Console
from tests.crewai.person import LONGEST, Person, in_turn, leave
from tests.crewai.points import asking
from tests.crewai.roads import Kickoff, both_roads

People = Callable[..., Person]
RAIN = {"human_feedback": "rain"}

both_methods = pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])


class Own:
    """A provider of the user's."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def request_input(self, message: str, flow: Any, metadata: dict[str, Any] | None = None) -> InputResponse:
        self.asked.append((message, metadata))
        return InputResponse(text="own", metadata={"mine": True})


@pytest.fixture
def input_provider() -> Iterator[Callable[[Any], None]]:
    """Sets the provider of the whole process, as a user does; puts back what was there."""
    former = flow_config.input_provider

    def put(provider: Any) -> None:
        flow_config.input_provider = provider

    yield put
    flow_config.input_provider = former


@both_methods
@both_roads
def test_each_answer_reaches_the_question_it_is_to(person: People, kickoff: Kickoff, is_async: bool) -> None:
    reader = person(lambda asked: {"human_feedback": f"my {asked['prompt']}"})
    assert kickoff(asking("topic", "tone", "length", is_async=is_async)) == ["my topic", "my tone", "my length"]
    assert [one["prompt"] for one in reader.asked] == ["topic", "tone", "length"]
    assert {(one["kind"], *one["allow"]) for one in reader.asked} == {("question", "respond")}
    assert [one["deadline"] for one in reader.asked] == [None] * 3
    assert len({one["execution_id"] for one in reader.asked}) == 1


@both_roads
def test_sync_and_async_methods_of_one_flow_ask(person: People, kickoff: Kickoff) -> None:
    class Mixed(Flow[dict[str, Any]]):
        @start()
        def topic(self) -> str | None:
            return self.ask("Topic?")

        @listen(topic)
        async def tone(self, topic: str) -> list[str | None]:
            return [topic, self.ask("Tone?", timeout=LONGEST)]

    reader = person(in_turn([RAIN, {"human_feedback": "dry"}]))
    assert kickoff(Mixed(suppress_flow_events=True)) == ["rain", "dry"]
    assert [one["context_data"] for one in reader.asked] == [
        {"flow": "Mixed", "method": method} for method in ("topic", "tone")
    ]
    assert len({one["task_id"] for one in reader.asked}) == 2
    assert len({one["crew_id"] for one in reader.asked}) == 1


@both_methods
@pytest.mark.parametrize("timeout", [None, LONGEST])
def test_a_blank_answer_is_an_empty_text_and_not_none(person: People, is_async: bool, timeout: float | None) -> None:
    person(in_turn([{"human_feedback": ""}]))
    assert asking("Topic?", is_async=is_async, timeout=timeout).kickoff() == [""]


def test_two_methods_that_start_together_are_asked_together_and_each_gets_its_own_answer(
    person: People, aside: Callable[..., Future[Any]]
) -> None:
    class Pair(Flow[dict[str, Any]]):
        @start()
        def one(self) -> None:
            self.state["one"] = self.ask("First?")

        @start()
        def other(self) -> None:
            self.state["other"] = self.ask("Second?", timeout=LONGEST)

    reader, flow = person(leave), Pair(suppress_flow_events=True)
    running = aside(flow.kickoff)
    reader.wait_until(lambda it: len(it.asked) == 2)
    for asked in reversed(reader.asked):  # both are open; the later one is answered first
        reader.answer(asked["request_id"], human_feedback=f"for {asked['prompt']}")
    running.result(LONGEST)
    assert (flow.state["one"], flow.state["other"]) == ("for First?", "for Second?")


@pytest.mark.parametrize("timeout", [None, LONGEST])
def test_metadata_arrives_with_the_request_as_far_as_json_can_hold_it(person: People, timeout: float | None) -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    metadata = {"user": "u1", "channels": ["#a"], "when": datetime(2030, 1, 31), "odd": Odd()}
    reader, flow = person(in_turn([RAIN])), asking("Topic?", metadata=metadata, timeout=timeout)
    assert flow.kickoff() == ["rain"]
    assert reader.asked[0]["metadata"] == {
        "user": "u1",
        "channels": ["#a"],
        "when": "2030-01-31T00:00:00",
        "odd": "odd",
    }
    assert flow._input_history[0]["metadata"] == metadata


@pytest.mark.parametrize("make", [lambda: _nested(500), lambda: {"text": "x" * 2_000_000}, lambda: {"half": "\ud800"}])
def test_metadata_that_no_request_can_hold_is_left_out(person: People, make: Callable[[], dict[str, Any]]) -> None:
    reader = person(in_turn([RAIN]))
    assert asking("Topic?", metadata=make()).kickoff() == ["rain"]
    assert reader.asked[0]["metadata"] == {}


def _nested(depth: int) -> dict[str, Any]:
    return {"in": _nested(depth - 1)} if depth else {}


@pytest.mark.parametrize("message", ["", " \n", "x" * 300_000, "half \ud800"])
def test_a_message_that_no_prompt_can_be_is_asked_all_the_same(person: People, message: str) -> None:
    reader = person(in_turn([RAIN]))
    assert asking(message).kickoff() == ["rain"]
    assert reader.asked[0]["prompt"].strip()


# Timeouts


def test_the_timeout_is_the_deadline_of_the_request(person: People, client: httpx.Client) -> None:
    found: list[dict[str, Any]] = []

    def look_and_answer(asked: dict[str, Any]) -> dict[str, Any]:
        found.append(client.get(f"/requests/{asked['request_id']}").json())
        return RAIN

    person(look_and_answer)
    assert asking("Topic?", timeout=90).kickoff() == ["rain"]
    created, deadline = (datetime.fromisoformat(found[0][name]) for name in ("created_at", "deadline"))
    assert abs(deadline - created - timedelta(seconds=90)) < timedelta(seconds=1)
    assert found[0]["on_timeout"] == "cancel"


@both_methods
@both_roads
@pytest.mark.parametrize("timeout", [0, 0.2])
def test_at_the_timeout_ask_gives_none_and_releases_its_thread_and_a_later_answer_is_refused(
    server: HumanInputServer, client: httpx.Client, kickoff: Kickoff, is_async: bool, *, timeout: float
) -> None:
    waiting: list[threading.Thread] = []

    def prepare(question: Any, context: Any) -> Any:
        waiting.append(threading.current_thread())
        return question

    undo, flow = install(server, prepare), asking("Topic?", is_async=is_async, timeout=timeout)
    assert kickoff(flow) == [None]
    undo()
    (thread,) = waiting
    assert thread is not threading.current_thread()
    thread.join(LONGEST)
    assert not thread.is_alive()
    (told,) = flow._input_history
    assert told["response"] is None
    request_id = told["response_metadata"]["request_id"]
    settled = client.get(f"/requests/{request_id}").json()
    assert (settled["status"], settled["settled_by"]) == ("cancelled", "system:deadline")
    late = client.post(f"/requests/{request_id}/answer", json=RAIN)
    assert (late.status_code, late.json()["request"]["status"]) == (409, "cancelled")


def test_the_timeout_of_one_question_is_not_the_next_ones(person: People) -> None:
    class Two(Flow[dict[str, Any]]):
        @start()
        def work(self) -> list[str | None]:
            return [self.ask("Topic?", timeout=LONGEST), self.ask("Tone?")]

    reader = person(in_turn([RAIN, RAIN]))
    assert Two(suppress_flow_events=True).kickoff() == ["rain", "rain"]
    assert [one["deadline"] is None for one in reader.asked] == [False, True]


# What it leaves behind


@both_methods
@pytest.mark.parametrize("timeout", [None, LONGEST])
def test_the_history_of_the_flow_says_which_request_it_was_and_who_answered(
    person: People, is_async: bool, timeout: float | None
) -> None:
    reader, flow = person(in_turn([RAIN])), asking("Topic?", is_async=is_async, timeout=timeout, metadata={"user": 1})
    assert flow.kickoff() == ["rain"]
    (told,) = flow._input_history
    assert (told["message"], told["response"], told["method_name"]) == ("Topic?", "rain", "work")
    assert told["metadata"] == {"user": 1}
    assert told["response_metadata"]["request_id"] == reader.asked[0]["request_id"]
    assert told["response_metadata"]["by"] == "key:default"


def test_crewais_own_two_events_are_on_the_bus_once_each(person: People) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(FlowInputRequestedEvent)
        def requested(source: Any, event: FlowInputRequestedEvent) -> None:
            heard.put(event)

        @crewai_event_bus.on(FlowInputReceivedEvent)
        def received(source: Any, event: FlowInputReceivedEvent) -> None:
            heard.put(event)

        reader = person(in_turn([RAIN]))
        asking("Topic?", timeout=LONGEST).kickoff()
        events = {event.type: event for event in (heard.get(timeout=LONGEST) for _ in range(2))}
        assert crewai_event_bus.flush(LONGEST)
    assert heard.empty()
    assert set(events) == {"flow_input_requested", "flow_input_received"}
    assert events["flow_input_received"].response == "rain"
    told = events["flow_input_received"].response_metadata
    assert told["request_id"] == reader.asked[0]["request_id"]


# No answer


@both_methods
@both_roads
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_cancelled_question_gives_none(
    person: People, client: httpx.Client, kickoff: Kickoff, is_async: bool, *, timeout: float | None
) -> None:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel").raise_for_status()

    reader, flow = person(cancel), asking("Topic?", is_async=is_async, timeout=timeout)
    assert kickoff(flow) == [None]
    (told,) = flow._input_history
    assert told["response"] is None
    assert told["response_metadata"]["request_id"] == reader.asked[0]["request_id"]


@both_methods
@both_roads
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_question_that_waits_when_the_server_stops_gives_none_and_the_flow_goes_on(
    server: HumanInputServer,
    person: People,
    aside: Callable[..., Future[Any]],
    caplog: pytest.LogCaptureFixture,
    kickoff: Kickoff,
    *,
    is_async: bool,
    timeout: float | None,
) -> None:
    reader = person(leave)
    running = aside(kickoff, asking("Topic?", is_async=is_async, timeout=timeout))
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert running.result(LONGEST) == [None]
    assert "has no answer: " in caplog.text


# What the user set up


def _from_the_server(asked: dict[str, Any]) -> dict[str, Any]:
    """Answers at once, so that a flow that asks here too does not wait."""
    return {"human_feedback": "from the server"}


@both_methods
@both_roads
@pytest.mark.parametrize("timeout", [None, LONGEST])
def test_a_provider_that_the_user_gave_the_flow_is_left_alone(
    person: People, kickoff: Kickoff, is_async: bool, *, timeout: float | None
) -> None:
    own, reader = Own(), person(_from_the_server)
    flow = asking("Topic?", is_async=is_async, timeout=timeout, metadata={"user": 1})
    flow.input_provider = own
    assert kickoff(flow) == ["own"]
    assert own.asked == [("Topic?", {"user": 1})]
    assert flow._input_history[0]["response_metadata"] == {"mine": True}
    assert reader.asked == []


@both_roads
@pytest.mark.parametrize("when", ["before the server", "while it runs"])
def test_a_provider_that_the_user_gave_the_process_is_left_alone_and_stays(
    serve: Callable[..., HumanInputServer], input_provider: Callable[[Any], None], kickoff: Kickoff, when: str
) -> None:
    own = Own()
    if when == "before the server":
        input_provider(own)
    server = serve(adapters=True)
    if when == "while it runs":
        input_provider(own)
    with Person(server.url, _from_the_server, gone=server.stop) as reader:
        assert kickoff(asking("Topic?")) == ["own"]
    server.stop()
    assert flow_config.input_provider is own
    assert kickoff(asking("Topic?")) == ["own"]
    assert len(own.asked) == 2
    assert reader.asked == []


# No server


@both_methods
@both_roads
@pytest.mark.parametrize("timeout", [None, LONGEST])
@pytest.mark.parametrize("server_was", ["never there", "made", "stopped"])
def test_without_a_server_the_console_is_asked_as_ever(
    serve: Callable[..., HumanInputServer],
    console: Console,
    kickoff: Kickoff,
    is_async: bool,
    *,
    timeout: float | None,
    server_was: str,
) -> None:
    server = {
        "never there": lambda: None,
        "made": lambda: HumanInputServer(port=0, quiet=True),  # it stands by
        "stopped": lambda: serve(adapters=True).stop(),
    }[server_was]()
    console.feed(" rain ")
    flow = asking("Topic?", is_async=is_async, timeout=timeout)
    assert kickoff(flow) == ["rain"]
    assert console.reads == 1
    assert flow._input_history[0]["response_metadata"] is None
    if server is not None:
        server.stop()


@pytest.mark.parametrize("way", ["server", "none"])
def test_without_a_server_the_timeout_is_crewais_own(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The console is read for longer than the flow waits."""
    if way == "server":
        serve(adapters=True).stop()
    released = threading.Event()
    monkeypatch.setattr("builtins.input", lambda *prompt: released.wait(LONGEST) and "late")
    flow = asking("Topic?", timeout=0.1)
    try:
        assert flow.kickoff() == [None]
    finally:
        released.set()


# The loop of a host


@pytest.fixture
def mounted() -> Iterator[httpx.ASGITransport]:
    """A server whose answers come in over the loop of the test."""
    server = HumanInputServer(api_key=KEY, store=":memory:", quiet=True)
    guard = threading.Timer(LONGEST, server.stop)  # ends a wait that blocks the very loop of the test
    guard.start()
    yield httpx.ASGITransport(create_app(server))
    guard.cancel()
    server.stop()


@pytest.mark.parametrize("patience", [None, 60])
async def test_a_question_that_would_block_the_hosts_loop_gives_none_at_once_and_its_log_says_why(
    mounted: httpx.ASGITransport, caplog: pytest.LogCaptureFixture, patience: float | None
) -> None:
    flow = asking("Topic?", is_async=True, timeout=patience)
    async with asyncio.timeout(LONGEST):
        assert await flow.kickoff_async() == [None]
    assert WouldBlock().detail in caplog.text
    assert "asyncio.to_thread" in caplog.text
    async with httpx.AsyncClient(transport=mounted, base_url="http://host", headers=_HEADERS) as client:
        assert (await client.get("/requests")).json()["requests"] == []


async def test_a_provider_that_the_user_gave_the_flow_is_asked_on_the_hosts_loop_too(
    mounted: httpx.ASGITransport,
) -> None:
    flow = asking("Topic?", is_async=True)
    flow.input_provider = Own()
    assert await flow.kickoff_async() == ["own"]


@pytest.mark.parametrize("patience", [None, LONGEST])
async def test_a_sync_method_asks_beside_the_loop_of_its_host(
    mounted: httpx.ASGITransport, patience: float | None
) -> None:
    async with httpx.AsyncClient(transport=mounted, base_url="http://host", headers=_HEADERS) as client:
        running = asyncio.create_task(asking("Topic?", timeout=patience).kickoff_async())
        async with asyncio.timeout(LONGEST):
            page = (await client.get("/poll/human-input", params={"wait": "5"})).raise_for_status().json()
            request_id = page["events"][0]["request_id"]
            (await client.post(f"/requests/{request_id}/answer", json=RAIN)).raise_for_status()
            assert await running == ["rain"]


_HEADERS = {"Authorization": f"Bearer {KEY}"}
