"""Every choice of scopes, at every address, by every way a key can come: what `RULES` says, and nothing else."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.routing import Mount, Route, WebSocketRoute

from sayso import HumanInputServer, create_app
from sayso.answer_link import RESPOND
from sayso.keys import SCOPES
from sayso.mounted import Mounted
from sayso.server import app
from sayso.server.permitted import RULES, Rule
from tests.builders import new_id
from tests.conftest import KEY
from tests.notify.push_service import Phone
from tests.notify.receiver import SECRET, configuration
from tests.server.host import Host
from tests.server.keyholder import Holder, ask, call, make_key, subsets

_OPEN = {RESPOND, "/", "/inbox/{name}", "/health", "/ready", "/openapi.json", "/asyncapi.json", "/session", "/answer"}
"""For whoever comes, or comes with the token that it takes: no scope is looked at."""


class Try(NamedTuple):
    """A call at `address` that is a use of the server: `run` gives the status of its refusal, or 200."""

    use: str
    method: str
    address: str
    run: Callable[[Holder, str], int]
    """With the id of a request that is there to be used: one that the key itself has asked where `own`."""
    own: bool = False
    also: str | None = None
    """A use that comes first: an answer by WebSocket takes one that may be opened."""


def _http(method: str, path: str, **sent: Any) -> Callable[[Holder, str], int]:
    return lambda holder, request_id: holder.call(method, path.format(id=request_id, new=new_id()), **sent)


def _socket(path: str) -> Callable[[Holder, str], int]:
    return lambda holder, _: holder.follow(path)[0]


def _answer_by_socket(holder: Holder, id: str) -> int:
    message = {"type": "answer", "request_id": id, "human_feedback": "yes"}
    status, replies = holder.follow("/ws/human-input/other", message, replies=1)
    return int(replies[0]["problem"]["status"]) if replies and replies[0]["type"] == "error" else status


_QUESTION = {"execution_id": "run-1", "prompt": "Ship it?"}
_KEY = {"scopes": ["read"]}
_EACH = [
    Try("ask", "POST", "/requests", _http("POST", "/requests", json=_QUESTION)),
    Try("list", "GET", "/requests", _http("GET", "/requests")),
    Try("list", "GET", "/requests", _http("GET", "/requests?execution_id=run-1&q=ship")),
    *(
        one
        for own in (False, True)
        for one in (
            Try("look", "GET", "/requests/{request_id}", _http("GET", "/requests/{id}"), own),
            Try("look", "GET", "/requests/{request_id}", _http("GET", "/requests/{id}?wait=0.01"), own),
            Try(
                "answer",
                "POST",
                "/requests/{request_id}/answer",
                _http("POST", "/requests/{id}/answer", json={"human_feedback": "yes"}),
                own,
            ),
            Try("cancel", "POST", "/requests/{request_id}/cancel", _http("POST", "/requests/{id}/cancel"), own),
            Try("answer", "WS", "/ws/human-input/{execution_id}", _answer_by_socket, own, also="follow"),
        )
    ),
    Try("link", "POST", "/requests/{request_id}/links", _http("POST", "/requests/{id}/links", json={"owner": "anna"})),
    *(
        Try("follow", "GET", f"/{road}/human-input{end}", _http("GET", f"/{road}/human-input{id}"))
        for road in ("events", "poll")
        for end, id in (("", ""), ("/{execution_id}", "/run-1"))
    ),
    Try("follow", "WS", "/ws/human-input", _socket("/ws/human-input")),
    Try("follow", "WS", "/ws/human-input/{execution_id}", _socket("/ws/human-input/run-1")),
    Try("answer", "POST", "/resume", lambda holder, _: _resume(holder)),
    Try(
        "keep",
        "PUT",
        "/requests/{request_id}/resume",
        _http("PUT", "/requests/{id}/resume?execution_id=run-1", content=b"x"),
    ),
    Try("keep", "GET", "/requests/{request_id}/resume", _http("GET", "/requests/kept/resume")),
    Try("lease", "PUT", "/leases/{name}", _http("PUT", "/leases/{new}", json={"holder": "a", "seconds": 9})),
    Try("lease", "DELETE", "/leases/{name}", _http("DELETE", "/leases/{new}?holder=a")),
    Try("follow", "POST", "/tickets", _http("POST", "/tickets", json={"all": True})),
    Try("follow", "POST", "/tickets", _http("POST", "/tickets", json={"execution_id": "run-1"})),
    Try("audit", "GET", "/audit", _http("GET", "/audit")),
    Try("metrics", "GET", "/metrics", _http("GET", "/metrics")),
    Try("notify", "GET", "/notifiers", _http("GET", "/notifiers")),
    Try("notify", "POST", "/notifiers/{name}/test", _http("POST", "/notifiers/hook-0/test")),
    Try("notify", "POST", "/notifiers/{name}/replay", _http("POST", "/notifiers/hook-0/replay")),
    Try("push", "GET", "/push", _http("GET", "/push")),
    Try(
        "push",
        "POST",
        "/push",
        lambda holder, _: holder.call("POST", "/push", json=Phone("https://p.example", "a").wanted),
    ),
    Try("push", "DELETE", "/push/{id}", lambda holder, _: _ended(holder)),
    Try("keys", "GET", "/keys", _http("GET", "/keys")),
    Try("keys", "POST", "/keys", lambda holder, _: holder.call("POST", "/keys", json=_KEY | {"name": new_id()})),
    Try("keys", "POST", "/keys/{id}/rotate", lambda holder, _: _turn(holder, "rotate")),
    Try("keys", "POST", "/keys/{id}/revoke", lambda holder, _: _turn(holder, "revoke")),
]


def _resume(holder: Holder) -> int:
    """The task that no other question of the run has is that of one asked here."""
    task_id = str(uuid.uuid4())
    call("POST", f"{holder.url}/requests", KEY, json=_QUESTION | {"task_id": task_id})
    given = {"execution_id": "run-1", "task_id": task_id, "human_feedback": "yes", "is_approve": True}
    return holder.call("POST", "/resume", json=given)


def _turn(holder: Holder, how: str) -> int:
    return holder.call("POST", f"/keys/{make_key(holder.url, 'ask')['key']['id']}/{how}")


def _ended(holder: Holder) -> int:
    """Of a device of its own, where it may have one."""
    made = holder.http.post("/push", json=Phone("https://p.example", "b").wanted)
    return holder.call("DELETE", f"/push/{made.json().get('id', 'none')}")


def _query_token(url: str, secret: str) -> Holder:
    return Holder(url, query=lambda path: f"{'&' if '?' in path else '?'}token={secret}")


def _ticket(url: str, secret: str) -> Holder:
    """One for each call, of all; a key that gets none comes with what is none."""

    def query(path: str) -> str:
        made = call("POST", f"{url}/tickets", secret, json={"all": True}).json()
        return f"?ticket={made.get('ticket', 'none')}"

    return Holder(url, query=query)


_WAYS: dict[str, Callable[[str, str], Holder]] = {
    "header": Holder.by_header,
    "session": Holder.by_session,
    "token": _query_token,
    "ticket": _ticket,
}


@pytest.fixture(scope="module", params=["alone", "mounted"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with every address, listening by itself and as a part of another application."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_SECRET", SECRET)
        nobody = 'rules = [{executions = ["never"]}]'
        file = configuration(tmp_path_factory.mktemp("notify") / "n.toml", "http://127.0.0.1:9/", more=nobody)
        yield from _served(request.param, file)


def _served(how: str, notify: Path) -> Iterator[str]:
    server = HumanInputServer(port=0, api_key=KEY, store=":memory:", notify=notify, quiet=True, adapters=False)
    if how == "alone":
        with server:
            yield server.url
        return
    from fastapi import FastAPI

    api = FastAPI(routes=[Route("/hello", _hello), Mount("/sayso", create_app(server))])
    with Host(api) as host:
        yield f"{host.url}/sayso"
        server.stop()


async def _hello(request: Any) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse("hello")


def _is_allowed(one: Try, scopes: set[str]) -> bool:
    def allows(rule: Rule) -> bool:
        return bool(scopes & rule.scopes) or (one.own and bool(scopes & rule.own))

    return allows(RULES[one.use]) and (one.also is None or allows(RULES[one.also]))


@pytest.mark.promise("KEY-2")
@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("scopes", subsets(SCOPES), ids="+".join)
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(url: str, scopes: tuple[str, ...], way: str) -> None:
    made = make_key(url, *scopes)
    holder = _WAYS[way](url, made["secret"])
    kept = call("PUT", f"{url}/requests/kept/resume?execution_id=run-1", KEY, content=b"x")
    assert kept.status_code == 204
    wrong = []
    for one in _EACH:
        if way in {"token", "ticket"} and not one.address.startswith(("/ws", "/events")):
            continue
        id = ask(url, key=made["secret"] if one.own and "ask" in scopes else KEY)["request_id"]
        status = one.run(holder, id)
        if (status in {401, 403, 404}) == _is_allowed(one, set(scopes)):
            wrong.append((one.use, one.method, one.address, one.own, status))
    holder.close()
    assert wrong == []


@pytest.mark.promise("KEY-2")
def test_the_matrix_has_every_use_and_every_address() -> None:
    def never() -> Any:
        raise AssertionError

    built: Any = app.build(Mounted(never)).asgi
    there = {
        (route.path, method)
        for route in built.routes
        if route.path not in _OPEN
        for method in ({"WS"} if isinstance(route, WebSocketRoute) else route.methods - {"HEAD"})
    }
    assert {(one.address, one.method) for one in _EACH} == there
    assert {one.use for one in _EACH} == set(RULES)


@pytest.mark.promise("KEY-2")
def test_the_document_has_the_rules_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs/protocol.md").read_text()
    table = page.partition("| use | at | takes |\n|---|---|---|\n")[2].partition("\n\n")[0]
    told = {}
    for row in table.splitlines():
        use, _, takes = (cell.strip() for cell in row.strip("|").split("|"))
        scopes, _, own = takes.partition("; of what it asked itself: ")
        told[use.strip("`")] = Rule(*(frozenset(re.findall(r"`(\w+)`", part)) for part in (scopes, own)))  # type: ignore[arg-type]
    assert told == RULES


@pytest.mark.promise("KEY-2")
def test_a_key_made_for_an_agent_answers_on_no_road(url: str) -> None:
    agent = make_key(url, "ask", "read")["secret"]
    for way in _WAYS.values():
        holder = way(url, agent)
        id = ask(url, key=agent)["request_id"]
        assert _answer_by_socket(holder, id) == 403
        if way not in {_query_token, _ticket}:
            assert holder.call("POST", f"/requests/{id}/answer", json={"human_feedback": "yes"}) == 403
        assert call("GET", f"{url}/requests/{id}", KEY).json()["status"] == "pending"
        holder.close()
