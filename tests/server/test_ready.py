"""`/ready`: for load balancers, who have no key and learn nothing but whether to send questions here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from sayso import HumanInputServer, create_app
from tests.conftest import KEY


@pytest.mark.promise("READY-1", "DOOR-1")
def test_a_server_that_can_take_questions_is_ready_whoever_asks(server: HumanInputServer) -> None:
    response = httpx.get(f"{server.url}/ready")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["status"] == "ready"
    assert set(response.json()) == {"status", "timestamp"}


@pytest.mark.promise("READY-1")
def test_a_server_that_cannot_open_its_store_says_so_and_not_where_it_is(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'held.db'}"
    with HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False):
        second = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False)
        response = TestClient(create_app(second)).get("/ready")
        second.stop()
    assert response.status_code == 503
    problem = response.json()
    assert (problem["type"], problem["not_ready"]) == ("urn:sayso:problem:unavailable", ["starting"])
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert "held" not in response.text


def test_to_ask_for_readiness_leaves_nothing_behind(serve: Callable[..., HumanInputServer]) -> None:
    """It writes; and no follower sees an event of it, no list a request, no caller a lease."""
    server = serve()
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        for _ in range(3):
            assert client.get("/ready").status_code == 200
        assert client.get("/requests").json()["requests"] == []
        assert client.get("/poll/human-input").json()["events"] == []
        assert client.put("/leases/ready", json={"holder": "a", "seconds": 1}).status_code == 204
