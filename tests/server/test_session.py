"""Sessions: a cookie that stands for the key, for the inbox's own pages alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sayso import HumanInputServer, create_app, limits
from sayso.server.session import CSRF_HEADER, Session
from tests.conftest import KEY

SECRET = b"s" * 32


class Browser:
    """Sends what a browser sends along for a page of `origin`; keeps its cookie as a browser does."""

    def __init__(self, url: str, *, origin: str | None = None, site: str | None = "same-origin") -> None:
        self.url = url
        self.origin = origin or url
        self.site = site
        self.csrf = ""
        self.http = httpx.Client(base_url=url, timeout=30)

    def call(self, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"Origin": self.origin} if method not in {"GET", "HEAD"} else {}
        if self.site is not None:
            headers["Sec-Fetch-Site"] = self.site
        if method not in {"GET", "HEAD"} and self.csrf:
            headers[CSRF_HEADER] = self.csrf
        return self.http.request(method, path, headers=headers | sent.pop("headers", {}), **sent)

    def sign_in(self, key: str = KEY) -> httpx.Response:
        response = self.call("POST", "/session", json={"key": key})
        if response.status_code == 200:
            self.csrf = response.json()["csrf"]
        return response


@pytest.fixture
def browser(server: HumanInputServer) -> Iterator[Browser]:
    browser = Browser(server.url)
    yield browser
    browser.http.close()


@pytest.fixture
def signed_in(browser: Browser) -> Browser:
    assert browser.sign_in().status_code == 200
    return browser


def cookie_of(response: httpx.Response) -> Morsel[str]:
    (cookie,) = SimpleCookie(response.headers["set-cookie"]).values()
    return cookie


@pytest.mark.promise("SESSION-1")
def test_the_key_begins_a_session_that_no_script_can_read(browser: Browser) -> None:
    assert browser.call("GET", "/session").json() == {"by": None, "needs_key": True, "csrf": None, "until": None}
    response = browser.sign_in()

    cookie = cookie_of(response)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Strict", "/", "")
    assert int(cookie["max-age"]) == pytest.approx(limits.SESSION, abs=60)
    assert KEY not in response.headers["set-cookie"] + response.text
    assert browser.call("GET", "/session").json()["by"] == "session:default"
    assert browser.call("GET", "/requests").status_code == 200


@pytest.mark.promise("SESSION-1")
def test_a_wrong_key_begins_nothing(browser: Browser) -> None:
    for key in ("", "wrong", KEY + "x"):
        response = browser.sign_in(key)
        assert response.status_code == 401
        assert "set-cookie" not in response.headers
    assert browser.call("GET", "/requests").status_code == 401


@pytest.mark.promise("SESSION-4")
def test_an_answer_by_session_says_so(signed_in: Browser, ask: Callable[..., dict[str, Any]]) -> None:
    id = ask()["request_id"]
    settled = signed_in.call("POST", f"/requests/{id}/answer", json={"human_feedback": "yes"}).json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("session:default", "inbox")
    given_up = signed_in.call("POST", f"/requests/{ask()['request_id']}/cancel").json()
    assert (given_up["settled_by"], given_up["settled_channel"]) == ("session:default", "inbox")
    assert signed_in.call("POST", "/requests", json={"execution_id": "a", "prompt": "b"}).json()["asked_by"] == (
        "session:default"
    )


@pytest.mark.promise("SESSION-2")
@pytest.mark.parametrize("csrf", ["", "wrong", "é"])
def test_a_change_by_session_needs_the_word_that_only_the_page_knows(
    signed_in: Browser, ask: Callable[..., dict[str, Any]], csrf: str
) -> None:
    id = ask()["request_id"]
    signed_in.csrf = ""
    headers = {CSRF_HEADER: csrf.encode()} if csrf else {}
    for method, path in (("POST", f"/requests/{id}/answer"), ("POST", "/requests"), ("DELETE", "/session")):
        assert signed_in.call(method, path, json={"human_feedback": "yes"}, headers=headers).status_code == 403
    assert signed_in.call("GET", f"/requests/{id}").json()["status"] == "pending"


@pytest.mark.promise("SESSION-2")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_session_changes_nothing_for_another_page(
    signed_in: Browser, ask: Callable[..., dict[str, Any]], site: str
) -> None:
    id = ask()["request_id"]
    signed_in.site = site
    assert signed_in.call("POST", f"/requests/{id}/answer", json={"human_feedback": "yes"}).status_code == 403


@pytest.mark.promise("SESSION-2")
@pytest.mark.parametrize("path", ["/requests", "/poll/human-input", "/events/human-input"])
def test_a_session_reads_nothing_for_another_page(signed_in: Browser, path: str) -> None:
    for site in ("cross-site", "same-site"):
        signed_in.site = site
        assert signed_in.call("HEAD", path).status_code == 403
    signed_in.site = "none"  # its person typed the address
    assert signed_in.call("HEAD", path).status_code in {200, 405}


@pytest.mark.promise("SESSION-2")
def test_where_a_browser_names_no_site_the_origin_tells(
    signed_in: Browser, ask: Callable[..., dict[str, Any]], server: HumanInputServer
) -> None:
    """As on a plain address of a local network, where browsers send no Fetch Metadata."""
    id = ask()["request_id"]
    answer = f"/requests/{id}/answer"
    signed_in.site = None
    assert signed_in.call("POST", answer, json={}, headers={"Origin": ""}).status_code == 403
    assert signed_in.call("GET", "/requests", headers={"Origin": "http://localhost:1"}).status_code == 403
    assert signed_in.call("GET", "/requests").status_code == 200
    assert signed_in.call("POST", answer, json={"human_feedback": "yes"}).status_code == 200


@pytest.mark.promise("SESSION-2")
def test_a_page_that_is_let_in_by_name_has_no_part_in_the_session(
    serve: Callable[..., HumanInputServer],
) -> None:
    server = serve(allow_origins=["https://app.example.com"])
    browser = Browser(server.url)
    assert browser.sign_in().status_code == 200
    for site in ("cross-site", None):
        browser.site, browser.origin = site, "https://app.example.com"
        assert browser.call("POST", "/requests", json={"execution_id": "a", "prompt": "b"}).status_code == 403
        assert browser.sign_in().status_code == 403
    browser.http.close()


@pytest.mark.promise("SESSION-2")
def test_a_websocket_by_session_is_for_the_own_page(signed_in: Browser, server: HumanInputServer) -> None:
    url = server.url.replace("http", "ws", 1) + "/ws/human-input"
    cookie = "; ".join(f"{name}={value}" for name, value in signed_in.http.cookies.items())
    with connect(url, additional_headers={"Cookie": cookie}, origin=server.url):  # type: ignore[arg-type]
        pass
    for origin in (None, "http://localhost:1"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(url, additional_headers={"Cookie": cookie}, origin=origin)  # type: ignore[arg-type]


@pytest.mark.promise("SESSION-1", "SESSION-3")
def test_a_session_outlives_a_restart_and_not_its_key(serve: Callable[..., HumanInputServer], tmp_path: Any) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    first = serve(store=store)
    browser = Browser(first.url)
    assert browser.sign_in().status_code == 200
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.http.cookies.items())}
    browser.http.close()
    first.stop()

    for settings, status in (({}, 200), ({"api_key": "another"}, 401), ({}, 200)):
        again = serve(store=store, **settings)
        assert httpx.get(f"{again.url}/requests", headers=cookie).status_code == status
        again.stop()
    keyless = serve(store=store, api_key=None)
    shown = httpx.get(f"{keyless.url}/session", headers=cookie).json()
    assert (shown["by"], shown["needs_key"]) == (None, False)


@pytest.mark.promise("SESSION-3")
def test_signing_out_lets_go_of_the_cookie(signed_in: Browser) -> None:
    response = signed_in.call("DELETE", "/session")
    assert response.status_code == 204
    assert cookie_of(response)["max-age"] == "0"
    assert signed_in.call("GET", "/session").json()["by"] is None
    assert signed_in.call("GET", "/requests").status_code == 401


@pytest.mark.promise("SESSION-3")
def test_a_session_is_read_until_its_time_is_over_and_as_it_was_signed() -> None:
    session = Session.begun("default", "mark", SECRET, now=1000.0)
    text = session.signed(SECRET)

    assert Session.read(text, SECRET, now=1000.0) == session
    assert Session.read(text, SECRET, now=999 + limits.SESSION) == session
    assert Session.read(text, SECRET, now=1000 + limits.SESSION) is None
    assert Session.read(text, b"t" * 32, now=1000.0) is None
    for number in range(len(text)):
        changed = text[:number] + ("A" if text[number] != "A" else "B") + text[number + 1 :]
        assert Session.read(changed, SECRET, now=1000.0) is None
    for junk in ("", ".", "a.b", "é.é", text + "0", text.partition(".")[0]):
        assert Session.read(junk, SECRET, now=1000.0) is None


@pytest.mark.promise("SESSION-3")
def test_who_comes_often_is_not_asked_again(signed_in: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def until() -> str:
        return str(signed_in.call("GET", "/session").json()["until"])

    before = until()
    assert until() == before
    now = time.time()
    monkeypatch.setattr("sayso.server.session.time.time", lambda: now + limits.SESSION * 0.6)
    assert until() > before
    assert signed_in.call("POST", "/requests", json={"execution_id": "a", "prompt": "b"}).status_code == 201


def test_a_server_without_a_key_needs_no_login(keyless: HumanInputServer) -> None:
    browser = Browser(keyless.url)
    assert browser.call("GET", "/session").json() == {"by": None, "needs_key": False, "csrf": None, "until": None}
    assert browser.sign_in("").status_code == 200
    asked = browser.call("POST", "/requests", json={"execution_id": "a", "prompt": "b"}).json()
    settled = browser.call("POST", f"/requests/{asked['request_id']}/answer", json={"human_feedback": "yes"}).json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("anonymous", "inbox")
    browser.http.close()


def test_without_a_key_a_page_beside_the_inbox_is_not_kept_out_by_its_cookie(keyless: HumanInputServer) -> None:
    browser = Browser(keyless.url)
    assert browser.sign_in("").status_code == 200
    browser.csrf = ""  # another page of this origin, which knows of no session
    asked = browser.call("POST", "/requests", json={"execution_id": "a", "prompt": "b"})
    assert asked.status_code == 201
    given = browser.call("POST", f"/requests/{asked.json()['request_id']}/answer", json={"human_feedback": "yes"})
    assert given.json()["settled_channel"] == "http"
    browser.http.close()


def test_a_key_goes_before_a_session(signed_in: Browser, ask: Callable[..., dict[str, Any]]) -> None:
    signed_in.csrf = ""
    right, wrong = ({"Authorization": f"Bearer {key}"} for key in (KEY, "wrong"))
    answer = f"/requests/{ask()['request_id']}/answer"
    assert signed_in.call("POST", answer, json={"human_feedback": "yes"}, headers=wrong).status_code == 401
    settled = signed_in.call("POST", answer, json={"human_feedback": "yes"}, headers=right).json()
    assert (settled["settled_by"], settled["settled_channel"]) == ("key:default", "http")


def test_two_servers_of_one_host_keep_their_cookies_apart(serve: Callable[..., HumanInputServer]) -> None:
    one, other = Browser(serve().url), Browser(serve().url)
    assert one.sign_in().status_code == other.sign_in().status_code == 200
    kept = {**one.http.cookies, **other.http.cookies}  # as a browser keeps them: ports do not count
    for browser in (one, other):
        cookies = "; ".join(f"{name}={value}" for name, value in kept.items())
        assert httpx.get(f"{browser.url}/requests", headers={"Cookie": cookies}).status_code == 200
        browser.http.close()


def test_the_cookie_of_a_mounted_server_is_for_its_own_path_and_of_tls_for_tls_alone() -> None:
    server = HumanInputServer(port=0, api_key=KEY, quiet=True, adapters=False)
    client = TestClient(create_app(server), base_url="http://testserver", root_path="/my sayso")
    for origin, is_secure in (("http://testserver", False), ("https://testserver", True)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        response = client.post("/session", json={"key": KEY}, headers=headers)
        cookie = cookie_of(response)
        assert (cookie["path"], bool(cookie["secure"])) == ("/my%20sayso", is_secure)
    server.stop()
