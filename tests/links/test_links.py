"""What a link is good for: one question, one answer, in its owner's name, and nothing by being looked at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sayso import HumanInputServer, create_app, limits
from tests.conftest import KEY
from tests.links.conftest import OWNER, PAGE, made
from tests.server.host import Host
from tests.server.keyholder import ask as asked
from tests.server.keyholder import call, make_key

Ask = Callable[..., dict[str, Any]]
Link = Callable[..., str]
CALL = {"title": "Refund", "action": {"name": "refund", "args": {"amount": 120.5, "to": "Ea"}}}


def look(url: str, id: str) -> dict[str, Any]:
    request: dict[str, Any] = call("GET", f"{url}/requests/{id}", KEY).json()
    return request


@pytest.mark.promise("LINK-1")
def test_a_link_that_is_fetched_a_hundred_times_decides_nothing(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    id = ask(title="Ship it on Friday?", kind="review", context="The draft.")["request_id"]
    url = link(id)
    for method in ("GET", "HEAD") * 50:
        assert anna.request(method, url).status_code == 200
    assert anna.get(url + "&decision=approve&showing=1").status_code == 200
    assert look(server.url, id)["status"] == "pending"
    page = anna.get(url)
    assert "Ship it on Friday?" in page.text
    assert "The draft." in page.text


@pytest.mark.promise("LINK-2", "ANSWER-2")
def test_who_answers_is_the_owner_and_the_second_learns_who_was_first(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    id = ask(kind="gate", prompt="Go on?")["request_id"]
    url, other = link(id), link(id, owner="bo@example.com")
    answer = {"decision": "reject", "words": "Not before Monday"}
    assert "Rejected by anna@example.com" in anna.post(url, data=answer).text
    settled = look(server.url, id)
    assert (settled["status"], settled["settled_by"], settled["settled_channel"]) == (
        "answered",
        f"link:{OWNER}",
        "link",
    )
    for again in (url, other):
        late = anna.post(again, data={"decision": "approve"})
        assert late.status_code == 409
        assert "Rejected by anna@example.com" in late.text
        assert "Not before Monday" in late.text
        assert "<form" not in anna.get(again).text
    entry = call("GET", f"{server.url}/audit?execution_id=run-1", KEY).text.splitlines()[-1]
    assert f'"by":"link:{OWNER}"' in entry
    assert '"proof":"link"' in entry
    assert '"channel":"link"' in entry


@pytest.mark.promise("LINK-2", "ANSWER-2")
def test_of_eight_that_answer_at_the_same_moment_one_wins(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    for _ in range(5):
        id = ask()["request_id"]
        urls = [link(id, owner=f"person-{number}") for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda url: anna.post(url, data={"decision": "respond", "words": url}), urls))
        first = [url for url, reply in zip(urls, replies, strict=True) if reply.status_code == 200]
        assert sorted(reply.status_code for reply in replies) == [200] + 7 * [409]
        assert look(server.url, id)["answer"]["text"] == first[0]


@pytest.mark.promise("LINK-2", "ANSWER-3")
def test_a_form_that_is_sent_twice_is_one_answer(ask: Ask, link: Link, anna: httpx.Client) -> None:
    url = link(ask()["request_id"])
    form = {"decision": "respond", "words": "blue", "showing": "of-one-page"}
    assert [anna.post(url, data=form).status_code for _ in range(3)] == 3 * [200]
    assert anna.post(url, data=form | {"words": "red"}).status_code == 409
    assert anna.post(url, data=form | {"showing": "of-another"}).status_code == 409


@pytest.mark.promise("LINK-2", "KEY-2")
def test_a_link_opens_no_other_road_and_no_other_request(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    id, other = ask()["request_id"], ask()["request_id"]
    token = link(id).partition("token=")[2]
    for method, path in (
        ("GET", "/requests"),
        ("GET", f"/requests/{id}"),
        ("POST", f"/requests/{id}/answer"),
        ("POST", f"/requests/{id}/links"),
        ("GET", "/poll/human-input"),
        ("GET", "/events/human-input"),
        ("GET", "/audit"),
    ):
        assert call(method, f"{server.url}{path}?token={token}", "", json={}).status_code == 401, path
        assert call(method, f"{server.url}{path}", token, json={}).status_code == 401, path
    form = {"decision": "respond", "words": "blue", "request_id": other, "by": "key:default", "owner": "bo"}
    assert anna.post(f"{server.url}/answer?token={token}&request_id={other}", data=form).status_code == 200
    assert look(server.url, other)["status"] == "pending"
    assert look(server.url, id)["settled_by"] == f"link:{OWNER}"


@pytest.mark.promise("LINK-3")
def test_what_is_no_link_and_what_has_ended_says_so(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    id = ask()["request_id"]
    url = link(id)
    for none in (url[:-1], f"{server.url}/answer", f"{server.url}/answer?token=", url.replace("token=", "token=x")):
        for reply in (anna.get(none), anna.post(none, data={"decision": "respond", "words": "x"})):
            assert (reply.status_code, "That is no answer link" in reply.text) == (404, True)
    over = link(id, expires_in=0.000001)
    for reply in (anna.get(over), anna.post(over, data={"decision": "respond", "words": "x"})):
        assert (reply.status_code, "This link has ended" in reply.text) == (410, True)
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
    for address, code in ((url[:-1], "not-found"), (over, "link-over")):
        told = anna.get(address, headers={"Accept": "application/json"})
        assert told.json()["type"] == f"urn:sayso:problem:{code}"
    assert look(server.url, id)["status"] == "pending"


@pytest.mark.promise("LINK-3")
def test_a_link_counts_after_a_restart_and_on_every_server_of_its_store(
    serve: Callable[..., HumanInputServer], tmp_path: Path, database: str, anna: httpx.Client
) -> None:
    first = serve(store=f"sqlite:///{tmp_path / 'a.db'}")
    id = asked(first.url)["request_id"]
    path = made(first.url, id)
    first.stop()
    again = serve(store=f"sqlite:///{tmp_path / 'a.db'}")
    assert anna.get(again.url + path).status_code == 200
    assert anna.get(serve().url + path).status_code == 404  # of another store
    one, other = serve(store=database), serve(store=database)
    path = made(one.url, asked(one.url)["request_id"])
    assert anna.post(other.url + path, data={"decision": "respond", "words": "blue"}).status_code == 200
    assert anna.post(one.url + path, data={"decision": "respond", "words": "red"}).status_code == 409


@pytest.mark.promise("LINK-3", "DOOR-4")
def test_a_link_is_opened_from_anywhere_and_needs_no_key(
    serve: Callable[..., HumanInputServer], anna: httpx.Client
) -> None:
    """Through a proxy, under the public name, in a page without an origin: what counts is the link."""
    server = serve(api_key=None)
    id = asked(server.url, key="")["request_id"]
    url = server.url + made(server.url, id, key="")
    outside = {"X-Forwarded-For": "192.0.2.7", "Host": "sayso.example.com", "Origin": "null"}
    assert call("GET", f"{server.url}/requests/{id}", "", headers=outside).status_code == 403
    assert anna.get(url, headers=outside).status_code == 200
    assert anna.post(url, headers=outside, data={"decision": "respond", "words": "blue"}).status_code == 200
    assert look(server.url, id)["settled_by"] == f"link:{OWNER}"


@pytest.mark.promise("LINK-4", "ANSWER-4")
def test_what_cannot_be_taken_is_shown_again_and_uses_nothing_up(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    schema = {
        "type": "object",
        "required": ["people"],
        "properties": {
            "people": {"type": "integer", "maximum": 9},
            "name": {"type": "string"},
            "vip": {"type": "boolean"},
        },
    }
    id = ask(response_schema=schema)["request_id"]
    url = link(id)
    tries = [
        ({}, "press one of the buttons"),
        ({"decision": "approve"}, "takes only: respond"),
        ({"decision": "shrug"}, "decision"),
        ({"decision": "respond"}, "must not be left empty"),
        ({"decision": "respond", "value-0": "many"}, "must be a number"),
        ({"decision": "respond", "value-0": "true"}, "must be a number"),
        ({"decision": "respond", "value-0": "12", "value-1": "<Ea>"}, "9"),
        ({"decision": "respond", "value-0": "2", "value-2": "maybe"}, "must be yes or no"),
    ]
    for form, why in tries:
        reply = anna.post(url, data=form | {"words": "so far"})
        assert (reply.status_code, why in reply.text) == (422, True), (form, reply.text)
        assert "so far" in reply.text
    assert 'value="<Ea&gt;"' in anna.post(url, data=tries[6][0]).text
    assert anna.post(url, content=b"\xff" * 10).status_code == 422
    assert anna.post(url, content=urlencode([("a", "b")] * (limits.FORM_FIELDS + 1))).status_code == 422
    assert anna.post(url, content=b"x" * (limits.FORM + 1)).status_code == 413
    assert look(server.url, id)["status"] == "pending"
    assert anna.post(url, data={"decision": "respond", "value-0": "2", "value-2": "true"}).status_code == 200
    assert look(server.url, id)["answer"]["values"] == {"people": 2, "vip": True}


@pytest.mark.promise("LINK-4", "AUDIT-4")
def test_an_approval_is_of_the_call_that_the_page_has_shown(
    server: HumanInputServer, ask: Ask, link: Link, anna: httpx.Client
) -> None:
    request = ask(**CALL)
    url = link(request["request_id"])
    for seen in ({}, {"seen": ""}, {"seen": "0" * 64}):
        assert anna.post(url, data={"decision": "approve"} | seen).status_code == 409
    assert look(server.url, request["request_id"])["status"] == "pending"
    assert request["action"]["digest"] in anna.get(url).text
    assert anna.post(url, data={"decision": "approve", "seen": request["action"]["digest"]}).status_code == 200


@pytest.mark.promise("LINK-4")
def test_a_long_answer_in_any_script_has_room(
    ask: Ask, link: Link, server: HumanInputServer, anna: httpx.Client
) -> None:
    id = ask()["request_id"]
    words = "\u00e5" * (limits.TEXT // 2)
    assert anna.post(link(id), data={"decision": "respond", "words": words}).status_code == 200
    assert look(server.url, id)["answer"]["text"] == words


@pytest.mark.promise("LINK-5")
def test_the_page_may_run_load_and_send_nothing_and_is_kept_nowhere(ask: Ask, link: Link, anna: httpx.Client) -> None:
    url = link(ask()["request_id"])
    for reply in (anna.get(url), anna.get(url[:-1]), anna.post(url, data={})):
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
        assert policy.pop("style-src").startswith("'sha256-")
        assert policy == {
            "default-src": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }
        assert reply.headers["referrer-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-robots-tag"] == "noindex"


@pytest.mark.promise("LINK-6")
def test_a_link_is_handed_out_for_a_request_that_waits_and_for_a_month_at_most(
    server: HumanInputServer, ask: Ask, client: httpx.Client
) -> None:
    id = ask()["request_id"]
    address = f"/requests/{id}/links"
    for wrong in (
        {},
        {"owner": ""},
        {"owner": "anna\n"},
        {"owner": "a b"},
        {"owner": "a" * 255},
        {"owner": "anna", "expires_in": 0},
        {"owner": "anna", "expires_in": limits.LINK_MOST + 1},
        {"owner": "anna", "by": "key:default"},
    ):
        assert client.post(address, json=wrong).status_code == 422, wrong
    good = client.post(address, json={"owner": "anna+1@example.com", "expires_in": limits.LINK_MOST})
    assert good.status_code == 201
    assert good.json()["url"].startswith("/answer?token=")
    assert client.post("/requests/unknown/links", json={"owner": "anna"}).status_code == 404
    reader = make_key(server.url, "read", "ask")["secret"]
    assert call("POST", f"{server.url}{address}", reader, json={"owner": "anna"}).status_code == 403
    elsewhere = make_key(server.url, "answer", executions=["other-*"])["secret"]
    assert call("POST", f"{server.url}{address}", elsewhere, json={"owner": "anna"}).status_code == 404
    client.post(f"/requests/{id}/cancel")
    assert client.post(address, json={"owner": "anna"}).status_code == 409


@pytest.mark.promise("LINK-6")
def test_a_link_begins_as_people_reach_the_server_whatever_host_was_called(
    serve: Callable[..., HumanInputServer],
) -> None:
    server = serve(public_url="https://sayso.example.com/desk")
    path = made(server.url, asked(server.url)["request_id"])
    assert path.startswith("https://sayso.example.com/desk/answer?token=")
    silent = serve()
    id = asked(silent.url)["request_id"]
    told = call("POST", f"{silent.url}/requests/{id}/links", KEY, json={"owner": "a"}, headers={"Host": "a.localhost"})
    assert told.json()["url"].startswith("/answer?token=")


@pytest.mark.promise("LINK-6")
def test_a_mounted_server_has_its_links_under_its_prefix() -> None:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    server = HumanInputServer(api_key=KEY, store=":memory:", quiet=True, adapters=False)
    hello = Route("/hello", lambda request: JSONResponse("hello"))
    with Host(Starlette(routes=[hello, Mount("/sayso", create_app(server))])) as host:
        id = asked(f"{host.url}/sayso")["request_id"]
        path = made(f"{host.url}/sayso", id)
        assert path.startswith("/sayso/answer?token=")
        reply = httpx.post(host.url + path, data={"decision": "respond", "words": "blue"}, headers=PAGE)
        assert (reply.status_code, look(f"{host.url}/sayso", id)["settled_by"]) == (200, f"link:{OWNER}")
        server.stop()
        away = httpx.get(host.url + path, headers=PAGE)
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert "That did not work" in away.text


@pytest.mark.promise("LINK-2")
def test_what_became_of_it_otherwise_is_on_the_page(
    ask: Ask, link: Link, client: httpx.Client, anna: httpx.Client
) -> None:
    id = ask()["request_id"]
    url = link(id)
    client.post(f"/requests/{id}/cancel", json={"reason": "<b>no need</b>"})
    page = anna.get(url).text
    assert "Given up by someone with the server's key: &lt;b&gt;no need" in page
    assert "<form" not in page


def test_the_command_prints_a_link(server: HumanInputServer, ask: Ask, anna: httpx.Client) -> None:
    import os
    import subprocess

    from tests.runtime.programs import SAYSO

    id = ask()["request_id"]
    done = subprocess.run(
        [SAYSO, "link", id, "--to", OWNER, "--expires", "2h", "--url", server.url],
        env=os.environ | {"SAYSO_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"{OWNER} can answer with it until" in done.stderr
    assert anna.get(done.stdout.strip()).status_code == 200
