"""Wherever a crew is kicked off, all its questions go to the server, and none to the console."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from crewai import Crew, Process
from crewai.flow.flow import Flow, start
from fastapi import FastAPI

from sayso import HumanInputServer, create_app
from sayso.adapters.crewai import Unanswered
from tests.conftest import KEY
from tests.crewai.person import APPROVE, LONGEST, Person, leave, revise_once
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

People = Callable[..., Person]
REVISED = "draft 2 with: shorter"
INPUTS = [{"topic": "rain"}, {"topic": "snow"}]


def _main_thread(crew: Crew) -> list[str]:
    return [crew.kickoff().raw]


def _plain_thread(crew: Crew) -> list[str]:
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(crew.kickoff().raw), daemon=True)
    thread.start()
    thread.join(LONGEST)
    return results


def _thread_pool(crew: Crew) -> list[str]:
    with ThreadPoolExecutor(1) as pool:
        return [pool.submit(crew.kickoff).result(LONGEST).raw]


def _awaited(road: Callable[[Crew], Awaitable[Any]]) -> Callable[[Crew], list[str]]:
    def run(crew: Crew) -> list[str]:
        async def main() -> list[str]:
            async with asyncio.timeout(LONGEST):
                result = await road(crew)
            return [one.raw for one in result] if isinstance(result, list) else [result.raw]

        return asyncio.run(main())

    return run


async def _in_executor(crew: Crew) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, crew.kickoff)


async def _in_thread(crew: Crew) -> Any:
    return await asyncio.to_thread(crew.kickoff)


def _in_sync_flow(crew: Crew) -> list[str]:
    class Steps(Flow[dict[str, Any]]):
        @start()
        def work(self) -> str:
            return str(crew.kickoff().raw)

    return [Steps(suppress_flow_events=True).kickoff()]


def _in_async_flow(crew: Crew) -> list[str]:
    class Steps(Flow[dict[str, Any]]):
        @start()
        async def work(self) -> str:
            return str((await crew.akickoff()).raw)

    return [asyncio.run(Steps(suppress_flow_events=True).kickoff_async())]


ONCE = {
    "the main thread": _main_thread,
    "a plain thread": _plain_thread,
    "a ThreadPoolExecutor": _thread_pool,
    "loop.run_in_executor": _awaited(_in_executor),
    "asyncio.to_thread": _awaited(_in_thread),
    "kickoff_async": _awaited(lambda crew: crew.kickoff_async()),
    "akickoff": _awaited(lambda crew: crew.akickoff()),
    "a sync Flow method": _in_sync_flow,
    "an async Flow method": _in_async_flow,
}
FOR_EACH = {
    "kickoff_for_each": lambda crew: [one.raw for one in crew.kickoff_for_each(inputs=INPUTS)],
    "kickoff_for_each_async": _awaited(lambda crew: crew.kickoff_for_each_async(inputs=INPUTS)),
    "akickoff_for_each": _awaited(lambda crew: crew.akickoff_for_each(inputs=INPUTS)),
}
SYNC_AND_ASYNC = {name: ONCE[name] for name in ("the main thread", "a plain thread", "kickoff_async", "akickoff")}


def each_of(ways: dict[str, Callable[[Crew], list[str]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("run", ways.values(), ids=ways.keys())


@each_of(ONCE)
def test_a_crew_asks_the_server_from(person: People, run: Callable[[Crew], list[str]]) -> None:
    model, reader = ScriptedModel(), person(revise_once())
    assert run(a_crew(model)) == [REVISED]
    assert [one["round"] for one in reader.asked] == [1, 2]
    assert model.calls == 2


@each_of(ONCE)
def test_a_second_run_in_the_same_place_asks_again_from(person: People, run: Callable[[Crew], list[str]]) -> None:
    crew, reader = a_crew(ScriptedModel()), person(revise_once())
    assert run(crew) + run(crew) == [REVISED] * 2
    assert [one["round"] for one in reader.asked] == [1, 2, 1, 2]
    assert len({one["execution_id"] for one in reader.asked}) == 2


@each_of(FOR_EACH)
def test_a_crew_asks_for_each_input_with(person: People, run: Callable[[Crew], list[str]]) -> None:
    reader = person(revise_once())
    assert run(a_crew(ScriptedModel(), description="Write of {topic}")) == [REVISED] * 2
    assert sorted(one["title"] for one in reader.asked) == ["Write of rain"] * 2 + ["Write of snow"] * 2
    assert len({one["crew_id"] for one in reader.asked}) == 2
    assert len({one["request_id"] for one in reader.asked}) == 4


@each_of(SYNC_AND_ASYNC)
def test_only_the_task_that_wants_a_person_asks_from(person: People, run: Callable[[Crew], list[str]]) -> None:
    writer, reader = an_agent(ScriptedModel()), person(revise_once())
    names = ("before", "reviewed", "after")
    tasks = [a_task(writer, name=name, human_input=name == "reviewed") for name in names]
    assert run(Crew(agents=[writer], tasks=tasks)) == ["draft 1"]
    assert [one["title"] for one in reader.asked] == ["reviewed", "reviewed"]
    assert tasks[1].output is not None
    assert tasks[1].output.raw == REVISED


@each_of(SYNC_AND_ASYNC)
def test_an_async_task_asks_from(person: People, run: Callable[[Crew], list[str]]) -> None:
    reader = person(revise_once())
    assert run(a_crew(ScriptedModel(), async_execution=True)) == [REVISED]
    assert len(reader.asked) == 2


@each_of(SYNC_AND_ASYNC)
@pytest.mark.parametrize("manager", ["manager_llm", "manager_agent"])
def test_a_hierarchical_crew_asks_from(person: People, run: Callable[[Crew], list[str]], manager: str) -> None:
    writer, model = an_agent(ScriptedModel()), ScriptedModel()
    boss = {"manager_llm": model, "manager_agent": an_agent(model, role="Boss")}[manager]
    crew = Crew(agents=[writer], tasks=[a_task(None)], process=Process.hierarchical, **{manager: boss})
    reader = person(revise_once())
    assert run(crew) == [REVISED]
    assert [one["context_data"]["agent"] for one in reader.asked] == [crew.manager_agent.role] * 2
    assert model.calls == 2


@each_of(SYNC_AND_ASYNC)
def test_two_parallel_tasks_have_two_open_requests_and_each_gets_its_own_answer(
    person: People, aside: Callable[..., Future[Any]], run: Callable[[Crew], list[str]]
) -> None:
    one, other, last = (an_agent(ScriptedModel(), role=role) for role in ("One", "Other", "Last"))
    pair = [a_task(agent, name=agent.role, async_execution=True) for agent in (one, other)]
    crew = Crew(agents=[one, other, last], tasks=[*pair, a_task(last, human_input=False)])
    reader = person(leave)
    running = aside(run, crew)
    for round in (1, 2):
        reader.wait_until(lambda it, asked=2 * round: len(it.asked) == asked)
        for asked in reversed(reader.asked[-2:]):  # both are open; the later one is answered first
            answer = {"human_feedback": f"for {asked['title']}"} if round == 1 else APPROVE
            reader.answer(asked["request_id"], **answer)
    assert running.result(LONGEST) == ["draft 1"]
    assert [task.output.raw for task in pair if task.output] == ["draft 2 with: for One", "draft 2 with: for Other"]
    assert {one["title"] for one in reader.asked[:2]} == {"One", "Other"}
    assert len({one["execution_id"] for one in reader.asked}) == 1
    answered = [one["request_id"] for one in reader.settled[:2]]
    assert answered == [one["request_id"] for one in reversed(reader.asked[:2])]


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))  # queues connections until uvicorn takes them
    served = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=served.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        served.should_exit = True
        thread.join(LONGEST)
        listener.close()


@pytest.mark.parametrize("handler", ["def", "async def"])
def test_a_crew_asks_from_a_fastapi_handler_beside_the_mounted_server(handler: str) -> None:
    server = HumanInputServer(api_key=KEY, store=":memory:", quiet=True)
    model, api = ScriptedModel(), FastAPI()
    api.mount("/sayso", create_app(server))

    def write() -> str:
        return str(a_crew(model).kickoff().raw)

    async def write_async() -> str:
        return str((await a_crew(model).akickoff()).raw)

    api.post("/write")(write if handler == "def" else write_async)
    try:
        with _served(api) as url, Person(f"{url}/sayso", revise_once(), gone=server.stop) as reader:
            assert httpx.post(f"{url}/write", timeout=LONGEST).json() == REVISED
    finally:
        server.stop()
    assert [one["round"] for one in reader.asked] == [1, 2]
    assert model.calls == 2


@pytest.mark.parametrize("run", [_main_thread, ONCE["akickoff"]], ids=["kickoff", "akickoff"])
def test_a_crew_whose_mounted_server_cannot_open_its_store_ends_and_its_log_says_why(
    serve: Callable[..., HumanInputServer],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    aside: Callable[..., Future[Any]],
    run: Callable[[Crew], list[str]],
) -> None:
    """Nobody sits at the console of a mounted server."""
    model, store = ScriptedModel(), f"sqlite:///{tmp_path / 'shared.db'}"
    serve(store=store)
    mounted = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True)
    create_app(mounted)
    try:
        ended = aside(run, a_crew(model)).exception(LONGEST)
    finally:
        mounted.stop()
    assert isinstance(ended, Unanswered)
    assert "is open in another process" in caplog.text
    assert model.calls == 1
