"""Whom a question goes to that names nobody: the server that runs here, else the one in the environment."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest

import sayso
from sayso import HumanInputServer, create_app, reach
from sayso.asker import wait_for
from sayso.client import RemoteAsker
from sayso.errors import Misconfigured, PortTaken, Unauthorised
from sayso.reach import asker_for
from tests.conftest import KEY
from tests.crewai.person import LONGEST, Person, in_turn
from tests.runtime.programs import program, python

Serve = Callable[..., HumanInputServer]
ELSEWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins as a program does."""
    known: dict[Any, RemoteAsker] = {}
    monkeypatch.setattr(reach, "_remote", known)
    yield
    for asker in known.values():
        asker.close()


@pytest.fixture
def elsewhere(server: HumanInputServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HumanInputServer]:
    """A server that counts as another process's, and is named in the environment."""
    reach._running.clear()
    reach._expected.clear()
    monkeypatch.setenv("SAYSO_URL", server.url)
    monkeypatch.setenv("SAYSO_API_KEY", KEY)
    guard = threading.Timer(2 * LONGEST, server.stop)
    guard.start()
    yield server
    guard.cancel()


def test_whom_the_caller_names_is_asked(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSO_URL", ELSEWHERE)
    first, second = serve(), serve()
    assert asker_for(first) is first
    assert asker_for(second) is second


def test_of_several_servers_the_latest_started_is_asked_and_stopping_it_restores_the_former(serve: Serve) -> None:
    first = serve()
    assert asker_for(None) is first
    second, third = serve(), serve()
    assert asker_for(None) is third
    second.stop()
    assert asker_for(None) is third
    third.stop()
    assert asker_for(None) is first


def test_a_server_that_is_started_again_is_the_latest(serve: Serve) -> None:
    first, second = serve(), serve()
    first.stop()
    first.__enter__()
    assert asker_for(None) is first
    first.stop()
    assert asker_for(None) is second


def test_a_mounted_server_is_asked_until_it_is_stopped() -> None:
    mounted = HumanInputServer(store=":memory:", api_key=KEY, quiet=True, adapters=False)
    create_app(mounted)
    assert asker_for(None) is mounted
    mounted.stop()
    with pytest.raises(Misconfigured):
        asker_for(None)


def test_a_server_that_did_not_come_up_is_not_asked(server: HumanInputServer) -> None:
    port = httpx.URL(server.url).port or 0
    with pytest.raises(PortTaken), HumanInputServer(port=port, store=":memory:", quiet=True, adapters=False):
        pass
    assert asker_for(None) is server


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_without_a_server_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, serve: Serve, blank: str | None) -> None:
    if blank is not None:
        monkeypatch.setenv("SAYSO_URL", blank)
    serve().stop()
    with pytest.raises(Misconfigured) as caught:
        asker_for(None)
    assert all(word in caught.value.detail for word in ("HumanInputServer", "SAYSO_URL", "SAYSO_API_KEY", "asker="))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "nonsense"])
def test_an_address_in_the_environment_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SAYSO_URL", url)
    with pytest.raises(Misconfigured, match="http://host:8000"):
        asker_for(None)


def test_the_server_in_the_environment_is_asked_with_its_key(elsewhere: HumanInputServer) -> None:
    with Person(elsewhere.url, in_turn([{"human_feedback": "Blue"}]), gone=elsewhere.stop) as reader:
        reply = sayso.ask("Which colour?")
    assert reply.text == "Blue"
    assert (reply.request.durable, reply.request.asked_by) == (True, "key:default")
    assert len(reader.asked) == 1


def test_the_key_may_stand_in_a_file(
    elsewhere: HumanInputServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("secrets") / "key"
    file.write_text(f"{KEY}\n")
    monkeypatch.delenv("SAYSO_API_KEY")
    monkeypatch.setenv("SAYSO_API_KEY_FILE", str(file))
    with Person(elsewhere.url, in_turn([{"human_feedback": "Blue"}]), gone=elsewhere.stop):
        assert sayso.ask("Which colour?").text == "Blue"


@pytest.mark.parametrize("key", [None, "another-key"])
def test_a_key_that_the_server_does_not_know_is_told(
    elsewhere: HumanInputServer, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    if key is None:
        monkeypatch.delenv("SAYSO_API_KEY")
    else:
        monkeypatch.setenv("SAYSO_API_KEY", key)
    with pytest.raises(Unauthorised):
        sayso.ask("Which colour?")


def test_one_asker_serves_all_questions_to_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYSO_URL", ELSEWHERE)
    first = asker_for(None)
    assert isinstance(first, RemoteAsker)
    assert asker_for(None) is first
    monkeypatch.setenv("SAYSO_API_KEY", KEY)
    with_key = asker_for(None)
    assert with_key is not first
    assert asker_for(None) is with_key
    monkeypatch.setenv("SAYSO_URL", "http://127.0.0.1:10")
    assert asker_for(None) is not with_key


def test_a_server_of_this_process_wins_over_the_environment_while_it_runs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAYSO_URL", ELSEWHERE)
    remote = asker_for(None)
    server = serve()
    assert asker_for(None) is server
    server.stop()
    assert asker_for(None) is remote


_ASKS = """
import sayso
reply = sayso.ask("Which colour?", options={"b": "Blue", "r": "Red"})
print("RESULT", reply.option, reply.request.asked_by)
"""


async def test_a_program_that_runs_no_server_asks_the_one_in_its_environment(server: HumanInputServer) -> None:
    with Person(server.url, in_turn([{"human_feedback": "Red"}]), gone=server.stop):
        async with program(*python(_ASKS), SAYSO_URL=server.url, SAYSO_API_KEY=KEY) as child:
            assert (await child.line("RESULT")).split() == ["RESULT", "r", "key:default"]
            assert await child.end() == 0
    assert "Warning" not in child.output


def test_a_future_that_is_done_just_as_the_wait_for_it_ends_gives_its_result(server: HumanInputServer) -> None:
    class JustNow(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            if not self.done():
                self.set_result("yes")
                raise TimeoutError
            return super().result(timeout)

    assert wait_for(JustNow()) == "yes"


def test_a_forked_process_does_not_ask_its_parents_server() -> None:
    code = """
import os, sayso
from sayso.errors import Misconfigured
with sayso.HumanInputServer(port=0, quiet=True):
    child = os.fork()
    if child == 0:
        try:
            sayso.ask("Well?")
        except Misconfigured as error:
            print("told:", error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "told: no server to ask" in done.stdout, done.stderr
