"""Starting, stopping and asking in the process that the server runs in."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer, human_input_server, limits
from sayso.asker import Asked, wait_for
from sayso.errors import (
    AlreadyStarted,
    Misconfigured,
    NotReady,
    PortTaken,
    RequestMismatch,
    SaysoError,
    ServerStopped,
    StoreFailed,
    StoreInUse,
    Unavailable,
)
from sayso.gateway import Gateway
from sayso.model import InputRequired, Request
from sayso.runtime import Runtime
from sayso.store import Filter
from sayso.store.memory import MemoryStore
from sayso.store.sqlite import SQLiteStore
from tests.builders import NOW, question, request
from tests.conftest import KEY

_RIGHT = {"Authorization": f"Bearer {KEY}"}


def _made(**settings: Any) -> HumanInputServer:
    """A server that is not started."""
    return HumanInputServer(**{"port": 0, "api_key": KEY, "quiet": True, "adapters": False} | settings)


def _start(server: HumanInputServer) -> None:
    """Starts it; were it to start, it is stopped again."""
    with server:
        pass


def _submit(server: HumanInputServer, **members: Any) -> Asked:
    assert server._running is not None
    return server._running.submit(question(**members))


@contextmanager
def _in_a_thread(server: HumanInputServer) -> Iterator[threading.Thread]:
    """The server, started as the seed does it, and listening."""
    listening = threading.Event()
    thread = threading.Thread(target=server.start, args=[listening.set], daemon=True)
    thread.start()
    assert listening.wait(10)
    yield thread
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


def _healthy(server: HumanInputServer) -> bool:
    return bool(httpx.get(f"{server.url}/health").json()["status"] == "healthy")


def test_start_serves_until_it_is_stopped_from_another_thread() -> None:
    server = _made()
    with _in_a_thread(server) as thread:
        assert _healthy(server)
        assert thread.is_alive()
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_the_context_manager_listens_when_it_is_entered_and_no_longer_when_it_is_left() -> None:
    with _made() as server:
        assert _healthy(server)
        url = server.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_stopping_is_done_when_it_returns_and_may_be_repeated_from_any_thread() -> None:
    server = _made()
    server.stop()
    server.__enter__()
    url = server.url
    threads = [threading.Thread(target=server.stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
    assert "sayso-write" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.promise("ASK-1")
def test_a_stopped_server_can_be_started_again_with_what_it_had(tmp_path: Path) -> None:
    server = _made(store=f"sqlite:///{tmp_path / 'kept.db'}")
    body = {"execution_id": "run-1", "prompt": "Ship it?"}
    for number in range(3):
        with server:
            assert httpx.post(f"{server.url}/requests", json=body, headers=_RIGHT).status_code == 201
            listed = httpx.get(f"{server.url}/requests", headers=_RIGHT).json()["requests"]
            assert len(listed) == number + 1


async def test_start_async_serves_without_blocking_the_callers_loop_until_it_is_stopped() -> None:
    server = _made()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.start_async())
        asked = await _submitted(server)
        await asyncio.wrap_future(asked.stored)
        async with httpx.AsyncClient() as api:
            assert (await api.get(f"{server.url}/health")).status_code == 200
        assert not serving.done()
        await asyncio.to_thread(server.stop)
    assert serving.result() is None


async def test_cancelling_start_async_stops_the_server() -> None:
    server = _made()
    serving = asyncio.create_task(server.start_async())
    async with asyncio.timeout(10):
        asked = await _submitted(server)
        await asyncio.wrap_future(asked.stored)
        url = server.url
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    async with httpx.AsyncClient() as api:
        with pytest.raises(httpx.ConnectError):
            await api.get(f"{url}/health")
    assert isinstance(asked.settled.exception(0), ServerStopped)


async def test_a_start_that_was_cancelled_while_it_binds_does_not_disturb_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    binding, go, bind = threading.Event(), threading.Event(), human_input_server.bind

    def held(host: str, port: int) -> list[socket.socket]:
        if not binding.is_set():
            binding.set()
            assert go.wait(10)
        return bind(host, port)

    monkeypatch.setattr(human_input_server, "bind", held)
    server = _made()
    cancelled = asyncio.create_task(server.start_async())
    assert await asyncio.to_thread(binding.wait, 10)
    cancelled.cancel()
    await asyncio.wait([cancelled], timeout=0.2)  # it may end at once, or when what it began has ended
    if not cancelled.done():
        go.set()
        await asyncio.wait([cancelled])
    await asyncio.to_thread(server.__enter__)
    go.set()
    await asyncio.get_running_loop().shutdown_default_executor()  # what was cancelled has ended in its thread too
    assert cancelled.cancelled()
    assert _healthy(server)
    server.stop()


async def _submitted(server: HumanInputServer) -> Asked:
    """A question asked as soon as the server takes any."""
    turns = asyncio.get_running_loop()
    while server._running is None:
        turn = turns.create_future()
        turns.call_soon(turn.set_result, None)
        await turn
    return _submit(server)


async def test_start_async_raises_what_keeps_it_from_starting() -> None:
    with _made() as first, pytest.raises(PortTaken):
        await _made(port=first._bound_port, store=":memory:").start_async()


def test_stop_may_come_from_the_loop_that_runs_the_server() -> None:
    with _made() as server:
        assert server._running is not None
        asked = _submit(server)
        asked.stored.result(10)
        server._running._loop.call_soon_threadsafe(server.stop)  # type: ignore[union-attr]
        assert isinstance(asked.settled.exception(10), ServerStopped)


def test_port_zero_picks_a_free_port_and_the_url_says_which() -> None:
    with _made() as one, _made(host="127.0.0.1") as other:
        assert one.url.startswith("http://localhost:")
        assert other.url.startswith("http://127.0.0.1:")
        assert one.url != other.url
        assert _healthy(one)
        assert _healthy(other)


def test_the_url_is_known_before_the_start_where_the_port_is() -> None:
    assert HumanInputServer().url == "http://localhost:8000"
    assert HumanInputServer("0.0.0.0", 8001, "key").url == "http://localhost:8001"  # noqa: S104 - not started
    assert HumanInputServer("::1", 8001).url == "http://[::1]:8001"


def test_a_taken_port_is_an_error_that_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = _made(host="127.0.0.1", port=port, store=":memory:")
        with pytest.raises(PortTaken, match=rf"port {port} on 127.0.0.1 is taken .*port=0 picks a free one"):
            _start(server)
    assert "did not start" not in caplog.text  # raised where everyone sees it
    with server:
        assert _healthy(server)


def test_a_store_in_use_is_an_error_that_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with _made(store=f"sqlite:///{path}"):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        second = _made(host="127.0.0.1", port=port, store=f"sqlite:///{path}")
        with pytest.raises(StoreInUse, match=r"shared\.db is open in another process .*choose another file"):
            _start(second)
        with socket.create_server(("127.0.0.1", port)):
            pass  # the port is free again
    with second:
        assert _healthy(second)


def test_a_server_that_runs_cannot_be_started_again() -> None:
    with _made() as server:
        for start in (server.start, server.__enter__, server.app):
            with pytest.raises(AlreadyStarted, match=r"stop\(\) it first"):
                start()
        assert _healthy(server)
    gc.collect()  # what the refused ones left open would be told here


@pytest.mark.promise("DOOR-4")
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - refused
def test_without_a_key_no_address_is_bound_that_others_reach(host: str) -> None:
    with pytest.raises(Misconfigured, match=r"so a key is needed: pass api_key=…, or set SAYSO_API_KEY"):
        _start(_made(host=host, api_key=None))


@pytest.mark.promise("DOOR-4")
def test_with_a_key_every_address_is_bound() -> None:
    with _made(host="0.0.0.0") as server:  # noqa: S104 - a test of exactly this
        assert _healthy(server)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"host": "no-such-host.invalid"}, "nobody knows it"),
        ({"host": ""}, "nobody knows it"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
        ({"port": 70_000}, "port 70000 is none"),
        ({"port": -1}, "port -1 is none"),
        ({"store": "mysql://db"}, "'mysql' is not known; use ':memory:'"),
        ({"store": "mysql://user:secret@host/db"}, "not known"),
        ({"store": "postgresql://user:secret@host:port/db"}, "has the form postgresql://user:password@host:5432"),
        ({"store": "postgresql://user:secret@host/db?pgbouncer=yes"}, "is 'true' or 'false'"),
        ({"store": "sqlite:///"}, "use ':memory:', 'sqlite:///relative.db'"),
        ({"store": "questions.db"}, "use ':memory:', 'sqlite:///relative.db'"),
    ],
    ids=[
        "unknown-host",
        "no-host",
        "foreign-host",
        "port-high",
        "port-low",
        "store-kind",
        "store-secret",
        "postgres-form",
        "postgres-parameter",
        "no-path",
        "bare-path",
    ],
)
def test_settings_that_cannot_work_are_an_error_that_says_what_to_do(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as refused:
        _start(_made(**settings))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("path", ["a-file/questions.db", "a-file"])
def test_a_store_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path, path: str) -> None:
    (tmp_path / "a-file").write_text("this is no database " * 100)
    with pytest.raises(SaysoError, match="a-file"):
        _start(_made(store=f"sqlite:///{tmp_path / path}"))


def test_an_empty_key_is_an_error_and_no_open_door() -> None:
    with pytest.raises(Misconfigured, match="api_key is empty"):
        HumanInputServer(api_key="")


@pytest.mark.parametrize("key", [" ", "\n", "key\n", " key", "schlüssel", "key\x00"])
def test_a_key_that_no_client_can_send_is_refused(key: str) -> None:
    with pytest.raises(Misconfigured, match="key"):
        HumanInputServer(api_key=key)


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("written", [KEY, f"{KEY}\n", f"  {KEY} \r\nsecond line\n"])
@pytest.mark.parametrize("name", ["SAYSO_API_KEY", "SAYSO_API_KEY_FILE"])
def test_the_key_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, written: str
) -> None:
    if name == "SAYSO_API_KEY":
        monkeypatch.setenv(name, written.partition("second")[0])
    else:
        (tmp_path / "key").write_text(written)
        monkeypatch.setenv(name, str(tmp_path / "key"))
    with _made(api_key=None) as server:
        assert httpx.get(f"{server.url}/requests", headers=_RIGHT).status_code == 200
        assert httpx.get(f"{server.url}/requests").status_code == 401
    with _made(api_key="another") as server:
        assert httpx.get(f"{server.url}/requests", headers=_RIGHT).status_code == 401


@pytest.mark.parametrize("content", [None, "", "\n", "  \nkey", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "the-key-file"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.setenv("SAYSO_API_KEY_FILE", str(file))
    with pytest.raises(Misconfigured, match=r"SAYSO_API_KEY_FILE names .*the-key-file"):
        HumanInputServer()


@pytest.mark.promise("SETTLE-1")
def test_a_question_of_this_process_gets_its_answer(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    asked = _submit(server)
    stored = asked.stored.result(10)
    assert (stored.asked_by, stored.durable, stored.status) == ("process", False, "pending")
    answer = {"human_feedback": "yes"}
    httpx.post(f"{server.url}/requests/{stored.request_id}/answer", json=answer, headers=_RIGHT)
    settled = wait_for(asked.settled)
    assert (settled.request_id, settled.human_feedback) == (stored.request_id, "yes")


@pytest.mark.promise("SETTLE-1", "SETTLE-3")
def test_a_question_of_this_process_that_runs_out_of_time_gets_its_outcome(
    serve: Callable[..., HumanInputServer],
) -> None:
    settled = _submit(serve(), timeout=0.01).settled.result(10)
    assert (settled.status, settled.settled_by) == ("cancelled", "system:deadline")


def test_a_bad_question_of_this_process_raises_what_is_wrong_with_it(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    _submit(server, request_id="order-42").stored.result(10)
    for members, error in (({"prompt": ""}, SaysoError), ({"request_id": "order-42", "prompt": "?"}, RequestMismatch)):
        asked = _submit(server, **members)
        assert isinstance(asked.stored.exception(10), error)
        assert isinstance(asked.settled.exception(10), error)


@pytest.mark.promise("SETTLE-4", "EVENT-3")
def test_stopping_releases_who_waits_and_cancels_what_only_this_process_asked(tmp_path: Path) -> None:
    server = _made(store=f"sqlite:///{tmp_path / 'kept.db'}")
    with server:
        waiting = [_submit(server) for _ in range(3)]
        ids = {asked.stored.result(10).request_id for asked in waiting}
        body = {"execution_id": "run-1", "prompt": "Over HTTP"}
        kept = httpx.post(f"{server.url}/requests", json=body, headers=_RIGHT).json()
    for asked in waiting:
        with pytest.raises(ServerStopped):
            wait_for(asked.settled)
    with server:
        requests = httpx.get(f"{server.url}/requests", headers=_RIGHT).json()["requests"]
        assert {one["request_id"] for one in requests if one["status"] == "cancelled"} == ids
        assert {one["reason"] for one in requests if one["status"] == "cancelled"} == {"asker-gone"}
        assert [one for one in requests if one["status"] == "pending"] == [kept]
        events = httpx.get(f"{server.url}/poll/human-input/run-1", headers=_RIGHT).json()["events"]
        assert len([event for event in events if event["type"] == "human_input_completed"]) == 3


def test_an_answer_that_came_just_before_the_stop_is_not_lost_to_who_waits(
    serve: Callable[..., HumanInputServer],
) -> None:
    server = serve()
    asked = _submit(server)
    id = asked.stored.result(10).request_id
    assert httpx.post(f"{server.url}/requests/{id}/answer", json={"human_feedback": "yes"}, headers=_RIGHT).is_success
    server.stop()
    assert asked.settled.result(10).human_feedback == "yes"


def test_giving_up_the_outcome_cancels_the_request(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    asked = _submit(server)
    id = asked.stored.result(10).request_id
    asked.settled.cancel()
    look = httpx.get(f"{server.url}/requests/{id}?wait=10", headers=_RIGHT, timeout=20).json()
    assert (look["status"], look["reason"], look["settled_by"]) == ("cancelled", "asker-gone", "system:asker")


@pytest.mark.promise("SETTLE-4")
def test_giving_up_a_question_whose_id_the_asker_chose_leaves_it_open(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    asked = _submit(server, request_id="order-42")
    asked.stored.result(10)
    asked.settled.cancel()
    other = _submit(server)
    other.stored.result(10)
    other.settled.cancel()  # takes the same way, and later
    look = httpx.get(f"{server.url}/requests/{other.stored.result().request_id}?wait=10", headers=_RIGHT, timeout=20)
    assert look.json()["reason"] == "asker-gone"
    assert httpx.get(f"{server.url}/requests/order-42", headers=_RIGHT).json()["status"] == "pending"

    again = _submit(server, request_id="order-42")
    httpx.post(f"{server.url}/requests/order-42/answer", json={"human_feedback": "yes"}, headers=_RIGHT)
    assert again.settled.result(10).human_feedback == "yes"


@pytest.mark.promise("SETTLE-4")
def test_a_question_whose_id_the_asker_chose_stays_open_when_the_server_stops(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    server = serve(store=store)
    asked = _submit(server, request_id="order-42")
    asked.stored.result(10)
    server.stop()
    with pytest.raises(ServerStopped, match="stays open"):
        asked.settled.result(10)

    server = serve(store=store)
    again = _submit(server, request_id="order-42")
    assert again.stored.result(10) == asked.stored.result()
    httpx.post(f"{server.url}/requests/order-42/answer", json={"human_feedback": "yes"}, headers=_RIGHT)
    assert again.settled.result(10).human_feedback == "yes"


async def test_a_cancelled_task_that_awaits_the_outcome_cancels_the_request(
    serve: Callable[..., HumanInputServer],
) -> None:
    server = serve()
    asked = _submit(server)
    id = (await asyncio.wrap_future(asked.stored)).request_id

    async def wait() -> None:
        await asyncio.wrap_future(asked.settled)

    waiting = asyncio.create_task(wait())
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    async with httpx.AsyncClient(headers=_RIGHT, timeout=20) as api:
        assert (await api.get(f"{server.url}/requests/{id}?wait=10")).json()["reason"] == "asker-gone"


def test_giving_up_a_question_on_its_way_in_leaves_nothing_open(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    given_up = [_submit(server) for _ in range(20)]
    for asked in given_up:
        asked.settled.cancel()
    for asked in given_up:
        id = asked.stored.result(10).request_id
        look = httpx.get(f"{server.url}/requests/{id}?wait=10", headers=_RIGHT, timeout=20).json()
        assert look["reason"] == "asker-gone"


class _SlowOpening:
    """Holds a store's opening until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> None:
        self.go = threading.Event()

        async def open(store: MemoryStore) -> None:
            assert await asyncio.to_thread(self.go.wait, 10)
            if fails is not None:
                raise fails

        monkeypatch.setattr(MemoryStore, "open", open)


def test_a_question_asked_while_the_server_starts_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opening, server = _SlowOpening(monkeypatch), _made()
    thread = threading.Thread(target=server.start)
    thread.start()
    asked = asyncio.run(_submitted(server))
    assert not asked.stored.done()
    opening.go.set()
    assert asked.stored.result(10).status == "pending"
    server.stop()
    thread.join(10)


def test_a_question_asked_while_the_start_fails_is_told_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opening, server = _SlowOpening(monkeypatch, StoreInUse()), _made()
    raised: list[BaseException] = []

    def start() -> None:
        try:
            server.start()
        except StoreInUse as exc:
            raised.append(exc)

    thread = threading.Thread(target=start)
    thread.start()
    asked = asyncio.run(_submitted(server))
    opening.go.set()
    assert isinstance(asked.stored.exception(10), Unavailable)
    assert isinstance(asked.settled.exception(10), Unavailable)
    thread.join(10)
    assert len(raised) == 1
    assert "did not start" in caplog.text


def test_a_question_does_not_wait_for_ever_for_a_server_that_never_gets_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "READY", 0.05)
    opening, server = _SlowOpening(monkeypatch), _made()
    thread = threading.Thread(target=server.start)
    thread.start()
    asked = asyncio.run(_submitted(server))
    assert isinstance(asked.stored.exception(10), Unavailable)
    opening.go.set()
    server.stop()
    thread.join(10)


def test_stopping_a_server_that_is_just_starting_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opening, server = _SlowOpening(monkeypatch), _made()
    thread = threading.Thread(target=server.start)
    thread.start()
    asked = asyncio.run(_submitted(server))
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    opening.go.set()
    stopping.join(10)
    thread.join(10)
    assert not thread.is_alive()
    assert asked.settled.exception(10) is not None


def test_a_server_that_is_stopped_just_before_its_thread_starts_ends_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    server = _made()
    start = Runtime.start

    def late(runtime: Runtime) -> None:
        server.stop()
        start(runtime)

    monkeypatch.setattr(Runtime, "start", late)
    server.start()
    asyncio.run(server.start_async())


def test_asking_a_stopped_server_is_refused_at_once(serve: Callable[..., HumanInputServer]) -> None:
    server = serve()
    runtime = server._running
    assert runtime is not None
    server.stop()
    asked = runtime.submit(question())
    assert isinstance(asked.stored.exception(0), Unavailable)
    assert isinstance(asked.settled.exception(0), Unavailable)


def _notices(capsys: pytest.CaptureFixture[str], **settings: Any) -> list[str]:
    hostile = "\x1b[2J\x07Ship\r\nit?\u2028\u202e\x9b31m"
    with _made(**settings) as server:
        _submit(server, title=hostile, prompt=hostile, context_data={"agent": "Ed\x1b]0;x\x07itor"}).stored.result(10)
        _submit(server, request_id="order-42").stored.result(10)
        _drained(server)
    return capsys.readouterr().err.splitlines(keepends=True)


def _drained(server: HumanInputServer) -> None:
    """Returns when the loop has done what came before."""
    done = threading.Event()
    assert server._running is not None
    server._running._loop.call_soon_threadsafe(done.set)  # type: ignore[union-attr]
    assert done.wait(10)


def test_each_open_question_is_one_line_that_shows_how_to_answer(capsys: pytest.CaptureFixture[str]) -> None:
    hostile, plain = _notices(capsys, quiet=False)
    assert all(character.isprintable() for character in hostile.removesuffix("\n"))
    assert "Ship" in hostile
    assert "# Ed ]0;x itor: " in hostile
    assert "curl " in plain
    assert "/requests/order-42/answer" in plain
    assert "http://localhost:" in plain
    assert "<your key>" in plain


@pytest.mark.promise("DOOR-6")
def test_the_line_never_holds_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _notices(capsys, quiet=False)
    assert len(lines) == 2
    assert KEY not in "".join(lines)


def test_without_a_key_the_line_asks_for_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Authorization" not in "".join(_notices(capsys, quiet=False, api_key=None))


def test_a_quiet_server_writes_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _notices(capsys, quiet=True) == []


@pytest.mark.parametrize("gone", ["none", "closed", "broken"])
def test_a_console_that_is_gone_loses_no_question(monkeypatch: pytest.MonkeyPatch, gone: str) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    stderr: Any = {"none": None, "closed": io.StringIO(), "broken": Broken()}[gone]
    if gone == "closed":
        stderr.close()
    with _made(quiet=False, api_key=None) as server:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stderr)
            asked = _submit(server)
            id = asked.stored.result(10).request_id
            _drained(server)
        httpx.post(f"{server.url}/requests/{id}/answer", json={"human_feedback": "yes"})
        assert asked.settled.result(10).human_feedback == "yes"


def test_a_store_that_fails_while_the_server_stops_still_releases_who_waits(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sayso.errors import StoreFailed
    from sayso.gateway import Gateway

    async def fail(*_: object) -> None:
        raise StoreFailed

    server = serve()
    asked = _submit(server)
    asked.stored.result(10)
    monkeypatch.setattr(Gateway, "abandon", fail)
    server.stop()
    assert isinstance(asked.settled.exception(10), ServerStopped)


@pytest.mark.promise("SETTLE-1")
@pytest.mark.parametrize("fails", ["ask", "settled"])
def test_an_error_that_nobody_foresaw_reaches_who_waits(
    serve: Callable[..., HumanInputServer],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fails: str,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    server = serve()
    monkeypatch.setattr(Gateway, fails, fail)
    asked = _submit(server)
    with pytest.raises(SaysoError, match="lost: ZeroDivisionError"):
        wait_for(asked.settled)
    assert (asked.stored.exception(10) is None) == (fails == "settled")
    assert "a question was lost" in caplog.text


def test_a_notice_that_fails_does_not_cost_the_question(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(human_input_server, "notice", fail)
    with _made(quiet=False) as server:
        asked = _submit(server, request_id="order-42")
        asked.stored.result(10)
        answer = {"human_feedback": "yes"}
        httpx.post(f"{server.url}/requests/order-42/answer", json=answer, headers=_RIGHT).raise_for_status()
        assert asked.settled.result(10).human_feedback == "yes"
    assert "nobody was told of a question" in caplog.text


@pytest.mark.parametrize("round", range(5))
def test_of_many_questions_and_calls_that_race_with_the_stop_every_one_is_done_afterwards(round: int) -> None:
    server = _made(store=":memory:").__enter__()
    runtime, line_up, asked, looks = (
        server._running,
        threading.Barrier(5),
        list[Asked](),
        list[type[Exception] | None](),
    )
    assert isinstance(runtime, Runtime)

    def submit() -> None:
        line_up.wait(10)
        for number in count(1):
            asked.append(mine := runtime.submit(question()))
            if number % 50 == 0:  # nobody asks for ever without a look at what comes back
                wait([mine.stored], 10)
            if mine.stored.done() and isinstance(mine.stored.exception(), NotReady):
                return

    async def call() -> None:
        while True:
            try:
                await asyncio.wait_for(runtime.call(lambda gateway: gateway.list(Filter(), limit=1)), 10)
            except Exception as exc:
                looks.append(type(exc))
                return

    def call_in_a_thread() -> None:
        line_up.wait(10)
        asyncio.run(call())

    threads = [threading.Thread(target=work, daemon=True) for work in (submit, call_in_a_thread) * 2]
    for thread in threads:
        thread.start()
    line_up.wait(10)
    runtime.submit(question()).stored.result(10)
    server.stop()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert wait([future for one in asked for future in one], 10).not_done == set()
    assert {type(one.settled.exception()) for one in asked} <= {NotReady, ServerStopped}
    assert looks == [NotReady, NotReady]


def test_a_question_that_comes_just_after_the_opening_failed_hears_why_where_there_is_no_console() -> None:
    class Failing(MemoryStore):
        async def open(self) -> None:
            raise StoreFailed("no room")

    runtimes = [Runtime(Gateway(Failing()), lambda request: None, has_console=has) for has in (True, False)]
    for runtime in runtimes:
        runtime.start()
        with pytest.raises(StoreFailed):
            runtime.open(lambda gateway: nullcontext())  # type: ignore[arg-type,return-value]  # it is never entered
        assert runtime.ended.exception(10) is not None
    errors = [runtime.submit(question()).settled.exception(10) for runtime in runtimes]
    assert [type(error) for error in errors] == [NotReady, StoreFailed]


class _SlowClosing:
    """Holds the closing of every store until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        close = MemoryStore.close

        async def close_later(store: MemoryStore) -> None:
            self.begun.set()
            assert await asyncio.to_thread(self.go.wait, 10)
            await close(store)

        monkeypatch.setattr(MemoryStore, "close", close_later)


def test_a_second_stop_waits_for_the_first_so_that_a_restart_right_after_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, server = _SlowClosing(monkeypatch), _made(store=":memory:")
    server.__enter__()
    first, second = (threading.Thread(target=server.stop, daemon=True) for _ in range(2))
    first.start()
    assert held.begun.wait(10)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    held.go.set()
    second.join(10)
    assert not second.is_alive()
    with server:
        assert _healthy(server)
    first.join(10)


def test_a_start_whose_callback_fails_leaves_nothing_running() -> None:
    server, urls = _made(), list[str]()

    def fail() -> None:
        urls.append(server.url)
        raise ZeroDivisionError

    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        server.start(fail)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{urls[0]}/health")
    assert set(threading.enumerate()) <= before
    with server:
        assert _healthy(server)


def test_a_damaged_request_harms_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "damaged.db"
    past = NOW.replace(year=2020)
    damaged, fine = (request(now=past, timeout=60, request_id=id) for id in ("damaged", "fine"))
    asyncio.run(_write(path, damaged, fine))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute("UPDATE requests SET data = ? WHERE request_id = 'damaged'", (b"{}",)).rowcount == 1
    with _made(store=f"sqlite:///{path}") as server, httpx.Client(base_url=server.url, headers=_RIGHT) as api:
        assert api.get("/requests/fine?wait=10", timeout=20).json()["settled_by"] == "system:deadline"
        refused = api.get("/requests/damaged")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:sayso:problem:unavailable")
        assert [one["request_id"] for one in api.get("/requests").json()["requests"]] == ["fine"]
    assert "a damaged request was passed over" in caplog.text


async def _write(path: Path, *requests: Request) -> None:
    """A file with these requests, as a server leaves it."""
    store = SQLiteStore(path)
    await store.open()
    for one in requests:
        await store.put(one, InputRequired.of(one))
    await store.close()


@pytest.mark.parametrize("origins", ["https://app.example.com", ["*"], ["https://app.example.com/page"], ["http://["]])
def test_origins_that_can_never_match_are_an_error(origins: Any) -> None:
    with pytest.raises(Misconfigured, match="allow_origins"):
        _made(allow_origins=origins)


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of a user's data has another name there")
def test_the_default_store_is_a_file_of_the_ports_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with _made(host="127.0.0.1", port=port):
        assert (tmp_path / "sayso" / f"{port}.db").stat().st_mode & 0o077 == 0


def test_nothing_is_written_to_a_log_by_an_ordinary_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), _made() as server:
        httpx.get(f"{server.url}/requests", headers=_RIGHT)
        httpx.get(f"{server.url}/requests")
        _submit(server).stored.result(10)
    assert [record.getMessage() for record in caplog.records] == []
