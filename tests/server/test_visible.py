"""What a key with patterns sees: its own executions, on every transport, and no sign of what the others hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing

import httpx
import pytest

from sayso import HumanInputServer
from tests.builders import new_id
from tests.conftest import KEY
from tests.server.followers import FOLLOWERS, Follower, take
from tests.server.keyholder import Holder, ask, call, make_key

pytestmark = pytest.mark.usefixtures("lane")

MINE = "aaaaaaaa-0000-4000-8000-000000000001"
SECRET = "the-other-team-s-plan"
_NO_REQUEST = "There is no such request; it may have been removed after it was settled."


@pytest.fixture
def secret(server: HumanInputServer) -> str:
    """Of a key that may do everything, with executions that begin with `aaaaaaaa-`."""
    return str(make_key(server.url, "ask", "answer", "read", executions=["aaaaaaaa-*"])["secret"])


@pytest.fixture
def holder(server: HumanInputServer, secret: str) -> Iterator[Holder]:
    holder = Holder.by_header(server.url, secret)
    yield holder
    holder.close()


@pytest.fixture(params=FOLLOWERS, ids=lambda follower: follower.road)
def follower(request: pytest.FixtureRequest, server: HumanInputServer, secret: str) -> Follower:
    made: Follower = request.param(server.url, secret)
    return made


@pytest.fixture
def put(server: HumanInputServer) -> Callable[..., str]:
    """Asks, maybe in another team's execution, and gives the id."""

    def put(*, mine: bool, answer: bool = False) -> str:
        execution_id = MINE if mine else f"other-{SECRET}"
        id: str = ask(server.url, execution_id=execution_id, prompt="Ship it?" if mine else SECRET)["request_id"]
        if answer:
            words = {"human_feedback": "yes" if mine else SECRET}
            done = call("POST", f"{server.url}/requests/{id}/answer", KEY, json=words)
            assert done.status_code == 200
        return id

    return put


@pytest.mark.promise("KEY-3", "STREAM-1", "STREAM-4")
async def test_a_follower_of_all_sees_what_its_key_may_see_in_order_and_without_a_gap(
    follower: Follower, put: Callable[..., str]
) -> None:
    def several() -> list[str]:
        put(mine=False)
        found = [put(mine=True), put(mine=True)]
        put(mine=False, answer=True)
        put(mine=True, answer=True)
        return found

    await asyncio.to_thread(put, mine=True, answer=True)
    open = await asyncio.to_thread(several)
    async with aclosing(follower.events(None)) as stream:
        assert [event["request_id"] for event in await take(stream, 2)] == open
        for _ in range(3):
            await asyncio.to_thread(put, mine=False, answer=True)
            ids = await asyncio.to_thread(several)
            told = await take(stream, 4)
            assert [event["request_id"] for event in told[:2]] == ids
            assert [event["execution_id"] for event in told] == [MINE] * 4


@pytest.mark.promise("KEY-3", "STREAM-2")
async def test_a_follower_resumes_after_any_event_that_it_saw(follower: Follower, put: Callable[..., str]) -> None:
    def write() -> None:
        for mine in (True, False, False, True, True, False, True, False):
            put(mine=mine, answer=True)

    await asyncio.to_thread(put, mine=True)
    async with aclosing(follower.events(None)) as stream:
        seen = await take(stream, 1)
        await asyncio.to_thread(write)
        seen += await take(stream, 8)
    for number, event in enumerate(seen[:-1]):
        async with aclosing(follower.events(None, event["event_id"])) as stream:
            assert await take(stream, len(seen) - number - 1) == seen[number + 1 :]


@pytest.mark.promise("KEY-3", "STREAM-3")
async def test_a_reset_tells_what_is_open_of_what_the_key_may_see(follower: Follower, put: Callable[..., str]) -> None:
    def write() -> list[str]:
        found = []
        for mine in (False, True, False, True):
            id = put(mine=mine)
            found += [id] if mine else []
        put(mine=True, answer=True)
        put(mine=False)
        return found

    open = await asyncio.to_thread(write)
    async with aclosing(follower.events(None, new_id())) as stream:
        (reset,) = await take(stream, 1)
        assert (reset["type"], reset["reason"], reset["open"]) == ("reset", "unknown-cursor", open)
        await asyncio.to_thread(put, mine=False)
        later = await asyncio.to_thread(put, mine=True)
        assert [event["request_id"] for event in await take(stream, 1)] == [later]


@pytest.mark.promise("KEY-3", "STREAM-6")
async def test_heartbeats_go_on_while_others_alone_are_busy_and_say_nothing_of_them(
    server: HumanInputServer, secret: str, put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sayso import limits

    monkeypatch.setattr(limits, "HEARTBEAT", 0.2)
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(timeout=30) as client,
        client.stream("GET", f"{server.url}/events/human-input", headers=headers) as response,
    ):
        heard = b""
        async for piece in response.aiter_bytes():
            heard += piece
            if heard.count(b": heartbeat") >= 3:
                break
            await asyncio.to_thread(put, mine=False, answer=True)
    assert heard.replace(b": heartbeat\n", b"") == b""


@pytest.mark.promise("KEY-3", "STREAM-8")
def test_a_poll_goes_on_past_what_it_does_not_show(
    server: HumanInputServer, secret: str, put: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sayso import limits

    def poll(cursor: str, wait: str = "") -> dict[str, object]:
        response = call("GET", f"{server.url}/poll/human-input?last_event_id={cursor}{wait}", secret)
        assert SECRET not in response.text
        page: dict[str, object] = response.json()
        return page

    monkeypatch.setattr(limits, "BATCH", 1)  # so that a read is one event
    put(mine=False)
    start = call("GET", f"{server.url}/poll/human-input", secret).json()
    assert (start["events"], start["more"]) == ([], False)
    for _ in range(3):
        put(mine=False, answer=True)
    mine = put(mine=True)
    for wait in ("", "&wait=30"):
        cursors, told = [start["cursor"]], []
        while not told:
            page = poll(str(cursors[-1]), wait)
            told = page["events"]  # type: ignore[assignment]
            cursors.append(page["cursor"])
            assert told or (page["more"] and len(cursors) < 20)
        assert [event["request_id"] for event in told] == [mine]
        assert len(set(cursors)) == len(cursors)
    assert poll(str(cursors[-1]))["events"] == []


@pytest.mark.promise("KEY-3")
def test_lists_hold_what_the_key_may_see_and_nothing_else(
    holder: Holder, secret: str, server: HumanInputServer, put: Callable[..., str]
) -> None:
    asked = [put(mine=bool(number % 3), answer=number > 5) for number in range(9)]
    visible = [id for number, id in enumerate(asked) if number % 3]
    for query in ("", "?limit=2", "?status=pending,answered&limit=1", "?q=ship"):
        found, after = [], ""
        while after is not None:
            join = "&" if query else "?"
            page = call("GET", f"{server.url}/requests{query}{join if after else ''}{after}", secret)
            assert SECRET not in page.text
            found += [one["request_id"] for one in page.json()["requests"]]
            after = page.json()["next"] and f"after={page.json()['next']}"
        assert found == visible
    assert call("GET", f"{server.url}/requests?q={SECRET}", secret).json()["requests"] == []
    assert call("GET", f"{server.url}/requests?order=newest", secret).json()["requests"][0]["request_id"] == visible[-1]


@pytest.mark.promise("KEY-3")
def test_an_address_with_another_execution_is_refused_whether_it_is_there_or_not(
    holder: Holder, put: Callable[..., str]
) -> None:
    put(mine=False)
    for id in (f"other-{SECRET}", "never-there", "aaaaaaaa", MINE.upper(), f"x{MINE}"):
        assert holder.call("GET", f"/poll/human-input/{id}") == 403
        assert holder.call("GET", f"/events/human-input/{id}") == 403
        assert holder.follow(f"/ws/human-input/{id}")[0] == 403
        assert holder.call("GET", f"/requests?execution_id={id}") == 403
        assert holder.call("POST", "/requests", json={"execution_id": id, "prompt": "a"}) == 403
        assert holder.call("PUT", f"/requests/new/resume?execution_id={id}", content=b"x") == 403
    assert holder.call("GET", f"/poll/human-input/{MINE}") == 200


@pytest.mark.promise("KEY-3")
def test_a_request_of_another_execution_is_not_there(
    holder: Holder, secret: str, server: HumanInputServer, put: Callable[..., str]
) -> None:
    pending, settled = put(mine=False), put(mine=False, answer=True)
    unknown = new_id()
    for method, end, sent in (
        ("GET", "", None),
        ("GET", "?wait=0.01", None),
        ("POST", "/answer", {"human_feedback": "yes"}),
        ("POST", "/cancel", {}),
        ("GET", "/resume", None),
    ):
        bodies = set()
        for id in (pending, settled, unknown):
            response = call(method, f"{server.url}/requests/{id}{end}", secret, **({"json": sent} if sent else {}))
            bodies.add((response.status_code, response.text.replace(id, "…")))
        assert len(bodies) == 1
        assert next(iter(bodies))[0] == 404
    message = {"type": "answer", "human_feedback": "yes"}
    messages = [message | {"request_id": id} for id in (pending, settled, unknown)]
    _, replies = holder.follow("/ws/human-input", *messages, replies=3)
    assert [reply["problem"]["detail"] for reply in replies] == [_NO_REQUEST] * 3
    assert call("GET", f"{server.url}/requests/{pending}", KEY).json()["status"] == "pending"


@pytest.mark.promise("KEY-3")
def test_what_another_execution_kept_is_not_there_and_stays(holder: Holder, server: HumanInputServer) -> None:
    right = Holder.by_header(server.url, KEY)
    assert right.call("PUT", "/requests/draft/resume?execution_id=other-1", content=b"theirs") == 204
    assert holder.call("GET", "/requests/draft/resume") == 404
    assert holder.call("PUT", f"/requests/draft/resume?execution_id={MINE}", content=b"mine") == 204
    assert holder.call("GET", "/requests/draft/resume") == 404
    assert call("GET", f"{server.url}/requests/draft/resume", KEY).content == b"theirs"
    assert holder.call("PUT", f"/requests/own/resume?execution_id={MINE}", content=b"mine") == 204
    assert holder.call("GET", "/requests/own/resume") == 200
    right.close()


@pytest.mark.promise("KEY-2")
def test_an_agents_key_sees_of_requests_those_that_its_own_name_asked(server: HumanInputServer) -> None:
    made = make_key(server.url, "ask", name="crew")
    other = make_key(server.url, "ask", name="other")["secret"]
    mine, theirs = ask(server.url, key=made["secret"]), ask(server.url, key=other)
    assert (mine["asked_by"], theirs["asked_by"]) == ("key:crew", "key:other")
    turned = call("POST", f"{server.url}/keys/{made['key']['id']}/rotate", KEY).json()["secret"]
    for secret in (made["secret"], turned):
        holder = Holder.by_header(server.url, secret)
        assert holder.call("GET", f"/requests/{mine['request_id']}?wait=0.01") == 200
        for end in ("", "/cancel"):
            method = "POST" if end else "GET"
            assert holder.call(method, f"/requests/{theirs['request_id']}{end}") == 404
            assert holder.call(method, f"/requests/{new_id()}{end}") == 404
        holder.close()
    assert call("POST", f"{server.url}/requests/{mine['request_id']}/cancel", turned).json()["settled_by"] == "key:crew"


@pytest.mark.promise("KEY-3")
def test_no_stream_says_anything_of_what_its_key_may_not_see(
    server: HumanInputServer, secret: str, put: Callable[..., str]
) -> None:
    """The bytes themselves, also of members that a follower would pass over."""
    for number in range(5):
        put(mine=False, answer=number % 2 == 0)
    put(mine=True)
    texts = []
    for cursor in ("", f"?last_event_id={new_id()}"):
        texts.append(call("GET", f"{server.url}/poll/human-input{cursor}", secret).text)
        with httpx.stream(
            "GET", f"{server.url}/events/human-input{cursor}", headers={"Authorization": f"Bearer {secret}"}
        ) as response:
            lines = response.iter_lines()
            texts.append(next(line for line in lines if line.startswith("data: ")))
    for text in texts:
        assert MINE in text
        assert SECRET not in text
        told = json.loads(text.removeprefix("data: "))
        assert not told.get("more", False)
