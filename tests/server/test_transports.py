"""The promises about following, held against every transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import jsonschema_rs
import pytest

from sayso import HumanInputServer, limits
from tests.builders import new_id
from tests.conftest import KEY
from tests.server import shapes
from tests.server.followers import FOLLOWERS, Follower, knock, take

pytestmark = pytest.mark.usefixtures("lane")

_RIGHT = {"Authorization": f"Bearer {KEY}"}
_STREAMS = ("/ws/human-input/run-1", "/events/human-input/run-1", "/poll/human-input/run-1")
_ROADS = (*_STREAMS, "/requests")
_HELD = {"/ws/human-input/run-1": 101}


@pytest.fixture(params=FOLLOWERS, ids=lambda follower: follower.road)
def follower(request: pytest.FixtureRequest, server: HumanInputServer) -> Follower:
    made: Follower = request.param(server.url)
    return made


async def _ask(api: httpx.AsyncClient, execution_id: str, **members: Any) -> str:
    response = await api.post("/requests", json={"execution_id": execution_id, "prompt": "Ship it?"} | members)
    assert response.status_code == 201, response.text
    return str(response.json()["request_id"])


async def _answer(api: httpx.AsyncClient, request_id: str) -> None:
    response = await api.post(f"/requests/{request_id}/answer", json={"human_feedback": "yes"})
    assert response.status_code == 200, response.text


async def _history(api: httpx.AsyncClient, execution_id: str, rounds: int) -> list[dict[str, Any]]:
    """Asks and answers, and gives the events of it as a poll tells them."""
    for _ in range(rounds):
        await _answer(api, await _ask(api, execution_id))
    return await _told(api, execution_id)


async def _told(api: httpx.AsyncClient, execution_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (await api.get(f"/poll/human-input/{execution_id}")).json()["events"]
    return events


@pytest.mark.promise("STREAM-1", "EVENT-1", "EVENT-2")
async def test_a_follower_sees_what_was_asked_and_then_what_came_back(
    follower: Follower, api: httpx.AsyncClient
) -> None:
    execution_id = new_id()
    async with aclosing(follower.events(execution_id)) as stream:
        for round in range(3):
            request_id = await _ask(api, execution_id)
            (required,) = await take(stream, 1)
            await _answer(api, request_id)
            (completed,) = await take(stream, 1)
            assert [required["type"], completed["type"]] == ["human_input_required", "human_input_completed"]
            assert required["request_id"] == completed["request_id"] == request_id
            assert [required["seq"], completed["seq"]] == [2 * round + 1, 2 * round + 2]
            assert required["event_id"] != completed["event_id"]


@pytest.mark.promise("STREAM-1")
@pytest.mark.parametrize("all", [False, True], ids=["one", "all"])
async def test_a_follower_sees_long_events_in_order_over_several_reads(
    follower: Follower, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, all: bool
) -> None:
    monkeypatch.setattr(limits, "BATCH", 10_000)
    execution_id = new_id()
    asked = [await _ask(api, execution_id, context="x" * 3_000) for _ in range(10)]
    async with aclosing(follower.events(None if all else execution_id)) as stream:
        seen = await take(stream, 10)
        asked += [await _ask(api, execution_id, context="x" * 3_000) for _ in range(10)]
        seen += await take(stream, 10)
    assert [event["request_id"] for event in seen] == asked


@pytest.mark.promise("STREAM-1")
async def test_many_questions_at_once_reach_every_follower_in_one_order_each_once(
    server: HumanInputServer, api: httpx.AsyncClient
) -> None:
    execution_id, count = new_id(), 40

    async def ask_and_answer() -> None:
        await _answer(api, await _ask(api, execution_id))

    async def follow(follower: Follower) -> list[dict[str, Any]]:
        async with aclosing(follower.events(execution_id)) as stream:
            return await take(stream, 2 * count)

    async with asyncio.TaskGroup() as tasks:
        seen = [tasks.create_task(follow(kind(server.url))) for kind in FOLLOWERS]
        for _ in range(count):
            tasks.create_task(ask_and_answer())
    first, *others = [task.result() for task in seen]
    assert [event["seq"] for event in first] == list(range(1, 2 * count + 1))
    assert len({event["event_id"] for event in first}) == 2 * count
    assert all(other == first for other in others)


@pytest.mark.promise("STREAM-2")
async def test_resuming_from_any_event_gives_every_later_event_once(follower: Follower, api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    events = await _history(api, execution_id, rounds=3)
    for place, event in enumerate(events):
        async with aclosing(follower.events(execution_id, event["event_id"])) as stream:
            await _ask(api, execution_id)
            told = await _told(api, execution_id)
            assert await take(stream, len(told) - place - 1) == told[place + 1 :]


@pytest.mark.promise("STREAM-4")
async def test_without_a_cursor_an_execution_begins_at_its_first_event(
    follower: Follower, api: httpx.AsyncClient
) -> None:
    execution_id = new_id()
    events = await _history(api, execution_id, rounds=2)
    await _history(api, new_id(), rounds=1)
    async with aclosing(follower.events(execution_id)) as stream:
        assert await take(stream, 4) == events


@pytest.mark.promise("STREAM-4")
async def test_without_a_cursor_all_executions_begin_with_what_is_open_and_go_on_live(
    follower: Follower, api: httpx.AsyncClient
) -> None:
    await _history(api, new_id(), rounds=2)
    waiting = [await _ask(api, new_id()), await _ask(api, new_id())]
    async with aclosing(follower.events(None)) as stream:
        opened = await take(stream, 2)
        assert [event["request_id"] for event in opened] == waiting
        assert {event["type"] for event in opened} == {"human_input_required"}
        await _answer(api, waiting[0])
        fresh = await _ask(api, new_id())
        live = await take(stream, 2)
    assert [(event["type"], event["request_id"]) for event in live] == [
        ("human_input_completed", waiting[0]),
        ("human_input_required", fresh),
    ]


@pytest.mark.promise("STREAM-1", "STREAM-4")
async def test_all_executions_lose_nothing_where_nothing_was_open_at_first(
    follower: Follower, api: httpx.AsyncClient
) -> None:
    await _history(api, new_id(), rounds=1)
    first = new_id()
    async with aclosing(follower.events(None)) as stream, asyncio.TaskGroup() as tasks:
        beginning = tasks.create_task(take(stream, 1))
        await _ask(api, first)
    assert [event["execution_id"] for event in beginning.result()] == [first]


@pytest.mark.promise("STREAM-5")
@pytest.mark.parametrize("everything", [False, True], ids=["one-execution", "all-executions"])
async def test_listing_and_then_following_from_its_cursor_misses_nothing(
    follower: Follower, api: httpx.AsyncClient, everything: bool
) -> None:
    execution_id, count = new_id(), 60
    some_are_there = asyncio.Event()
    asked: set[str] = set()

    async def ask_many(share: int) -> None:
        for _ in range(share):
            asked.add(await _ask(api, execution_id))
            if len(asked) > count // 4:
                some_are_there.set()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(ask_many(count // 4))
        await some_are_there.wait()
        scope = {} if everything else {"execution_id": execution_id}
        page = (await api.get("/requests", params=scope | {"limit": 1000})).json()
    listed = [request["request_id"] for request in page["requests"]]
    assert page["cursor"] is not None
    assert 0 < len(listed) < count
    async with aclosing(follower.events(None if everything else execution_id, page["cursor"])) as stream:
        followed = [event["request_id"] for event in await take(stream, count - len(listed))]
    assert sorted(listed + followed) == sorted(asked)


@pytest.mark.promise("STREAM-3")
@pytest.mark.parametrize("cursor", ["01890a5d-ac96-774b-bcce-b302099a8057", "of no form %00"])
@pytest.mark.parametrize("everything", [False, True], ids=["one-execution", "all-executions"])
async def test_an_unknown_cursor_gets_a_reset_with_what_is_open_and_goes_on(
    follower: Follower, api: httpx.AsyncClient, cursor: str, everything: bool
) -> None:
    execution_id = new_id()
    await _history(api, execution_id, rounds=2)
    waiting = await _ask(api, execution_id)
    head = (await api.get("/requests")).json()["cursor"]
    async with aclosing(follower.events(None if everything else execution_id, cursor)) as stream:
        assert await take(stream, 1) == [
            {"type": "reset", "reason": "unknown-cursor", "event_id": head, "open": [waiting]}
        ]
        await _answer(api, waiting)
        assert [event["type"] for event in await take(stream, 1)] == ["human_input_completed"]


@pytest.mark.promise("STREAM-3")
async def test_the_cursor_of_another_execution_gets_a_reset(follower: Follower, api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    await _history(api, execution_id, rounds=1)
    foreign = (await _history(api, new_id(), rounds=1))[0]["event_id"]
    async with aclosing(follower.events(execution_id, foreign)) as stream:
        (reset,) = await take(stream, 1)
        assert (reset["type"], reset["reason"], reset["open"]) == ("reset", "foreign-cursor", [])
        await _ask(api, execution_id)
        assert [event["seq"] for event in await take(stream, 1)] == [3]


@pytest.mark.promise("STREAM-3")
async def test_a_reset_in_an_empty_store_goes_on_from_the_beginning(follower: Follower, api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    origin = (await api.get("/requests", params={"execution_id": execution_id})).json()["cursor"]
    async with aclosing(follower.events(execution_id, "of-another-store")) as stream:
        assert await take(stream, 1) == [{"type": "reset", "reason": "unknown-cursor", "event_id": origin, "open": []}]
        await _ask(api, execution_id)
        assert [event["seq"] for event in await take(stream, 1)] == [1]


@pytest.mark.promise("EVENT-3", "SETTLE-2", "SETTLE-3")
async def test_giving_up_and_running_out_of_time_end_with_a_completed_event_too(
    follower: Follower, api: httpx.AsyncClient
) -> None:
    execution_id = new_id()
    async with aclosing(follower.events(execution_id)) as stream:
        cancelled = await _ask(api, execution_id)
        assert (await api.post(f"/requests/{cancelled}/cancel")).status_code == 200
        await _ask(api, execution_id, kind="review", timeout=0.01)
        seen = await take(stream, 4)
    ends = [event for event in seen if event["type"] == "human_input_completed"]
    assert [(end["status"], end["human_feedback"], end["decision"], end["by"]) for end in ends] == [
        ("cancelled", "", None, "key:default"),
        ("expired", "", "reject", "system:deadline"),
    ]


@pytest.mark.promise("EVENT-1", "EVENT-4")
async def test_the_events_of_every_kind_have_the_shape_of_the_seed(follower: Follower, api: httpx.AsyncClient) -> None:
    execution_id = new_id()
    asked: list[dict[str, Any]] = [
        {"reason_flags": {"ambiguity": True}, "source": {"name": "crewai", "native": {"task_id": "7"}}},
        {"kind": "review", "context": "a draft"},
        {"action": {"name": "send_mail", "args": {"to": "a@example.com"}}},
        {"options": [{"id": "a", "label": "A"}]},
        {"response_schema": {"type": "object"}},
        {"crew_id": new_id(), "task_id": new_id(), "agent_id": new_id()},
    ]
    for members in asked:
        await api.post(f"/requests/{await _ask(api, execution_id, **members)}/cancel")
    async with aclosing(follower.events(execution_id)) as stream:
        seen = await take(stream, 2 * len(asked))
    assert seen[0]["reason_flags"] == {"ambiguity": True, "missing_field": False}
    assert seen[-2]["crew_id"] == asked[-1]["crew_id"]


@pytest.mark.promise("EVENT-1")
@pytest.mark.parametrize("member", shapes.REQUIRED["required"])
def test_the_shape_check_sees_a_member_that_is_missing_or_of_another_type(member: str) -> None:
    id = new_id()
    event: dict[str, Any] = dict.fromkeys(("execution_id", "crew_id", "task_id", "agent_id", "event_id"), id) | {
        "type": "human_input_required",
        "prompt": "",
        "context": "",
        "timestamp": "2030-01-31T12:00:00Z",
        "reason_flags": {"ambiguity": False, "missing_field": False},
    }
    shapes.check(event)
    with pytest.raises((jsonschema_rs.ValidationError, KeyError)):
        shapes.check({name: value for name, value in event.items() if name != member})
    with pytest.raises((jsonschema_rs.ValidationError, KeyError)):
        shapes.check(event | {member: 7})
    if member not in {"type", "prompt", "context", "reason_flags"}:
        with pytest.raises(jsonschema_rs.ValidationError):
            shapes.check(event | {member: "neither an id nor a time"})


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("path", [*_ROADS, "/ws/human-input", "/events/human-input", "/poll/human-input"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY}x"},
    ],
    ids=["none", "wrong", "empty", "no-scheme", "another-scheme", "longer"],
)
async def test_without_the_right_key_a_call_gets_401(
    door: HumanInputServer, path: str, headers: dict[str, str]
) -> None:
    reply = await knock(door.url, path, dict(headers))
    assert (reply.status, reply.problem) == (401, "unauthorised")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert KEY.encode() not in reply.body


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("path", _ROADS)
async def test_the_right_key_in_the_header_opens_every_road(door: HumanInputServer, path: str) -> None:
    assert (await knock(door.url, path, {"Authorization": f"bearer {KEY}"})).status == _HELD.get(path, 200)


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize(
    ("path", "status"), list(zip(_ROADS, (101, 200, 401, 401), strict=True)), ids=["ws", "events", "poll", "requests"]
)
async def test_a_key_in_the_query_opens_only_the_roads_on_which_a_browser_cannot_send_a_header(
    door: HumanInputServer, path: str, status: int
) -> None:
    assert (await knock(door.url, f"{path}?token={KEY}")).status == status
    assert (await knock(door.url, f"{path}?token=wrong")).status == 401
    assert (await knock(door.url, f"{path}?token=wrong", dict(_RIGHT))).status == _HELD.get(path, 200)


@pytest.mark.promise("DOOR-1")
@pytest.mark.parametrize("path", ["/health", "/ready", "/openapi.json", "/asyncapi.json"])
async def test_health_and_the_description_need_no_key(door: HumanInputServer, path: str) -> None:
    assert (await knock(door.url, path)).status == 200


async def test_a_server_without_a_key_lets_this_machine_in(serve: Callable[..., HumanInputServer]) -> None:
    server = serve(api_key=None)
    for path in _ROADS:
        assert (await knock(server.url, path)).status == _HELD.get(path, 200)


@pytest.mark.promise("DOOR-4")
@pytest.mark.parametrize("path", [*_ROADS, "/health", "/ready"])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Real-IP"])
async def test_without_a_key_a_call_that_a_proxy_passed_on_gets_403(
    keyless: HumanInputServer, door: HumanInputServer, path: str, header: str
) -> None:
    passed_on = {header: "for=192.0.2.1" if header == "Forwarded" else "192.0.2.1"}
    reply = await knock(keyless.url, path, dict(passed_on))
    assert (reply.status, reply.problem) == (403, "forbidden")
    assert (await knock(door.url, path, _RIGHT | passed_on)).status == _HELD.get(path, 200)


@pytest.mark.promise("DOOR-2")
@pytest.mark.parametrize("path", _ROADS)
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:1", "http://localhost", "chrome-extension://abc", "http://["],
)
async def test_a_page_of_another_origin_gets_403(door: HumanInputServer, path: str, origin: str) -> None:
    reply = await knock(door.url, path, _RIGHT | {"Origin": origin})
    assert (reply.status, reply.problem) == (403, "forbidden")
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.promise("DOOR-2")
@pytest.mark.parametrize("path", _ROADS)
async def test_the_servers_own_pages_and_those_it_names_are_let_in(named: HumanInputServer, path: str) -> None:
    for origin in (named.url, "https://app.example.com", "https://APP.example.com"):
        assert (await knock(named.url, path, _RIGHT | {"Origin": origin})).status == _HELD.get(path, 200)
    for origin in ("https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:444"):
        assert (await knock(named.url, path, _RIGHT | {"Origin": origin})).status == 403


@pytest.mark.promise("DOOR-2")
async def test_a_foreign_page_cannot_answer_by_a_plain_form(api: httpx.AsyncClient) -> None:
    request_id = await _ask(api, new_id())
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    response = await api.post(f"/requests/{request_id}/answer", content='{"human_feedback": "yes"}', headers=headers)
    assert response.status_code == 403
    assert (await api.get(f"/requests/{request_id}")).json()["status"] == "pending"


@pytest.mark.parametrize("path", _ROADS[1:])
async def test_a_browser_may_ask_first_whether_a_named_page_may_call(named: HumanInputServer, path: str) -> None:
    asking = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST" if path == "/requests" else "GET",
        "Access-Control-Request-Headers": "authorization, content-type, last-event-id, prefer",
    }
    async with httpx.AsyncClient(base_url=named.url) as browser:
        allowed = await browser.options(path, headers=asking)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        refused = await browser.options(path, headers=asking | {"Origin": "https://evil.example"})
        assert refused.status_code >= 400
        assert "access-control-allow-origin" not in refused.headers
    for headers in ({}, _RIGHT):
        reply = await knock(named.url, path, headers | {"Origin": "https://app.example.com"})
        assert reply.headers["access-control-allow-origin"] == "https://app.example.com"


@pytest.mark.promise("DOOR-3")
@pytest.mark.parametrize("path", [*_ROADS, "/health", "/ready"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil:8000"])
async def test_a_name_that_is_not_this_machines_gets_403(door: HumanInputServer, path: str, host: str) -> None:
    reply = await knock(door.url, path, _RIGHT | {"Host": host})
    assert (reply.status, reply.problem) == (403, "forbidden")


@pytest.mark.promise("DOOR-3")
@pytest.mark.parametrize("path", _ROADS)
@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:1234", "[::1]:8000", "app.localhost"])
async def test_any_name_of_this_machine_is_let_in(door: HumanInputServer, path: str, host: str) -> None:
    assert (await knock(door.url, path, _RIGHT | {"Host": host})).status == _HELD.get(path, 200)


@pytest.mark.promise("DOOR-3")
async def test_behind_a_proxy_the_public_name_is_let_in_once_it_is_named(named: HumanInputServer) -> None:
    headers = {"Host": "app.example.com", "Origin": "https://app.example.com"}
    for path in _ROADS:
        assert (await knock(named.url, path, _RIGHT | headers)).status == _HELD.get(path, 200)


@pytest.mark.parametrize("road", ["ws", "events", "poll"])
@pytest.mark.parametrize("id", ["a%20b", "a%00b", "x" * 129, "%C3%BC", "a%0Ab", "a,b"])
async def test_an_execution_id_outside_the_grammar_gets_422(door: HumanInputServer, road: str, id: str) -> None:
    reply = await knock(door.url, f"/{road}/human-input/{id}", dict(_RIGHT))
    assert (reply.status, reply.problem) == (422, "invalid")
    assert b'"pointer":"/execution_id"' in reply.body


@pytest.mark.parametrize("path", _ROADS)
async def test_an_address_longer_than_the_limit_gets_413(door: HumanInputServer, path: str) -> None:
    reply = await knock(door.url, f"{path}?last_event_id={'x' * 9_000}", dict(_RIGHT))
    assert (reply.status, reply.problem) == (413, "too-large")


@pytest.mark.promise("DOOR-2", "DOOR-8")
@pytest.mark.parametrize(
    ("origin", "method"), [("https://evil.example", "GET"), ("https://app.example.com", "PUT"), ("null", "DELETE")]
)
def test_a_page_that_asks_whether_it_may_and_may_not_gets_403_and_a_problem(
    named: HumanInputServer, origin: str, method: str
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    reply = httpx.options(f"{named.url}/requests", headers=headers)
    assert reply.status_code == 403
    assert reply.json()["type"] == "urn:sayso:problem:forbidden"
    assert "access-control-allow-origin" not in reply.headers
    assert (reply.headers["vary"], reply.headers["x-content-type-options"]) == ("Origin", "nosniff")
