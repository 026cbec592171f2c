"""What only a process of its own can show: signals, exits, and being killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, Program, program, python

_RIGHT = {"Authorization": f"Bearer {KEY}"}

_START = """
import sys
from sayso import HumanInputServer

server = HumanInputServer(port=0, api_key=sys.argv[1], store=sys.argv[2], adapters=False)
server.start(on_listening=lambda: print("listens on", server.url))
print("ended")
"""
_ASK = """
import os, sys
from sayso import HumanInputServer
from sayso.model import Question

server = HumanInputServer(port=0, api_key=sys.argv[1], store=sys.argv[2], adapters=False, quiet=True)
server.__enter__()
asked = server._running.submit(Question(execution_id="run-1", title="in-process", prompt="Ship it?"))
named = Question(execution_id="run-1", request_id="named", title="named", prompt="Ship it?")
asked.stored.result(), server._running.submit(named).stored.result()
print("listens on", server.url)
"""
_WAIT_IN_A_POOL = (
    _ASK
    + """
from concurrent.futures import ThreadPoolExecutor
from sayso.asker import wait_for
from sayso.errors import ServerStopped

def wait():
    try:
        wait_for(asked.settled)
    except ServerStopped:
        print("released")

ThreadPoolExecutor().submit(wait)
print("main ends")
"""
)


def _url(line: str) -> str:
    return line.rsplit(maxsplit=1)[-1]


async def _follow_to_the_end(stack: AsyncExitStack, url: str, road: str) -> Callable[[], Any]:
    """A follower that has begun; gives what returns when its stream has ended cleanly, and raises when it was cut."""
    if road == "ws":
        address = url.replace("http", "ws", 1) + "/ws/human-input"
        socket = await stack.enter_async_context(websockets.connect(address, additional_headers=_RIGHT))

        async def closed() -> None:
            with pytest.raises(ConnectionClosed) as told:
                await socket.recv()
            assert told.value.rcvd is not None
            assert told.value.rcvd.code == 1012

        return closed
    client = await stack.enter_async_context(httpx.AsyncClient(headers=_RIGHT, timeout=30))
    response = await stack.enter_async_context(client.stream("GET", f"{url}/events/human-input"))
    chunks = response.aiter_bytes()
    await anext(chunks)

    async def ended() -> None:
        async for _ in chunks:
            pass

    return ended


async def _ends_cleanly_with_followers(running: Program, url: str, number: int) -> int:
    """Sends the signal while twenty clients follow; gives the exit code."""
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        followers = [await _follow_to_the_end(stack, url, road) for road in ("ws", "events") * 10]
        running.send(number)
        await asyncio.gather(*(follower() for follower in followers))
        return await running.end()


@pytest.mark.promise("STREAM-9")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_start_on_the_main_thread_in_order(tmp_path: Path, number: int) -> None:
    async with program(*python(_START, KEY, f"sqlite:///{tmp_path / 'a.db'}")) as running:
        url = _url(await running.line("listens on"))
        assert await _ends_cleanly_with_followers(running, url, number) == 0
        assert "ended" in running.output
        for sign in ("Traceback", "Warning", "Exception", KEY):
            assert sign not in running.output


@pytest.mark.promise("STREAM-9")
async def test_sayso_serve_says_where_it_listens_and_ends_in_order(tmp_path: Path) -> None:
    command = (SAYSO, "serve", "--port", "0", "--store", f"sqlite:///{tmp_path / 'a.db'}")
    async with program(*command, SAYSO_API_KEY=KEY) as running:
        url = _url(await running.line("sayso listens on http://localhost:"))
        async with httpx.AsyncClient() as api:
            assert (await api.get(f"{url}/health")).status_code == 200
            assert (await api.get(f"{url}/requests")).status_code == 401
        assert await _ends_cleanly_with_followers(running, url, signal.SIGTERM) == 0
        assert "Traceback" not in running.output
        assert KEY not in running.output


@pytest.mark.promise("DOOR-1")
async def test_sayso_serve_reads_its_key_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    command = (SAYSO, "serve", "--port", "0", "--store", ":memory:")
    async with program(*command, SAYSO_API_KEY_FILE=str(tmp_path / "key")) as running:
        url = _url(await running.line("sayso listens on"))
        async with httpx.AsyncClient(base_url=url) as api:
            assert (await api.get("/requests", headers=_RIGHT)).status_code == 200
            assert (await api.get("/requests")).status_code == 401
        running.send(signal.SIGINT)
        assert await running.end() == 0


@pytest.mark.promise("DOOR-4")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "so a key is needed"),  # noqa: S104 - refused
        (["--host", "no-such-host.invalid"], "nobody knows it"),
        (["--store", "mysql://db"], "'mysql' is not known"),
        (["--store", "sqlite:////dev/null/a.db"], "cannot use /dev/null/a.db"),
        (["--retention", "0.01"], "retention is 0.01; it is a number of days"),
    ],
    ids=["public", "unknown-host", "store", "unusable-store", "retention"],
)
async def test_sayso_serve_explains_what_keeps_it_from_starting(arguments: list[str], says: str) -> None:
    async with program(SAYSO, "serve", "--port", "0", *arguments) as running:
        assert await running.end() == 1
        assert "Error: " in running.output
        assert says in running.output
        assert "Traceback" not in running.output


async def test_sayso_serve_explains_a_taken_port_and_an_unreadable_key_file(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    port = str(serve()._bound_port)
    async with program(SAYSO, "serve", "--port", port, "--store", ":memory:") as running:
        assert await running.end() == 1
        assert f"port {port} on localhost is taken" in running.output
        assert "Traceback" not in running.output
    async with program(SAYSO, "serve", SAYSO_API_KEY_FILE=str(tmp_path / "none")) as running:
        assert await running.end() == 1
        assert "SAYSO_API_KEY_FILE names" in running.output
        assert "Traceback" not in running.output


async def test_the_key_is_no_argument_of_sayso_serve() -> None:
    async with program(SAYSO, "serve", "--help") as running:
        assert await running.end() == 0
        assert "SAYSO_API_KEY" in running.output
        assert "--api-key" not in running.output


async def test_sayso_serve_never_imports_an_agent_framework() -> None:
    code = """
import sys
from sayso.cli import main
main(["serve", "--port", "0", "--store", ":memory:"], standalone_mode=False)
print("imported", sorted(name for name in sys.modules if name.split(".")[0] in ("crewai", "langchain", "litellm")))
"""
    async with program(*python(code)) as running:
        await running.line("sayso listens on")
        running.send(signal.SIGTERM)
        assert await running.end() == 0
        assert "imported []" in running.output


async def _requests(serve: Callable[..., HumanInputServer], store: str) -> dict[str, dict[str, Any]]:
    server = await asyncio.to_thread(serve, store=store)
    async with httpx.AsyncClient(headers=_RIGHT) as api:
        listed = (await api.get(f"{server.url}/requests")).json()["requests"]
        told = (await api.get(f"{server.url}/poll/human-input/run-1")).json()["events"]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    return {request["title"]: request for request in listed}


@pytest.mark.promise("SETTLE-4", "ASK-1", "ANSWER-1")
async def test_what_a_killed_process_left_waiting_is_cancelled_and_what_came_over_http_is_kept(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'a.db'}"
    async with program(*python(_ASK + "asked.settled.result()", KEY, store)) as running:
        url = _url(await running.line("listens on"))
        async with httpx.AsyncClient(base_url=url, headers=_RIGHT) as api:
            for id in ("open", "answered"):
                question = {"request_id": id, "title": id, "execution_id": "run-1", "prompt": "Ship it?"}
                response = await api.post("/requests", json=question)
                assert response.status_code == 201, (response.text, response.headers, url)
            answer = await api.post("/requests/answered/answer", json={"human_feedback": "yes"})
            assert answer.status_code == 200
        running.send(signal.SIGKILL)
        assert await running.end() == -signal.SIGKILL
    left = await _requests(serve, store)
    assert {id: (one["status"], one["reason"]) for id, one in left.items()} == {
        "in-process": ("cancelled", "asker-gone"),
        "named": ("pending", ""),
        "open": ("pending", ""),
        "answered": ("answered", ""),
    }
    assert left["answered"] == answer.json()


@pytest.mark.promise("SETTLE-4")
async def test_a_program_ends_although_a_thread_of_a_pool_waits_for_an_answer(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'a.db'}"
    async with program(*python(_WAIT_IN_A_POOL, KEY, store)) as running:
        await running.line("main ends")
        assert await running.end() == 0
        assert "released" in running.output
        assert "Traceback" not in running.output
    left = await _requests(serve, store)
    assert (left["in-process"]["status"], left["in-process"]["reason"]) == ("cancelled", "asker-gone")
    assert left["named"]["status"] == "pending"


async def test_a_program_ends_although_its_server_was_never_stopped(tmp_path: Path) -> None:
    async with program(*python(_ASK, KEY, f"sqlite:///{tmp_path / 'a.db'}")) as running:
        assert await running.end() == 0
        assert "Traceback" not in running.output


async def test_a_program_ends_although_the_seeds_thread_still_serves(tmp_path: Path) -> None:
    code = """
import sys, threading
from sayso import HumanInputServer
server = HumanInputServer(port=0, api_key=sys.argv[1], store=sys.argv[2], adapters=False)
listening = threading.Event()
threading.Thread(target=server.start, args=[listening.set], daemon=True).start()
listening.wait()
print("main ends")
"""
    async with program(*python(code, KEY, f"sqlite:///{tmp_path / 'a.db'}")) as running:
        await running.line("main ends")
        assert await running.end() == 0
        assert "Traceback" not in running.output


_FORK = """
import os, sys, warnings
from sayso import HumanInputServer
from sayso.model import Question

warnings.simplefilter("ignore", DeprecationWarning)  # that forking beside threads is risky
with HumanInputServer(port=0, api_key=sys.argv[1], adapters=False, quiet=True) as server:
    runtime = server._running
    if (child := os.fork()) == 0:
        asked = runtime.submit(Question(execution_id="run-1", prompt="Ship it?"))
        told = [type(future.exception(5)).__name__ for future in asked]
        print("the child was told", *told, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    asked = runtime.submit(Question(execution_id="run-1", prompt="Ship it?"))
    print("the parent's is", asked.stored.result(5).status)
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX forks")
async def test_a_forked_child_is_told_that_the_server_is_out_of_its_reach() -> None:
    async with program(*python(_FORK, KEY)) as running:
        assert (await running.line("the child")).split()[-2:] == ["NotReady", "NotReady"]
        assert "pending" in await running.line("the parent's")
        assert await running.end() == 0


_ASK_MANY = """
import sys
import httpx
from sayso import HumanInputServer
from sayso.model import Question

server = HumanInputServer(port=0, api_key=sys.argv[1], adapters=False).__enter__()
asked = [server._running.submit(Question(execution_id="run-1", prompt="Ship it? " * 50)) for _ in range(500)]
for one in asked:
    one.stored.result(10)
print(httpx.get(f"{server.url}/health", timeout=10).json()["status"], flush=True)
sys.stdin.read()
"""


def test_a_stderr_that_nobody_reads_does_not_hold_up_the_server() -> None:
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = (sys.executable, "-c", _ASK_MANY, KEY)  # not -X dev: asyncio itself would write of slow turns, and stick
    with subprocess.Popen(command, text=True, **pipes) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "healthy\n"
        finally:
            running.kill()
