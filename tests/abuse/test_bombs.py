"""What is small on its way and large where it arrives: refused before it is, and never inflated."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from sayso import HumanInputServer, limits
from tests.abuse.conftest import Watched
from tests.conftest import KEY
from tests.server.raw import AUTHORISED, UPGRADE, call

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_MASK = bytes(4)
_UPGRADE = "\r\n".join(
    ("GET /ws/human-input/run-1 HTTP/1.1", "Host: localhost", *(": ".join(one) for one in (AUTHORISED, *UPGRADE)))
).encode()


async def _frames(url: str, sent: bytes) -> int:
    """The code with which the socket is closed after these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    offered = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    writer.write(_UPGRADE + offered)
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        assert b"permessage-deflate" not in head
        writer.write(sent)
        closing = await reader.read()
    writer.close()
    return int.from_bytes(closing[closing.index(b"\x88") + 2 :][:2])


@pytest.mark.promise("CAP-7")
async def test_compressed_frames_are_not_agreed_on_and_not_inflated(server: HumanInputServer) -> None:
    squeeze = zlib.compressobj(wbits=-15)
    bomb = squeeze.compress(b"x" * 50_000_000) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    size = len(bomb).to_bytes(2)
    assert len(bomb) < limits.WEBSOCKET_MESSAGE
    assert await _frames(server.url, b"\xc1\xfe" + size + _MASK + bomb) == 1002


@pytest.mark.promise("CAP-7", "DOOR-5")
@pytest.mark.parametrize("fragments", [1, 16], ids=["one frame", "fragments"])
async def test_a_frame_that_says_it_is_huge_is_read_no_further_than_the_limit(
    server: HumanInputServer, fragments: int
) -> None:
    part = b"x" * (limits.WEBSOCKET_MESSAGE // fragments + 1)
    if fragments == 1:
        sent = b"\x81\xff" + (2**62).to_bytes(8) + _MASK + part
    else:
        sent = b"".join(
            (b"\x00" if number else b"\x01") + b"\xfe" + len(part).to_bytes(2) + _MASK + part
            for number in range(fragments)
        )
    assert await _frames(server.url, sent) == 1009


@pytest.mark.promise("CAP-7", "DOOR-5")
@pytest.mark.parametrize("text", ["x", "ü", b"x"], ids=["text", "two bytes each", "binary"])
async def test_where_the_host_inflates_a_bomb_gets_1009(bare: Callable[..., Watched], text: str | bytes) -> None:
    """A mounted app's host may agree on compression, and take more."""
    address = bare().url.replace("http", "ws", 1) + "/ws/human-input/run-1"
    one = len(text) if isinstance(text, bytes) else len(text.encode())
    async with websockets.connect(address, additional_headers=_RIGHT) as socket, asyncio.timeout(20):
        await socket.send(text * (limits.WEBSOCKET_MESSAGE // one))  # the control: so much is read
        assert json.loads(await socket.recv())["type"] == "error"
        await socket.send(text * (limits.WEBSOCKET_MESSAGE // one + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_not_inflated(server: HumanInputServer, coding: str) -> None:
    question = json.dumps({"execution_id": "run-1", "prompt": "x" * 1_000}).encode()
    sent = {"gzip": gzip.compress, "deflate": zlib.compress, "br": lambda data: data[::-1]}[coding](question)
    async with httpx.AsyncClient(base_url=server.url, headers=_RIGHT) as api:
        response = await api.post("/requests", content=sent, headers={"Content-Encoding": coding})
        assert response.status_code == 422
        assert (await api.post("/requests", content=question)).status_code == 201


_DEEP = {
    "lists": '{"execution_id": "a", "prompt": "b", "metadata": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    "objects": '{"execution_id": "a", "prompt": "b", "context_data": ' + '{"a":' * 30_000 + "1" + "}" * 30_000 + "}",
    "a schema": '{"execution_id": "a", "prompt": "b", "response_schema": '
    + '{"not":' * 20_000
    + "{}"
    + "}" * 20_000
    + "}",
    "brackets alone": "[" * 250_000,
    "just too deep": json.dumps({"execution_id": "a", "prompt": "b", "metadata": {"a": None}}).replace(
        "null", "[" * limits.JSON_DEPTH + "]" * limits.JSON_DEPTH
    ),
    "a number of many digits": '{"execution_id": "a", "prompt": "b", "round": ' + "9" * 200_000 + "}",
    "a number beyond all": '{"execution_id": "a", "prompt": "b", "timeout": 1e999999}',
}


@pytest.mark.promise("CAP-8")
@pytest.mark.parametrize("name", _DEEP)
async def test_json_that_is_too_deep_or_too_long_is_refused(server: HumanInputServer, name: str) -> None:
    fits = json.dumps({"execution_id": "a", "prompt": "b", "metadata": {"a": None}}).replace(
        "null", "[" * (limits.JSON_DEPTH - 2) + "]" * (limits.JSON_DEPTH - 2)
    )
    async with httpx.AsyncClient(base_url=server.url, headers=_RIGHT, timeout=20) as api:
        asked = await api.post("/requests", content=fits)
        assert asked.status_code == 201, asked.text  # the control
        response = await api.post("/requests", content=_DEEP[name])
        assert response.status_code in {413, 422}
        assert len(response.content) < 2_000
        answer = f'{{"values": {_DEEP[name]}}}'
        refused = await api.post(f"/requests/{asked.json()['request_id']}/answer", content=answer)
        assert refused.status_code in {413, 422}


@pytest.mark.parametrize(
    "sent",
    [b"1;" + b"x" * 100_000, b"1\r\nx\r\n0\r\n" + b"X-A: b\r\n" * 20_000],
    ids=["an extension of a chunk", "trailers"],
)
async def test_what_may_stand_around_a_body_has_its_limit_too(server: HumanInputServer, sent: bytes) -> None:
    head = "POST /requests HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + ": ".join(AUTHORISED)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    with suppress(ConnectionError):  # a reset, where it had sent more than was read
        async with asyncio.timeout(10):
            writer.write(head.encode() + b"\r\n\r\n" + sent)
            await writer.drain()
            assert b" 4" in await reader.readline()
    writer.close()
    async with asyncio.timeout(10):
        assert (await call(server.url, "/health")).status == 200


async def test_a_body_is_not_read_before_the_key_is_right(server: HumanInputServer) -> None:
    for key, status in (("wrong", 401), (KEY, 413)):
        headers = (("Authorization", f"Bearer {key}"), ("Content-Length", str(10**12)))
        assert (await call(server.url, "/requests", *headers, method="POST")).status == status


def test_a_list_of_long_requests_is_sent_in_pages_by_size(client: httpx.Client, ask: Callable[..., Any]) -> None:
    asked = [ask(context="x" * limits.CONTEXT)["request_id"] for _ in range(20)]
    seen: list[str] = []
    after = "0"
    while after is not None:
        response = client.get("/requests", params={"limit": "1000", "after": after})
        assert len(response.content) < 2 * limits.BATCH
        page = response.json()
        seen += [one["request_id"] for one in page["requests"]]
        after = page["next"]
    assert seen == asked
