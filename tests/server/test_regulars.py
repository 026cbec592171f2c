"""Who was let in before by the same head: let in again without a look at each header, and no one else."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer, limits
from sayso.keyring import Keyring
from sayso.server.lane import regulars
from sayso.server.lane.regulars import Regular, Regulars
from tests.builders import new_id
from tests.conftest import KEY
from tests.server.followers import Reply
from tests.server.keyholder import ask, call, make_key

_ROADS = {"events": 200, "ws": 101}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call was one of somebody who is known."""
    seen: list[bool] = []
    find = Regulars.find

    def noted(self: Regulars, head: Any, transport: Any) -> tuple[Regular, bytes | None] | None:
        regular = find(self, head, transport)
        seen.append(regular is not None)
        return regular

    monkeypatch.setattr(Regulars, "find", noted)
    return seen


async def _follow(server: HumanInputServer, road: str, execution_id: str, *, key: str = KEY, more: str = "") -> Reply:
    """What the server says first; each handshake has a key of its own."""
    head = [f"GET /{road}/human-input/{execution_id} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    if road == "ws":
        nonce = base64.b64encode(secrets.token_bytes(16)).decode()
        head += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {nonce}",
            "Sec-WebSocket-Version: 13",
        ]
    head += [more] if more else []
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write("\r\n".join((*head, "", "")).encode())
    async with asyncio.timeout(20):
        said = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return Reply(int(said[9:12]), None, said)


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("road", _ROADS)
async def test_the_same_head_is_let_in_again_whatever_the_execution(
    server: HumanInputServer, road: str, found: list[bool]
) -> None:
    for _ in range(3):
        assert (await _follow(server, road, new_id())).status == _ROADS[road]
    assert found == [False, True, True]


@pytest.mark.promise("DOOR-1")
async def test_a_head_with_two_keys_is_looked_at_each_time(server: HumanInputServer, found: list[bool]) -> None:
    """Which of them counts is not decided twice."""
    for _ in range(2):
        assert (await _follow(server, "ws", "run-1", more="sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==")).status == 101
    assert found == [False, False]


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("road", _ROADS)
async def test_what_is_another_head_is_looked_at(server: HumanInputServer, road: str, found: list[bool]) -> None:
    await _follow(server, road, "run-1")
    assert (await _follow(server, road, "run-1", key="wrong")).status == 401
    assert (await _follow(server, road, "run-1", more="X-More: 1")).status == _ROADS[road]
    assert (await _follow(server, road, "run-1", more="Origin: https://elsewhere.example")).status == 403
    assert (await _follow(server, road, "run-1", more=f"Authorization: Bearer {KEY}")).status == 400
    assert found == [False] * 5


@pytest.mark.promise("KEY-5")
@pytest.mark.parametrize("road", _ROADS)
async def test_whose_key_has_ended_is_regular_no_more(server: HumanInputServer, road: str, found: list[bool]) -> None:
    made = await asyncio.to_thread(make_key, server.url, "read")
    for _ in range(2):
        assert (await _follow(server, road, "run-1", key=made["secret"])).status == _ROADS[road]
    assert (await asyncio.to_thread(call, "POST", f"{server.url}/keys/{made['key']['id']}/revoke", KEY)).is_success
    assert (await _follow(server, road, "run-1", key=made["secret"])).status == 401
    assert found == [False, True, False]


@pytest.mark.promise("KEY-3")
@pytest.mark.parametrize("road", _ROADS)
async def test_who_may_see_some_executions_is_looked_at_each_time(
    server: HumanInputServer, road: str, found: list[bool]
) -> None:
    some = await asyncio.to_thread(lambda: make_key(server.url, "read", executions=["mine-*"]))
    asker = await asyncio.to_thread(make_key, server.url, "ask")
    for _ in range(2):
        assert (await _follow(server, road, "mine-1", key=some["secret"])).status == _ROADS[road]
        assert (await _follow(server, road, "other", key=some["secret"])).status == 403
        assert (await _follow(server, road, "mine-1", key=asker["secret"])).status == 403
    assert found == [False] * 6


@pytest.mark.promise("CAP-3")
async def test_regulars_count_among_the_streams_of_their_key(
    server: HumanInputServer, found: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await asyncio.to_thread(make_key, server.url, "read")
    headers = {"Authorization": f"Bearer {made['secret']}"}
    monkeypatch.setattr(limits, "CALLS_PER_KEY", 2)
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as api, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(api.stream("GET", "/events/human-input/run-1")) for _ in range(3)]
        assert [stream.status_code for stream in streams] == [200, 200, 429]
    assert found == [False, True, True]


async def test_a_regular_hears_what_is_there_and_what_comes(
    server: HumanInputServer, found: list[bool], ask: Callable[..., dict[str, Any]]
) -> None:
    asked = [(await asyncio.to_thread(ask))["request_id"]]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as api:
        for _ in range(2):
            heard: list[str] = []
            async with api.stream("GET", f"{server.url}/events/human-input/run-1") as stream:
                async for line in stream.aiter_lines():
                    heard += [request for request in asked if line.startswith("data: ") and request in line]
                    if heard == asked and len(heard) % 2:
                        asked.append((await asyncio.to_thread(ask))["request_id"])
                    elif heard == asked:
                        break
            asked.append((await asyncio.to_thread(ask))["request_id"])
    assert found == [False, True]


@pytest.mark.promise("KEY-7")
async def test_a_regular_uses_its_key_and_one_that_has_ended_does_not(
    server: HumanInputServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses: list[str] = []
    monkeypatch.setattr(Keyring, "used", lambda keys, key: uses.append(key))
    made = await asyncio.to_thread(make_key, server.url, "read")
    for _ in range(2):
        await _follow(server, "events", "run-1", key=made["secret"])
    assert uses == [made["key"]["id"]] * 2
    await asyncio.to_thread(call, "POST", f"{server.url}/keys/{made['key']['id']}/revoke", KEY)
    await _follow(server, "events", "run-1", key=made["secret"])
    assert uses == [made["key"]["id"]] * 2


async def test_no_more_heads_are_remembered_than_may_be(
    server: HumanInputServer, found: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regulars, "_MOST", 2)
    for number in (1, 2, 3, 3, 1):
        await _follow(server, "events", "run-1", more=f"X-Client: {number}")
    assert found == [False, False, False, True, False]


@pytest.mark.promise("DOOR-1")
async def test_what_stands_where_a_polls_cursor_was_is_no_way_in(server: HumanInputServer) -> None:
    """The next poll of a connection is told by its bytes, but for the cursor."""
    asked = await asyncio.to_thread(ask, server.url)
    headers = f"Host: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    poll = f"GET /poll/human-input/run-1?last_event_id=%s HTTP/1.1\r\n{headers}"
    first = poll % asked["asked_event_id"]
    for other in ("x HTTP/1.1\r\nAuthorization: Bearer wrong\r\nX: y", f"{asked['asked_event_id']}&wait=none"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(first.encode())
        async with asyncio.timeout(20):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.write((poll % other).encode())
            said = await reader.readuntil(b"\r\n\r\n")
            assert b"HTTP/1.1 4" in said, said
        writer.close()
