"""No key is ever written to a log, on whatever road it came."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from sayso import HumanInputServer
from sayso.cli.json_log import JSONLines

_CANARY = "canary-key-93b6"
_ANSWER = '{"human_feedback": "canary-answer-51c0"}'


class _Records(logging.Handler):
    """Keeps every record, written out with its arguments and its traceback, and as JSON."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        parts = [record.name, record.getMessage(), repr(record.args), repr(vars(record)), JSONLines().format(record)]
        if record.exc_info and record.exc_info[1]:
            parts += traceback.TracebackException.from_exception(record.exc_info[1], capture_locals=False).format()
        self.written.append(" ".join(parts))


@pytest.fixture
def records() -> Iterator[_Records]:
    """Everything any logger says, at every level."""
    records, root = _Records(), logging.getLogger()
    names = [name for name in logging.Logger.manager.loggerDict if name.startswith(("sayso", "uvicorn", "starlette"))]
    loggers = [root, *(logging.getLogger(name) for name in (*names, "uvicorn", "uvicorn.error", "uvicorn.access"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        if logger.name != "sayso.server.serve.connections":  # whose own level is what keeps addresses out
            logger.setLevel(logging.DEBUG)
    root.addHandler(records)
    yield records
    root.removeHandler(records)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _http(server: HumanInputServer, method: str, path: str, key: str | None, body: str | None = None) -> int:
    """The status of a call by the one client that writes no log of its own."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request(method, path, body, {"Authorization": f"Bearer {key}"} if key else {})
    response = connection.getresponse()
    if response.getheader("content-type", "").startswith("text/event-stream"):
        response.readline()
    else:
        response.read()
    connection.close()
    return response.status


def _websocket(server: HumanInputServer, path: str, key: str | None, extra: bytes = b"") -> bytes:
    """The first bytes of the reply to a handshake."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connection:
        authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n".encode()
        )
        reply = connection.recv(64)
        if extra:
            connection.sendall(extra)
            connection.recv(64)
        return reply


@pytest.mark.promise("DOOR-6")
def test_no_key_and_no_answer_is_written_to_a_log(
    serve: Callable[..., HumanInputServer], records: _Records, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(api_key=_CANARY, quiet=False)
    question = json.dumps({"execution_id": "run-1", "request_id": "order-42", "prompt": "Ship it?"})
    for key, token in ((_CANARY, ""), (None, f"?token={_CANARY}"), (f"{_CANARY}x", f"?token={_CANARY}x")):
        for path in (
            "/requests",
            "/poll/human-input/run-1",
            "/events/human-input/run-1",
            "/unknown",
            "/requests/a/b/c",
        ):
            _http(server, "GET", path + token, key)
        _http(server, "POST", f"/requests{token}", key, question)
        _http(server, "POST", f"/requests/order-42/answer{token}", key, _ANSWER)
        _http(server, "POST", f"/requests{token}", key, _CANARY)
        for path in ("/ws/human-input/run-1", "/ws/human-input/%00", "/ws/unknown"):
            _websocket(server, path + token, key)
        _websocket(server, f"/ws/human-input/run-1{token}", key, b"\x81\x05garbage that is no frame")
    _http(server, "GET", f"/events/human-input/run-1/?token={_CANARY}", None)
    assert _http(server, "GET", "/requests/order-42", _CANARY) == 200
    server.stop()
    console = "".join(capfd.readouterr())
    assert records.written
    for line in (*records.written, console):
        assert _CANARY not in line
        assert "canary-answer" not in line


@pytest.mark.promise("DOOR-6", "KEY-1", "TICKET-1")
@pytest.mark.parametrize("given", [_CANARY, None], ids=["with a key of its own", "without"])
def test_no_key_of_the_store_and_no_ticket_is_written_anywhere(
    serve: Callable[..., HumanInputServer], records: _Records, capfd: pytest.CaptureFixture[str], given: str | None
) -> None:
    server = serve(api_key=given, quiet=False)
    boss = _made(server, given, "/keys", {"name": "boss", "scopes": ["admin", "read", "ask", "answer"]})["secret"]
    agent = _made(server, boss, "/keys", {"name": "crew", "scopes": ["ask"], "executions": ["run-*"]})
    turned = _made(server, boss, f"/keys/{agent['key']['id']}/rotate", {"overlap": 60})["secret"]
    _made(server, turned, "/requests", {"execution_id": "run-1", "request_id": "order-42", "prompt": "Ship it?"})
    secrets = {given or boss, boss, agent["secret"], turned, f"{turned[:-1]}7", boss[:-1]}
    bodies: list[str] = []
    for key in list(secrets):
        tickets = [
            _told(server, "POST", "/tickets", key, wanted).get("ticket", "none.ticket-4f1b")
            for wanted in ('{"all": true}', '{"execution_id": "run-1"}', '{"execution_id": "run-1"}')
        ]
        secrets |= set(tickets)
        for ticket in (*tickets, tickets[0], f"{tickets[0]}x"):
            for road in ("events", "poll", "ws"):
                address = f"/{road}/human-input/run-1?ticket={ticket}"
                if road == "ws":
                    _websocket(server, address, None)
                else:
                    bodies.append(str(_told(server, "GET", address, None)))
        for road in ("requests", "keys", "events/human-input", "poll/human-input/other", f"keys/{key}/revoke", key):
            bodies.append(str(_told(server, "GET", f"/{road}", key)))
            bodies.append(str(_told(server, "POST", f"/{road}", key, key)))
            bodies.append(str(_told(server, "POST", f"/{road}", key, '{"name": "%s", "scopes": ["%s"]}' % (key, key))))  # noqa: UP031
        _http(server, "POST", "/session", None, '{"key": "%s"}' % key)  # noqa: UP031
        auth = _frame(f'{{"type": "auth", "token": "{key}"}}')
        for first in (auth, _frame(key), auth + _frame(key)):
            _websocket(server, "/ws/human-input/run-1?auth=message", None, first)
    for id in (agent["key"]["id"], turned.split("_")[1]):
        assert _http(server, "POST", f"/keys/{id}/revoke", boss) == 200
    server.stop()
    console = "".join(capfd.readouterr())
    assert "an agent waits" not in console  # nobody of this process asks
    for line in (*records.written, console, *bodies):
        for secret in secrets:
            assert secret not in line
            assert secret[-32:] not in line


def _made(server: HumanInputServer, key: str | None, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return _told(server, "POST", path, key, json.dumps(body))


def _told(server: HumanInputServer, method: str, path: str, key: str | None, body: str | None = None) -> dict[str, Any]:
    """What a call gives; of a stream, its first line."""
    address = urlsplit(server.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request(method, path, body, {"Authorization": f"Bearer {key}"} if key else {})
    response = connection.getresponse()
    is_stream = response.getheader("content-type", "").startswith("text/event-stream")
    told = {"stream": response.readline().decode()} if is_stream else json.loads(response.read())
    connection.close()
    return dict(told) | {"headers": str(response.getheaders())}


def _frame(text: str) -> bytes:
    """A masked text message (RFC 6455, 5.2); the mask is zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + data


@pytest.mark.promise("DOOR-6")
def test_the_check_sees_a_key_in_any_part_of_a_record(records: _Records) -> None:
    logger = logging.getLogger("sayso.test")
    logger.debug("called %s", _CANARY)
    logger.debug("called", extra={"address": f"?token={_CANARY}"})
    try:
        raise ValueError(_CANARY)
    except ValueError:
        logger.exception("failed")
    assert [_CANARY in line for line in records.written] == [True, True, True]


@pytest.mark.promise("DOOR-6")
def test_a_crash_while_a_call_is_served_tells_no_key(
    serve: Callable[..., HumanInputServer], records: _Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(api_key=_CANARY)

    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("something broke")

    monkeypatch.setattr("sayso.gateway.Gateway.start", crash)
    monkeypatch.setattr("sayso.gateway.Gateway.list", crash)
    assert _http(server, "GET", "/requests", _CANARY) == 500
    for road in ("events", "poll"):
        _http(server, "GET", f"/{road}/human-input/run-1?token={_CANARY}", _CANARY)
    _websocket(server, f"/ws/human-input/run-1?token={_CANARY}", None)
    server.stop()
    assert any("something broke" in line for line in records.written)
    assert [line for line in records.written if _CANARY in line] == []
