"""Answer links: handed out with a key, opened without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.inbox.conftest import browser, chrome
from tests.server.keyholder import call

__all__ = ["browser", "chrome"]

OWNER = "anna@example.com"
PAGE = {"Accept": "text/html"}


def made(url: str, request_id: str, *, key: str = KEY, **wanted: Any) -> str:
    """The path of a new link, as a server says that was told no public address."""
    response = call("POST", f"{url}/requests/{request_id}/links", key, json={"owner": OWNER} | wanted)
    assert response.status_code == 201, response.text
    path: str = response.json()["url"]
    return path


@pytest.fixture
def link(server: HumanInputServer) -> Callable[..., str]:
    """The address of a new link to a request."""
    return lambda request_id, **wanted: f"{server.url}{made(server.url, request_id, **wanted)}"


@pytest.fixture
def anna() -> Iterator[httpx.Client]:
    """Somebody with a browser and no key."""
    with httpx.Client(headers=PAGE, timeout=60) as client:
        yield client
