"""The doors that are the same on every road: REST, the streams, the inbox, on a port of its own and mounted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sayso import HumanInputServer, create_app, limits
from sayso.server.listen import bind
from tests.conftest import KEY
from tests.server.raw import AUTHORISED, UPGRADE, call, say


class Road(NamedTuple):
    path: str
    status: int
    """For a call that is as it should be."""
    method: str = "GET"


ROADS = {
    "list": Road("/requests", 200),
    "ask": Road("/requests", 422, "POST"),
    "look": Road("/requests/unknown", 404),
    "answer": Road("/requests/unknown/answer", 422, "POST"),
    "poll": Road("/poll/human-input/run-1", 200),
    "sse": Road("/events/human-input/run-1", 200),
    "websocket": Road("/ws/human-input/run-1", 101),
    "page": Road("/", 200),
    "file": Road("/inbox/sayso-inbox.js", 200),
    "session": Road("/session", 200),
    "health": Road("/health", 200),
    "document": Road("/openapi.json", 200),
    "unknown": Road("/unknown", 404),
    "another method": Road("/requests", 405, "DELETE"),
}


class _Mounted:
    """The same server in somebody else's application, on uvicorn as it comes."""

    def __enter__(self) -> str:
        self._server = HumanInputServer(port=0, api_key=KEY, store=":memory:", quiet=True, adapters=False)
        host = Starlette(routes=[Mount("/sayso", create_app(self._server))])
        (self._listener,) = bind("127.0.0.1", 0)
        self._host = uvicorn.Server(uvicorn.Config(host, log_config=None, timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._host.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._host.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module", params=["own", "mounted"])
def place(request: pytest.FixtureRequest, door: HumanInputServer) -> Iterator[tuple[str, str]]:
    """Address and prefix."""
    if request.param == "own":
        yield door.url, ""
        return
    with _Mounted() as url:
        yield url, "/sayso"


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> Road:
    return ROADS[request.param]


@pytest.mark.promise("DOOR-7")
@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "Content-Length", "Cookie", "Sec-Fetch-Site"])
async def test_two_headers_where_one_decides_get_400(place: tuple[str, str], road: Road, name: str) -> None:
    url, prefix = place
    host = url.removeprefix("http://")
    values = {"Host": host, "Origin": url, "Authorization": AUTHORISED[1], "Content-Length": "0"}
    once = [AUTHORISED, ("Host", host)]
    decides = (name, values.get(name, "none"))
    once = [pair for pair in once if pair[0] != name] + [decides]
    assert (await call(url, prefix + road.path, *once, method=road.method)).status == road.status  # the control
    again = (name, "1") if name == "Content-Length" else decides  # of two equal lengths h11 makes one
    reply = await call(url, prefix + road.path, *once, again, method=road.method)
    assert reply.status == 400
    if reply.headers["content-type"] == "application/problem+json":  # not where the host's own server has refused it
        assert reply.problem == "malformed"


@pytest.mark.promise("DOOR-7")
async def test_a_length_said_in_two_ways_gets_400(door: HumanInputServer, road: Road) -> None:
    """h11 passes the call on with one of them: a proxy before it may have taken the other."""
    twice = (("Content-Length", "2"), ("Transfer-Encoding", "chunked"))
    reply = await call(door.url, road.path, AUTHORISED, *twice, method=road.method, body=b"2\r\n{}\r\n0\r\n\r\n")
    assert (reply.status, reply.problem) == (400, "malformed")


@pytest.mark.promise("DOOR-7")
async def test_a_whole_address_as_target_is_taken_and_its_host_counts(door: HumanInputServer, road: Road) -> None:
    port = door.url.rpartition(":")[2]
    for target in (f"{door.url}{road.path}", f"HTTP://127.0.0.1:{port}{road.path}?x=1"):
        assert (await call(door.url, target, AUTHORISED, method=road.method)).status == road.status
        elsewhere = await call(door.url, target, AUTHORISED, ("Host", "evil.example"), method=road.method)
        assert elsewhere.status == road.status
    reply = await call(door.url, f"http://evil.example{road.path}", AUTHORISED, method=road.method)
    assert (reply.status, reply.problem) == (403, "forbidden")
    reply = await call(door.url, f"http://[{road.path}", AUTHORISED, method=road.method)
    assert (reply.status, reply.problem) == (400, "malformed")


@pytest.mark.parametrize("target", ["*", "localhost:80", "//", "http:", "https://"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "CONNECT", "TRACE"])
async def test_odd_targets_and_methods_are_refused_as_the_clients_mistake(
    door: HumanInputServer, method: str, target: str
) -> None:
    reply = await call(door.url, target, AUTHORISED, method=method)
    assert 400 <= reply.status < 500


@pytest.mark.promise("CAP-4")
async def test_headers_over_the_limit_get_413(door: HumanInputServer, road: Road) -> None:
    fits = [(f"X-{number}", "x" * 1_000) for number in range(12)]
    assert (await call(door.url, road.path, AUTHORISED, *fits, method=road.method)).status == road.status
    for over in (fits * 2, [("X-1", "x" * limits.HEADERS)], [("X-1", "x" * 200_000)]):
        reply = await call(door.url, road.path, AUTHORISED, *over, method=road.method)
        assert (reply.status, reply.problem) == (413, "too-large")


@pytest.mark.promise("CAP-4")
async def test_an_address_over_the_limit_gets_413(place: tuple[str, str], road: Road) -> None:
    url, prefix = place
    if prefix and road.status == 101:
        return  # the host's own WebSocket engine does not let it through
    reply = await call(url, f"{prefix}{road.path}?x={'x' * limits.URL}", AUTHORISED, method=road.method)
    assert (reply.status, reply.problem) == (413, "too-large")


_BROKEN = {
    "no protocol": b"GET /health\r\n\r\n",
    "garbage": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    "a space in a header's name": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX Y: 1\r\n\r\n",
    "an unknown coding": b"POST /requests HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two lengths": b"POST /requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length that is none": b"POST /requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
}


@pytest.mark.promise("DOOR-8")
async def test_every_answer_carries_the_headers_that_keep_browsers_from_guessing(
    place: tuple[str, str], road: Road
) -> None:
    url, prefix = place
    for headers in ((AUTHORISED,), (), (AUTHORISED, ("Origin", "https://evil.example")), (AUTHORISED, AUTHORISED)):
        reply = await call(url, prefix + road.path, *headers, method=road.method)
        if reply.status == 101:
            continue
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] in {"no-store", "no-cache"}
        assert "strict-transport-security" not in reply.headers
        for name in ("x-content-type-options", "content-security-policy", "referrer-policy", "cache-control"):
            assert len(reply.headers.getlist(name)) == 1


@pytest.mark.promise("DOOR-8")
@pytest.mark.parametrize("name", _BROKEN)
async def test_what_is_no_call_gets_a_problem_too(door: HumanInputServer, name: str) -> None:
    reply = await say(door.url, _BROKEN[name])
    assert (reply.status, reply.problem) == (400, "malformed")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["connection"] == "close"


@pytest.mark.promise("DOOR-8")
@pytest.mark.parametrize("instead", [("Version", "8"), ("Version", "\xe9")])
async def test_what_opens_no_websocket_gets_a_problem_too(door: HumanInputServer, instead: tuple[str, str]) -> None:
    name, value = f"Sec-WebSocket-{instead[0]}", instead[1]
    headers = [one for one in UPGRADE if one[0] != name] + [(name, value), ("Host", "localhost"), AUTHORISED]
    lines = ["GET /ws/human-input HTTP/1.1", *(": ".join(one) for one in headers), "", ""]
    reply = await say(door.url, "\r\n".join(lines).encode("latin-1"))
    assert (reply.status, reply.problem) == (400, "malformed")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["sec-websocket-version"] == "13"
    assert reply.headers["connection"] == "close"


@pytest.mark.promise("DOOR-8")
@pytest.mark.parametrize("path", ["/ws/unknown", "/health", "/ws/human-input/"])
async def test_a_websocket_at_an_address_that_is_none_gets_a_problem_too(place: tuple[str, str], path: str) -> None:
    url, prefix = place
    reply = await call(url, prefix + path, AUTHORISED, *(() if path.startswith("/ws/") else UPGRADE))
    assert (reply.status, reply.problem) == (404, "not-found")
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.promise("DOOR-8")
async def test_an_answer_to_a_crash_carries_them_too(door: HumanInputServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("sayso.server.intake.whole_number", crash)
    reply = await call(door.url, "/requests", AUTHORISED)
    assert (reply.status, reply.problem) == (500, "internal")
    assert reply.headers["x-content-type-options"] == "nosniff"
