"""Who else comes by: keys that are made, rotated and revoked, tickets, the lost, the clumsy, the slow."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import uuid
from contextlib import aclosing, suppress
from typing import Final
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed

from tests.server.raw import UPGRADE
from tests.soak.following import ROADS, connected, events, path_of
from tests.soak.world import PATIENCE, World

_RESET: Final = struct.pack("ii", 1, 0)
"""For SO_LINGER: the connection is cut off when it is closed."""


async def keys(world: World) -> None:
    """Makes a key, follows with it, rotates it, and sees its streams end once it is revoked."""
    name = str(uuid.uuid4())
    wanted = {"name": name, "scopes": ["read", "answer"], "executions": [f"{world.name}-*"]}
    made = (await world.call("POST", "/keys", 201, json=wanted)).json()
    world.keys[name] = made["secret"]
    roads = world.chance.sample(ROADS[:2], 2)
    following = [asyncio.create_task(_until_ended(world, road, name)) for road in roads]
    await world.rest(world.between(0, 3))
    rotated = (await world.call("POST", f"/keys/{made['key']['id']}/rotate", 201, json={"overlap": 60})).json()
    await world.call("GET", "/requests?limit=1", 200, key=name)
    world.keys[name] = rotated["secret"]
    await world.call("GET", "/requests?limit=1", 200, key=name)
    for one in (made, rotated):
        await world.call("POST", f"/keys/{one['key']['id']}/revoke", 200)
    await world.call("GET", "/requests?limit=1", 401, key=name)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*following)
    del world.keys[name]
    await world.call("GET", "/keys", 200)
    world.counts["keys"] += 2


async def _until_ended(world: World, road: str, key: str) -> None:
    async with aclosing(events(world, road, None, None, key=key)) as heard:
        async for _ in heard:
            pass


async def tickets(world: World) -> None:
    """Opens a stream with a ticket, and none with it again."""
    made = (await world.call("POST", "/tickets", 201, json={"all": True}, key="ann")).json()
    query = f"?ticket={made['ticket']}"
    async with world.staying(world.between(0.5, 5)):
        await _listen(world, query)
    assert (await world.api.get(path_of("sse", None) + query)).status_code == 401
    world.counts["tickets"] += 1


async def _listen(world: World, query: str) -> None:
    async with aclosing(events(world, world.chance.choice(ROADS[:2]), None, None, query=query)) as heard:
        async for _ in heard:
            pass


async def invited(world: World) -> None:
    """Has a link to a question that waits, looks at it, as mail programs do, and leaves the answer to others."""
    query = {"status": "pending", "limit": 1}
    for request in (await world.call("GET", "/requests", 200, params=query, key="ann")).json()["requests"]:
        road, wanted = f"/requests/{request['request_id']}/links", {"owner": "bo@example.com"}
        made = await world.call("POST", road, 201, 409, json=wanted, key="ann")
        if made.status_code == 201:
            for method in ("HEAD", "GET", "GET"):
                assert (await world.api.request(method, made.json()["url"])).status_code == 200
            world.counts["links"] += 1


async def lost(world: World) -> None:
    """Follows an execution that nobody knows, and from places that are none."""
    road = world.chance.choice(ROADS)
    nowhere = events(world, road, str(uuid.uuid4()), None)
    async with world.staying(world.between(0.1, 4)), aclosing(nowhere) as heard:
        async for event in heard:
            raise AssertionError(event)
    where = world.chance.choice(("", f"/{world.name}-{world.begun}"))
    cursor = {"last_event_id": str(uuid.uuid4())}
    page = (await world.call("GET", f"/poll/human-input{where}", 200, params=cursor)).json()
    assert page["reset"]["reason"] == "unknown-cursor", page
    await world.call("GET", f"/requests/{uuid.uuid4()}", 404)
    world.counts["lost"] += 1


async def clumsy(world: World) -> None:
    """Calls that are refused, each in its way."""
    await world.call("POST", "/requests", 422, content=b'{"execution_id": ')
    await world.call("POST", "/requests", 422, json={"execution_id": "a b", "prompt": "?", "nobody": "knows"})
    await world.call("POST", "/requests", 413, content=b" " * 300_000)
    await world.call("POST", "/requests", 403, json={"execution_id": "run-0", "prompt": "?"}, key="ann")
    await world.call("GET", "/requests", 401, headers={"Authorization": "Bearer guess"})
    await world.call("GET", "/requests?limit=none", 422)
    await world.call("GET", f"/requests?q={'x' * 9_000}", 413)
    await world.call("PATCH", "/requests", 405)
    await world.call("GET", "/nowhere", 404)
    async with connected(world, path_of("websocket", "run-0"), None) as talk, asyncio.timeout(PATIENCE):
        for said in ("?", "{}", json.dumps({"type": "answer", "request_id": str(uuid.uuid4()), "text": "?"})):
            await talk.send(said)
            while json.loads(await talk.recv())["type"] != "error":
                pass
        with suppress(ConnectionClosed):
            await talk.send("x" * 70_000)
            while True:
                await talk.recv()
        assert talk.close_code == 1009, talk.close_code
    world.counts["refused"] += 13


async def looks(world: World) -> None:
    """What runs beside: health, readiness, metrics, lists, the audit, leases."""
    for path in (
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/requests?order=newest&q=ferry&limit=20",
        "/session",
    ):
        await world.call("GET", path, 200)
    await world.call("GET", f"/audit?execution_id={world.name}-{world.begun}", 200)
    name = f"/leases/flow-{world.chance.randint(0, 9)}"
    holder = str(uuid.uuid4())
    leased = await world.call("PUT", name, 204, 409, json={"holder": holder, "seconds": 5}, key="crew")
    if leased.status_code == 204:
        await world.call("DELETE", name, 204, params={"holder": holder}, key="crew")
    world.counts["looks"] += 1


async def stalled(world: World) -> None:
    """Asks for much and takes nothing; goes without a word, or is sent away."""
    road = world.chance.choice(ROADS)
    with suppress(OSError):
        await _raw(
            world,
            path_of(road, world.long or None),
            "",
            world.between(1, 45),
            more=UPGRADE if road == "websocket" else (),
        )
    world.counts["stalled"] += 1


async def slow(world: World) -> None:
    """Begins a call and does not end it."""
    begun = world.chance.choice(
        ("", "X-Half: ", "Content-Length: 1000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nff\r\n")
    )
    with suppress(OSError):
        await _raw(world, "/requests", begun, world.between(1, 25), method="POST")
    world.counts["slow"] += 1


async def _raw(
    world: World, path: str, rest: str, seconds: float, *, method: str = "GET", more: tuple[tuple[str, str], ...] = ()
) -> None:
    loop, address = asyncio.get_running_loop(), urlsplit(world.url)
    with socket.socket() as peer:
        peer.setblocking(False)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        if world.chance.random() < 0.5:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        await loop.sock_connect(peer, ("127.0.0.1", address.port))
        headers = [("Host", address.netloc), ("Authorization", f"Bearer {world.keys['default']}"), *more]
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
        await loop.sock_sendall(peer, (head + (rest or "\r\n")).encode())
        await world.rest(seconds)


async def passing(world: World) -> None:
    """A client of its own connections that looks around and goes."""
    async with httpx.AsyncClient(base_url=world.url, verify=False, timeout=PATIENCE) as client:  # noqa: S501
        for path in ("/health", "/"):
            assert (await client.get(path)).status_code == 200
        road = world.chance.choice(ROADS)
    async with world.staying(world.between(0, 10)), aclosing(events(world, road, None, None)) as heard:
        async for event in heard:
            assert event["type"] in ("human_input_required", "human_input_completed"), event
    world.counts["passed by"] += 1
