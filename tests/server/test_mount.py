"""Mounted in somebody else's application, on somebody else's loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sayso import HumanInputServer, create_app
from sayso.gateway import Gateway
from tests.builders import new_id, question
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, Follower, take
from tests.server.host import Host

_RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[HumanInputServer]:
    server = HumanInputServer(
        port=0, api_key=KEY, store=f"sqlite:///{tmp_path / 'mounted.db'}", quiet=True, adapters=False
    )
    yield server
    server.stop()


def _api(server: HumanInputServer, prefix: str) -> FastAPI:
    api = FastAPI()

    @api.get("/hello")
    async def hello() -> str:
        return "hello"

    api.mount(prefix, create_app(server))
    return api


@pytest.fixture(params=["/sayso", "/a/b"])
def address(request: pytest.FixtureRequest, mounted: HumanInputServer) -> Iterator[str]:
    """Where the server is reached: the host's address and the prefix."""
    with Host(_api(mounted, request.param)) as host:
        yield host.url + request.param
        mounted.stop()


@pytest.mark.parametrize("kind", FOLLOWERS, ids=lambda kind: kind.road)
async def test_everything_works_under_a_prefix_and_on_another_loop(address: str, kind: type[Follower]) -> None:
    execution_id = new_id()
    async with (
        httpx.AsyncClient(headers=_RIGHT, timeout=30) as api,
        aclosing(kind(address).events(execution_id)) as stream,
    ):
        asked = await api.post(f"{address}/requests", json={"execution_id": execution_id, "prompt": "Ship it?"})
        assert asked.status_code == 201
        assert [event["type"] for event in await take(stream, 1)] == ["human_input_required"]
        path = httpx.URL(address).path
        assert asked.headers["location"] == f"{path}/requests/{asked.json()['request_id']}"
        look = asyncio.create_task(api.get(address.removesuffix(path) + asked.headers["location"] + "?wait=50"))
        answer = f"{address}/requests/{asked.json()['request_id']}/answer"
        assert (await api.post(answer, json={"human_feedback": "yes"})).status_code == 200
        assert [event["human_feedback"] for event in await take(stream, 1)] == ["yes"]
        assert (await look).json()["status"] == "answered"


async def test_an_answer_on_a_mounted_socket_is_taken(address: str) -> None:
    uri = address.replace("http", "ws", 1) + f"/ws/human-input?token={KEY}"
    async with httpx.AsyncClient(headers=_RIGHT) as api, websockets.connect(uri) as socket, asyncio.timeout(10):
        await api.post(f"{address}/requests", json={"execution_id": "run-1", "prompt": "Ship it?"})
        asked = json.loads(await socket.recv())
        await socket.send(json.dumps({"type": "answer", "request_id": asked["request_id"], "human_feedback": "yes"}))
        types = {json.loads(await socket.recv())["type"] for _ in range(2)}
        assert types == {"answer_accepted", "human_input_completed"}


@pytest.mark.promise("DOOR-1")
async def test_the_door_is_the_same_under_a_prefix(address: str) -> None:
    async with httpx.AsyncClient() as api:
        for path, status in [
            *(("/health", 200), ("/ready", 200), ("/openapi.json", 200), ("/asyncapi.json", 200)),
            *(("/requests", 401), ("/poll/human-input", 401)),
        ]:
            assert (await api.get(address + path)).status_code == status
            assert (await api.get(f"{address}{path}?token={KEY}")).status_code == status
        async with api.stream("GET", f"{address}/events/human-input?token={KEY}") as stream:
            assert stream.status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        async with websockets.connect(address.replace("http", "ws", 1) + "/ws/human-input?token=wrong"):
            pass
    assert refused.value.response.status_code == 401


async def test_routes_run_on_the_hosts_loop_and_the_gateway_on_its_own(mounted: HumanInputServer) -> None:
    loops = []

    async def look(gateway: Gateway) -> None:
        loops.append(asyncio.get_running_loop())

    create_app(mounted)
    assert mounted._running is not None
    await mounted._running.call(look)
    assert loops[0] is not asyncio.get_running_loop()


@pytest.mark.parametrize("framework", ["fastapi", "starlette"])
def test_it_works_in_a_test_client_without_a_lifespan(mounted: HumanInputServer, framework: str) -> None:
    if framework == "fastapi":
        client = TestClient(_api(mounted, "/sayso"), headers=_RIGHT)
    else:
        client = TestClient(Starlette(routes=[Mount("/sayso", create_app(mounted))]), headers=_RIGHT)
    asked = client.post("/sayso/requests", json={"execution_id": "run-1", "prompt": "Ship it?"}).json()
    answer = client.post(f"/sayso/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"})
    assert answer.json()["status"] == "answered"
    assert len(client.get("/sayso/poll/human-input/run-1").json()["events"]) == 2
    with client.websocket_connect("/sayso/ws/human-input/run-1", headers=dict(_RIGHT)) as socket:
        assert [socket.receive_json()["seq"] for _ in range(2)] == [1, 2]


def test_it_works_as_the_whole_application_with_a_lifespan(mounted: HumanInputServer) -> None:
    """A test client that is entered, and most ASGI servers, start an application by its lifespan."""
    with TestClient(create_app(mounted)) as client:
        assert client.get("/health").status_code == 200


def test_an_agent_of_the_process_asks_through_a_mounted_server(mounted: HumanInputServer) -> None:
    client = TestClient(create_app(mounted), headers=_RIGHT)
    assert mounted._running is not None
    asked = mounted._running.submit(question())
    request_id = asked.stored.result(10).request_id
    assert client.post(f"/requests/{request_id}/answer", json={"human_feedback": "yes"}).status_code == 200
    assert asked.settled.result(10).human_feedback == "yes"


@asynccontextmanager
async def _follower(address: str, kind: str) -> AsyncIterator[Callable[[], Any]]:
    """Gives what waits for the clean end of a stream that has begun."""
    if kind == "ws":
        async with websockets.connect(
            f"{address.replace('http', 'ws', 1)}/ws/human-input", additional_headers=_RIGHT
        ) as socket:

            async def end() -> None:
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012

            yield end
        return
    async with (
        httpx.AsyncClient(headers=_RIGHT, timeout=30) as client,
        client.stream("GET", f"{address}/events/human-input") as response,
    ):
        chunks = response.aiter_bytes()
        await anext(chunks)

        async def end() -> None:
            async for _ in chunks:
                pass

        yield end


@pytest.mark.promise("STREAM-9")
@pytest.mark.parametrize("kind", ["ws", "events"])
async def test_stopping_a_mounted_server_ends_its_streams(
    mounted: HumanInputServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Host(_api(mounted, "/sayso")) as host:
        async with _follower(f"{host.url}/sayso", kind) as end, asyncio.timeout(10):
            await asyncio.to_thread(mounted.stop)
            await end()
        async with httpx.AsyncClient(headers=_RIGHT) as api:
            gone = await api.get(f"{host.url}/sayso/requests")
            assert (gone.status_code, gone.json()["type"]) == (503, "urn:sayso:problem:unavailable")
    assert [
        record.getMessage() for record in caplog.records if record.name.startswith("uvicorn") and record.exc_info
    ] == []


@pytest.mark.promise("DOOR-4")
@pytest.mark.parametrize("server_address", ["192.0.2.1", "2001:db8::1", "10.0.0.1", "0.0.0.0"])  # noqa: S104 - no bind
@pytest.mark.parametrize("path", ["/requests", "/poll/human-input", "/events/human-input"])
async def test_without_a_key_a_mounted_server_refuses_calls_on_a_reachable_address(
    server_address: str, path: str
) -> None:
    server = HumanInputServer(port=0, quiet=True, adapters=False)
    app = create_app(server)
    assert (await _call(app, path, server_address))["status"] == 403
    assert (await _call(app, path.replace("/events", "/poll"), "127.0.0.1"))["status"] == 200
    server.stop()


@pytest.mark.promise("DOOR-4")
async def test_with_a_key_a_mounted_server_is_called_on_any_address(mounted: HumanInputServer) -> None:
    app = create_app(mounted)
    assert (await _call(app, "/requests", "192.0.2.1"))["status"] == 401
    key = (b"authorization", f"Bearer {KEY}".encode())
    assert (await _call(app, "/requests", "192.0.2.1", key))["status"] == 200


async def _call(app: ASGIApp, path: str, address: str, *headers: tuple[bytes, bytes]) -> Message:
    """The start of the response to a call that came in on `address`."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost" if address == "127.0.0.1" else b"sayso.example"), *headers],
        "server": (address, 80),
    }
    await app(scope, receive, send)
    return sent[0]


async def test_a_store_in_use_gives_503_and_later_calls_try_again(
    serve: Callable[..., HumanInputServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    owner = serve(store=store)
    mounted = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False)
    transport = httpx.ASGITransport(create_app(mounted))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=_RIGHT) as api:
        refused = await api.get("/requests")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:sayso:problem:unavailable")
        assert refused.headers["retry-after"] == "1"
        assert str(tmp_path) not in refused.text
        assert "is open in another process" in caplog.text
        await asyncio.to_thread(owner.stop)
        assert (await api.get("/requests")).status_code == 200
    await asyncio.to_thread(mounted.stop)


@pytest.mark.parametrize("kind", ["ws", "events"])
async def test_a_stream_on_a_store_in_use_is_refused_not_broken(
    serve: Callable[..., HumanInputServer], tmp_path: Path, kind: str
) -> None:
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    serve(store=store)
    mounted = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False)
    with Host(_api(mounted, "/sayso")) as host:
        if kind == "events":
            async with (
                httpx.AsyncClient(headers=_RIGHT) as api,
                api.stream("GET", f"{host.url}/sayso/events/human-input") as response,
            ):
                assert response.status_code == 503
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with websockets.connect(
                    f"{host.url.replace('http', 'ws', 1)}/sayso/ws/human-input", additional_headers=_RIGHT
                ) as socket:
                    await socket.recv()
            assert refused.value.response.status_code == 503
        await asyncio.to_thread(mounted.stop)


async def test_a_mounted_server_starts_nothing_before_it_is_used(mounted: HumanInputServer) -> None:
    before = threading.enumerate()
    create_app(mounted)
    assert threading.enumerate() == before


@pytest.mark.parametrize("length", [b"\xb2", b"9" * 5_000, b"-1", b"+5", b"1e3"])
async def test_a_length_that_is_no_number_is_counted_like_none_where_a_host_lets_it_in(length: bytes) -> None:
    """Whatever ASGI server stands before it: these are digits to Python, or no number that it reads."""
    server = HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False)
    try:
        transport = httpx.ASGITransport(create_app(server))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
            question = b'{"execution_id": "run-1", "prompt": "Ship it?"}'
            reply = await api.post("/requests", content=question, headers=[(b"content-length", length)])
        assert reply.status_code == (413 if length.isdigit() else 201)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/requests"), ("DELETE", "/session"), ("GET", "/events/human-input")]
)
async def test_an_address_that_is_not_ascii_is_refused_where_a_host_lets_it_in(method: str, path: str) -> None:
    server = HumanInputServer(port=0, store=":memory:", quiet=True, adapters=False)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"execution_id": "run-1", "prompt": "Ship it?"}'}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"a=\xe1"}
    try:
        await create_app(server)({**scope, "headers": [(b"host", b"localhost")], "scheme": "http"}, receive, send)
    finally:
        server.stop()
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["type"] == "urn:sayso:problem:malformed"
