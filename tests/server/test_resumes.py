"""What an agent keeps over HTTP to go on from a request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from sayso import HumanInputServer
from tests.conftest import KEY

_MOST = 4 * 1_024 * 1_024
_HERE = "/requests/draft-1/resume"


@pytest.mark.promise("KEEP-1")
def test_what_was_kept_is_there_after_a_restart_and_not_changed_by_keeping_again(
    serve: Callable[..., HumanInputServer], tmp_path: Path
) -> None:
    store, data = f"sqlite:///{tmp_path / 'kept.db'}", bytes(range(256))
    headers, run = {"Authorization": f"Bearer {KEY}"}, {"execution_id": "run-1"}
    server = serve(store=store)
    assert httpx.put(server.url + _HERE, params=run, content=data, headers=headers).status_code == 204
    server.stop()
    server = serve(store=store)
    assert httpx.put(server.url + _HERE, params=run, content=b"other", headers=headers).status_code == 204
    found = httpx.get(server.url + _HERE, headers=headers)
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, data, "application/octet-stream")
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.promise("KEEP-1")
def test_what_is_kept_is_in_no_list_and_no_event(client: httpx.Client) -> None:
    client.put(_HERE, params={"execution_id": "run-1"}, content=b"draft")
    assert client.get("/requests").json()["requests"] == []
    assert client.get("/poll/human-input/run-1").json()["events"] == []
    assert client.get("/requests/draft-1").status_code == 404


def test_nothing_kept_is_not_found(client: httpx.Client) -> None:
    assert client.get(_HERE).json()["type"] == "urn:sayso:problem:not-found"
    assert client.get("/requests/%00/resume").status_code == 404


@pytest.mark.parametrize("address", [_HERE, f"{_HERE}?execution_id=a%20b", "/requests/a%20b/resume?execution_id=run-1"])
def test_an_id_that_is_none_is_refused(client: httpx.Client, address: str) -> None:
    assert client.put(address, content=b"draft").status_code == 422


def test_four_mebibytes_are_kept_and_no_more(client: httpx.Client) -> None:
    run = {"execution_id": "run-1"}
    assert client.put(_HERE, params=run, content=b"x" * _MOST).status_code == 204
    refused = client.put("/requests/draft-2/resume", params=run, content=b"x" * (_MOST + 1))
    assert refused.json()["type"] == "urn:sayso:problem:too-large"
    assert client.get("/requests/draft-2/resume").status_code == 404
    assert client.get(_HERE).content == b"x" * _MOST


def test_it_needs_the_key(server: HumanInputServer) -> None:
    assert httpx.get(server.url + _HERE).status_code == 401
    assert httpx.put(server.url + _HERE, params={"execution_id": "run-1"}, content=b"draft").status_code == 401
