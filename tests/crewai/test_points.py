"""Every place where crewAI asks, from every place it can be run in: on the server, once each; without one, as ever."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from crewai.flow.flow import Flow
from crewai.hooks import LLMCallHookContext, ToolCallHookContext
from fastapi import FastAPI

from sayso import HumanInputServer
from tests.crewai.conftest import Console
from tests.crewai.person import LONGEST, Person, in_turn
from tests.crewai.points import POINTS, Point

People = Callable[..., Person]
Way = Callable[[Point], Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training writes into the working directory."""
    monkeypatch.chdir(tmp_path)


def _main_thread(point: Point) -> Any:
    return point.run()


def _plain_thread(point: Point) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(point.run()), daemon=True)
    thread.start()
    thread.join(LONGEST)
    return results[0]


def _thread_pool(point: Point) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(point.run).result(LONGEST)


def _in_a_loop(road: Callable[[Point], Awaitable[Any]]) -> Way:
    def run(point: Point) -> Any:
        async def main() -> Any:
            async with asyncio.timeout(LONGEST):
                return await road(point)

        return asyncio.run(main())

    return run


async def _awaited(point: Point) -> Any:
    assert point.arun is not None
    return await point.arun()


async def _to_thread(point: Point) -> Any:
    return await asyncio.to_thread(point.run)


def _endpoint(handler: Callable[[Point], Any]) -> Way:
    """Runs it in a handler of an application that uvicorn serves, in a thread, on a socket."""

    def run(point: Point) -> Any:
        api = FastAPI()
        api.post("/run", response_model=None)(handler(point))
        with _served(api) as url:
            return httpx.post(f"{url}/run", timeout=LONGEST).raise_for_status().json()

    return run


@contextmanager
def _served(api: FastAPI) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))  # queues connections until uvicorn takes them
    served = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off"))
    thread = threading.Thread(target=served.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        served.should_exit = True
        thread.join(LONGEST)
        listener.close()


SYNC: dict[str, Way] = {
    "the main thread": _main_thread,
    "a plain thread": _plain_thread,
    "a ThreadPoolExecutor": _thread_pool,
    "asyncio.to_thread": _in_a_loop(_to_thread),
    "a FastAPI def": _endpoint(lambda point: point.run),
}
ASYNC: dict[str, Way] = {
    "asyncio.run": _in_a_loop(_awaited),
    "a FastAPI async def": _endpoint(lambda point: point.arun),
}

each_point_from_each_place = pytest.mark.parametrize(
    ("point", "run"),
    [
        pytest.param(point, run, id=f"{name} from {place}")
        for name, point in POINTS.items()
        for place, run in (SYNC | (ASYNC if point.arun else {})).items()
    ],
)


@each_point_from_each_place
def test_it_asks_the_server_and_nobody_else(person: People, console: Console, point: Point, run: Way) -> None:
    reader = person(in_turn(point.answers))
    assert run(point) == point.outcome
    reader.wait_until(lambda it: len(it.settled) >= len(point.answers))
    assert [one["kind"] for one in reader.asked] == point.kinds
    assert [one["status"] for one in reader.settled] == ["answered"] * len(point.answers)
    assert [one["request_id"] for one in reader.settled] == [one["request_id"] for one in reader.asked]
    assert len({one["execution_id"] for one in reader.asked}) == 1
    assert console.reads == 0


@each_point_from_each_place
def test_without_a_server_it_asks_in_the_console_as_ever(console: Console, point: Point, run: Way) -> None:
    console.feed(*point.lines)
    assert run(point) == point.outcome
    assert console.reads == len(point.lines)


@pytest.mark.parametrize(
    ("name", "road"),
    [(name, road) for name, point in POINTS.items() for road in ("run", "arun") if getattr(point, road) is not None],
)
def test_after_the_server_has_stopped_it_asks_in_the_console_as_ever(
    server: HumanInputServer, person: People, console: Console, name: str, road: str
) -> None:
    """In the very place, and so the very context, in which it asked the server before."""
    point = POINTS[name]
    run = _main_thread if road == "run" else _in_a_loop(_awaited)
    reader = person(in_turn(point.answers))
    assert run(point) == point.outcome
    server.stop()
    console.feed(*point.lines)
    assert run(point) == point.outcome
    assert len(reader.asked) == len(point.answers)
    assert console.reads == len(point.lines)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Flow, "ask"),
        (ToolCallHookContext, "request_human_input"),
        (LLMCallHookContext, "request_human_input"),
    ],
)
def test_what_has_no_other_way_in_is_replaced_only_while_a_server_is_there(
    serve: Callable[..., HumanInputServer], owner: type, name: str
) -> None:
    own = getattr(owner, name)
    assert not hasattr(own, "__wrapped__")
    server = serve(adapters=True)
    assert getattr(owner, name).__wrapped__ is own
    server.stop()
    assert getattr(owner, name) is own
