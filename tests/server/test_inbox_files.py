"""The files of the inbox: how they are served, and that they are what is shipped."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest
from starlette.testclient import TestClient

from sayso import HumanInputServer, create_app


def policy_of(response: httpx.Response) -> dict[str, str]:
    directives = (one.strip().partition(" ") for one in response.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in directives}


@pytest.fixture
def names(caller: httpx.Client) -> list[str]:
    """Every file that the page names."""
    found = re.findall(r'(?:src|href)="([^"]+)"', caller.get("/").text)
    assert len(found) >= 4
    return found


@pytest.mark.promise("INBOX-1")
def test_the_page_runs_and_loads_only_what_is_its_own(caller: httpx.Client, names: list[str]) -> None:
    for path in ("/", *names):
        response = caller.get(path, headers={"Authorization": ""})
        assert response.status_code == 200, path
        policy = policy_of(response)
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert {policy[name] for name in policy if name.endswith("-src")} == {"'none'", "'self'"}
        assert policy["require-trusted-types-for"] == "'script'"
        assert policy["trusted-types"] == "sayso-worker"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|https?://", caller.get("/").text)


def test_a_file_that_is_named_with_its_version_is_kept_and_any_other_is_asked_for_again(
    caller: httpx.Client, names: list[str]
) -> None:
    (script,) = (name for name in names if "sayso-inbox.js" in name)
    kept = caller.get(script)
    assert "immutable" in kept.headers["cache-control"]
    for path in ("/", script.partition("?")[0], script + "0"):
        response = caller.get(path)
        assert response.headers["cache-control"] == "no-cache"
        again = caller.get(path, headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert caller.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_files_are_compressed_for_whoever_can_read_that(caller: httpx.Client) -> None:
    plain = caller.get("/inbox/sayso-inbox.js", headers={"Accept-Encoding": "identity"})
    with caller.stream("GET", "/inbox/sayso-inbox.js", headers={"Accept-Encoding": "gzip"}) as response:
        raw = b"".join(response.iter_raw())
    assert "content-encoding" not in plain.headers
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content


@pytest.mark.parametrize("path", ["/inbox/", "/inbox/nothing.js", "/inbox/..%2f__init__.py", "/inbox/%2e%2e/door.py"])
def test_nothing_else_is_served_from_there(caller: httpx.Client, path: str) -> None:
    assert caller.get(path).status_code == 404


def test_a_mounted_inbox_finds_its_files_under_the_prefix() -> None:
    from fastapi import FastAPI

    server = HumanInputServer(port=0, quiet=True, adapters=False)
    api = FastAPI()
    api.mount("/team/sayso", create_app(server))
    client = TestClient(api)
    page = client.get("/team/sayso/")
    assert page.status_code == 200
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(f"/team/sayso/{name}").status_code == 200, name
    assert client.get("/team/sayso", follow_redirects=False).headers["location"].endswith("/team/sayso/")
    server.stop()
