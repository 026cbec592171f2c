"""Without a server the console is crewAI's own, untouched; and what the user set up stays the user's."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from crewai.core.providers.human_input import SyncHumanInputProvider, set_provider
from crewai.hooks import (
    HookAborted,
    InterceptionPoint,
    clear_all_hooks,
    get_hooks,
    register_hook,
    unregister_hook,
)

from sayso import HumanInputServer, human_input_server
from sayso.asker import Asked, Asker
from sayso.errors import PortTaken, StoreFailed, StoreInUse
from sayso.gateway import Gateway
from sayso.model import Question
from sayso.runtime import Runtime
from tests.conftest import KEY
from tests.crewai.conftest import Console
from tests.crewai.person import LONGEST, Person, revise_once
from tests.crewai.roads import Kickoff, both_roads
from tests.crewai.scripted import ScriptedModel, a_crew, draft

REVISED = "draft 2 with: shorter"
Serve = Callable[..., HumanInputServer]


def test_the_console_is_the_same_without_sayso_with_it_and_after_a_server() -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.crewai.console_runs"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    phases = json.loads(ran.stdout.rpartition("RESULT ")[2])
    asked_twice = {"result": REVISED, "input": 2, "prompts": 0}
    assert phases["never imported"] == {
        "main thread": asked_twice,
        "plain thread": asked_twice,
        "kickoff_async": asked_twice,
        "akickoff": {"result": "draft 1", "input": 0, "prompts": 1},
    }
    assert phases["imported"] == phases["never imported"]
    assert phases["after a server"] == phases["never imported"]


class _Own(SyncHumanInputProvider):
    """A provider of the user's."""

    def __init__(self) -> None:
        self.asked = 0

    def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:
        self.asked += 1
        return formatted_answer

    async def handle_feedback_async(self, formatted_answer: Any, context: Any) -> Any:
        return self.handle_feedback(formatted_answer, context)


@both_roads
def test_a_provider_that_the_user_set_is_left_alone(
    server: HumanInputServer, person: Callable[..., Person], kickoff: Kickoff
) -> None:
    own, reader = _Own(), person(revise_once())

    def run() -> str:
        set_provider(own)
        return str(kickoff(a_crew(ScriptedModel())).raw)

    assert contextvars.copy_context().run(run) == "draft 1"
    assert own.asked == 1
    assert reader.asked == []


@pytest.fixture
def taken(serve: Serve) -> HumanInputServer:
    """A server that has a port and a store, and asks for nobody."""
    return serve(adapters=False)


class Starting(NamedTuple):
    """How far a server is that starts: it asks for crews; it was asked."""

    asks: threading.Event
    asked: threading.Event


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch) -> Starting:
    """Every server that starts takes questions, and does not go on before it has one."""
    starting = Starting(threading.Event(), threading.Event())
    install, bind, submit = human_input_server.install_adapters, human_input_server.bind, Runtime.submit

    def install_and_tell(asker: Asker) -> Any:
        undo = install(asker)
        starting.asks.set()
        return undo

    def bind_once_asked(host: str, port: int) -> Any:
        assert starting.asked.wait(LONGEST)
        return bind(host, port)

    def submit_and_tell(runtime: Runtime, question: Question) -> Asked:
        asked = submit(runtime, question)
        starting.asked.set()
        return asked

    monkeypatch.setattr(human_input_server, "install_adapters", install_and_tell)
    monkeypatch.setattr(human_input_server, "bind", bind_once_asked)
    monkeypatch.setattr(Runtime, "submit", submit_and_tell)
    return starting


@both_roads
@pytest.mark.parametrize("fault", [PortTaken, StoreInUse])
def test_a_start_that_fails_sends_a_waiting_crew_to_the_console(
    taken: HumanInputServer,
    starting: Starting,
    console: Console,
    kickoff: Kickoff,
    *,
    aside: Callable[..., Future[Any]],
    fault: type[Exception],
) -> None:
    console.feed("shorter", "")
    port = int(taken.url.rpartition(":")[2]) if fault is PortTaken else 0
    store = taken._store if fault is StoreInUse else ":memory:"
    started = aside(HumanInputServer(port=port, api_key=KEY, store=store, quiet=True).start)
    assert starting.asks.wait(LONGEST)
    assert aside(kickoff, a_crew(ScriptedModel())).result(LONGEST).raw == REVISED
    assert starting.asked.is_set()
    assert isinstance(started.exception(LONGEST), fault)
    assert console.reads == 2


@both_roads
def test_a_server_that_stops_while_the_agent_revises_leaves_the_rest_to_the_console(
    server: HumanInputServer, person: Callable[..., Person], console: Console, kickoff: Kickoff
) -> None:
    def write(number: int, feedback: str) -> str:
        if number == 2:
            server.stop()
        return draft(number, feedback)

    model, reader = ScriptedModel(write), person(revise_once())
    console.feed("kinder", "")
    assert kickoff(a_crew(model)).raw == "draft 3 with: kinder"
    assert len(reader.asked) == 1
    assert console.reads == 2
    assert model.calls == 3


@both_roads
def test_a_store_that_fails_while_a_person_is_asked_does_not_send_the_question_to_the_console_too(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch, kickoff: Kickoff
) -> None:
    async def fail(gateway: Gateway, request_id: str, *, wait: float | None) -> Any:
        raise StoreFailed

    monkeypatch.setattr(Gateway, "settled", fail)
    with pytest.raises(HookAborted):
        kickoff(a_crew(ScriptedModel()))


def test_a_new_server_asks_after_all_hooks_were_cleared(serve: Serve, server: HumanInputServer) -> None:
    clear_all_hooks()
    later = serve(adapters=True)
    with Person(later.url, revise_once(), gone=later.stop) as reader:
        assert a_crew(ScriptedModel()).kickoff().raw == REVISED
    assert len(reader.asked) == 2


@both_roads
def test_the_latest_server_asks_and_stopping_it_restores_the_former(
    serve: Serve, server: HumanInputServer, person: Callable[..., Person], kickoff: Kickoff
) -> None:
    latest = serve(adapters=True)
    former_reader = person(revise_once("by the former"))
    with Person(latest.url, revise_once("by the latest"), gone=latest.stop) as latest_reader:
        assert kickoff(a_crew(ScriptedModel())).raw == "draft 2 with: by the latest"
    assert (len(former_reader.asked), len(latest_reader.asked)) == (0, 2)
    latest.stop()
    assert kickoff(a_crew(ScriptedModel())).raw == "draft 2 with: by the former"
    assert (len(former_reader.asked), len(latest_reader.asked)) == (2, 2)


@both_roads
def test_stopping_the_former_server_leaves_the_latest_in_charge(
    serve: Serve, server: HumanInputServer, kickoff: Kickoff
) -> None:
    latest = serve(adapters=True)
    server.stop()
    with Person(latest.url, revise_once(), gone=latest.stop) as reader:
        assert kickoff(a_crew(ScriptedModel())).raw == REVISED
    assert len(reader.asked) == 2


@both_roads
def test_the_former_server_takes_over_when_the_latest_stops_while_the_agent_revises(
    serve: Serve, server: HumanInputServer, person: Callable[..., Person], kickoff: Kickoff
) -> None:
    latest = serve(adapters=True)

    def write(number: int, feedback: str) -> str:
        if number == 2:
            latest.stop()
        return draft(number, feedback)

    former_reader = person(revise_once())
    with Person(latest.url, revise_once(), gone=latest.stop):
        assert kickoff(a_crew(ScriptedModel(write))).raw == REVISED
    assert [one["context"] for one in former_reader.asked] == [REVISED]


def test_hooks_of_the_user_still_run_and_ours_is_gone_after_stop(serve: Serve) -> None:
    ran: list[str] = []

    def hook(context: Any) -> None:
        ran.append(context.kind)

    register_hook(InterceptionPoint.PRE_STEP, hook)
    try:
        before = get_hooks(InterceptionPoint.PRE_STEP)
        server = serve(adapters=True)
        with Person(server.url, revise_once(), gone=server.stop) as reader:
            assert a_crew(ScriptedModel()).kickoff().raw == REVISED
            assert len(get_hooks(InterceptionPoint.PRE_STEP)) == len(before) + 1
            server.stop()
        assert len(reader.asked) == 2
        assert ran == ["task"]
        assert get_hooks(InterceptionPoint.PRE_STEP) == before
    finally:
        unregister_hook(InterceptionPoint.PRE_STEP, hook)
