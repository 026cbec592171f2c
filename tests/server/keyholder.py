"""Keys of a server's store, and whoever calls with one: by header, by query, by session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from typing import Any, Final

import httpx
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.builders import new_id
from tests.conftest import KEY

_PLAIN: Final = False
"""No TLS: reading the certificates of the system takes longer than everything else in these tests."""
Made = dict[str, Any]
"""`{"key", "secret"}`, as the server gives it."""


def call(method: str, url: str, key: str, *, headers: dict[str, str] | None = None, **sent: Any) -> httpx.Response:
    """One call with that key."""
    with httpx.Client(verify=_PLAIN, timeout=30) as client:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return client.request(method, url, headers=given | (headers or {}), **sent)


def make_key(url: str, *scopes: str, key: str = KEY, **wanted: Any) -> Made:
    """A new key in the store of that server."""
    members = {"name": new_id(), "scopes": scopes} | wanted
    response = call("POST", f"{url}/keys", key, json=members)
    assert response.status_code == 201, response.text
    made: Made = response.json()
    return made


def ask(url: str, *, key: str = KEY, **members: Any) -> dict[str, Any]:
    """Asks, and gives the stored request."""
    question = {"execution_id": "run-1", "prompt": "Ship it?"} | members
    response = call("POST", f"{url}/requests", key, json=question)
    assert response.status_code == 201, response.text
    stored: dict[str, Any] = response.json()
    return stored


class Holder:
    """Calls a server with what `headers` and `query` say of a key."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, query: Callable[[str], str] | None = None):
        self.url = url
        self.headers = headers or {}
        self._query = query or (lambda path: "")
        self.http = httpx.Client(base_url=url, headers=self.headers, timeout=30, verify=_PLAIN)

    @classmethod
    def by_header(cls, url: str, secret: str) -> Holder:
        return cls(url, headers={"Authorization": f"Bearer {secret}"})

    @classmethod
    def by_session(cls, url: str, secret: str) -> Holder:
        origin = "/".join(url.split("/")[:3])
        page = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        begun = call("POST", f"{url}/session", "", json={"key": secret}, headers=page)
        assert begun.status_code == 200, begun.text
        (cookie,) = SimpleCookie(begun.headers["set-cookie"]).values()
        return cls(url, headers=page | {"Cookie": f"{cookie.key}={cookie.value}", "X-Sayso-CSRF": begun.json()["csrf"]})

    def call(self, method: str, path: str, **sent: Any) -> int:
        """The status; of a stream, once it has begun."""
        path += self._query(path)
        with self.http.stream(method, path, **sent) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                response.read()
            return response.status_code

    def follow(self, path: str, *messages: dict[str, Any], replies: int = 0) -> tuple[int, list[dict[str, Any]]]:
        """The status of a WebSocket's handshake (101: accepted), and what came back that was no event."""
        address = self.url.replace("http", "ws", 1) + path + self._query(path)
        try:
            with connect(address, additional_headers=self.headers, open_timeout=10, max_queue=None) as socket:
                for message in messages:
                    socket.send(json.dumps(message))
                heard: list[dict[str, Any]] = []
                while len(heard) < replies:
                    told = json.loads(socket.recv(10))
                    heard += [] if told["type"].startswith("human_input") else [told]
                return 101, heard
        except InvalidStatus as refused:
            return refused.response.status_code, []

    def close(self) -> None:
        self.http.close()


def subsets(scopes: Iterable[str]) -> list[tuple[str, ...]]:
    """Every choice of one scope or more."""
    found: list[tuple[str, ...]] = [()]
    for scope in scopes:
        found += [(*chosen, scope) for chosen in found]
    return found[1:]
