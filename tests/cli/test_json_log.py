"""`sayso serve --log-format json`: one object a line, with what a collector of logs looks for, and no key."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from sayso.cli.json_log import JSONLines
from sayso.errors import StoreFailed
from sayso.store.sqlite import SQLiteStore
from tests.conftest import KEY
from tests.runtime.programs import SAYSO, program
from tests.server.raw import call, say

_CANARY = "canary-key-77a1"
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _written(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> dict[str, Any]:
    """What becomes of a record."""
    why = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("sayso.test", logging.WARNING, __file__, 1, message, arguments, why)
    vars(record).update(extra)
    line = JSONLines().format(record)
    assert "\n" not in line
    assert line.isascii()
    said: dict[str, Any] = json.loads(line)
    return said


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ValueError("two\nlines\u2028of \x1b[31mred")
    except ValueError as error:
        said = _written("it %s\n", "broke\udcff", error=error)
    assert (said["level"], said["logger"], said["message"]) == ("warning", "sayso.test", "it broke\\udcff\n")
    assert said["time"].endswith("Z")
    assert said["error"].splitlines()[0] == "Traceback (most recent call last):"
    assert "\x1b[31mred" in said["error"]


def test_a_record_brings_known_facts_and_no_others() -> None:
    said = _written("failed", code="unavailable", request_id="order-42", writes=3, password=_CANARY, args_=_CANARY)
    assert {name: said[name] for name in said.keys() - {"time", "level", "logger", "message"}} == {
        "code": "unavailable",
        "request_id": "order-42",
        "writes": 3,
    }


def test_what_failed_is_named_by_its_ids_and_its_trace(
    serve: Callable[..., HumanInputServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    headers = {"Authorization": f"Bearer {KEY}", "traceparent": _TRACEPARENT}
    question = {"execution_id": "run-1", "request_id": "order-42", "prompt": "Ship it?"}
    assert httpx.post(f"{server.url}/requests", json=question, headers=headers).status_code == 201

    async def fail(*_: object) -> None:
        raise StoreFailed("the disk is gone")

    monkeypatch.setattr(SQLiteStore, "settle", fail)
    answered = httpx.post(f"{server.url}/requests/order-42/answer", json={"human_feedback": "yes"}, headers=headers)
    assert answered.status_code == 503
    (said,) = [json.loads(JSONLines().format(one)) for one in caplog.records if one.message == "request failed"]
    assert {name: said[name] for name in ("code", "execution_id", "request_id", "trace_id")} == {
        "code": "unavailable",
        "execution_id": "run-1",
        "request_id": "order-42",
        "trace_id": _TRACEPARENT.split("-")[1],
    }
    assert "the disk is gone" in said["error"]


@pytest.mark.promise("DOOR-6", "LOG-1")
async def test_a_server_that_logs_json_logs_nothing_else_and_no_key() -> None:
    settings = {"SAYSO_API_KEY": _CANARY, "SAYSO_STORE": ":memory:", "SAYSO_LOG_FORMAT": "json"}
    async with program(SAYSO, "serve", "--port", "0", **settings) as running:
        listens = json.loads(await running.line("listens"))
        assert (listens["level"], listens["logger"], listens["store"]) == ("info", "sayso.cli.serve", ":memory:")
        right = ("Authorization", f"Bearer {_CANARY}")
        for path in ("/requests", "/nothing", "/metrics", "/events/human-input/run-1", "/ws/human-input/run-1"):
            await call(listens["url"], path, right)
            await call(listens["url"], f"{path}?token={_CANARY}", method="POST" if "ws" not in path else "GET")
        await call(listens["url"], f"/requests/{_CANARY}", ("traceparent", _CANARY))
        await say(listens["url"], f"{_CANARY}\r\n\r\n".encode())
        running.send(signal.SIGINT)
        assert await running.end() == 0
    for line in running.output.splitlines():
        assert {"time", "level", "logger", "message"} <= set(json.loads(line)), line
    assert _CANARY not in running.output


@pytest.mark.promise("LOG-1")
def test_a_server_that_cannot_start_says_so_in_json(tmp_path: Path) -> None:
    code = "from sayso.cli import main; main()"
    store = f"sqlite:///{tmp_path}/file/is.db"
    (tmp_path / "file").write_text("no folder")

    async def start() -> str:
        arguments = ("serve", "--port", "0", "--store", store, "--log-format", "json")
        async with program(sys.executable, "-c", code, *arguments) as running:
            assert await running.end() == 1
        return running.output

    (line,) = asyncio.run(start()).splitlines()
    said = json.loads(line)
    assert (said["level"], said["code"]) == ("error", "unavailable")
    assert said["message"].startswith("the server ended: cannot use")
