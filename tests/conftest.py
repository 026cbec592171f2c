"""Fixtures that several folders share: a real server on a real socket, and a client of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sayso import HumanInputServer, limits
from tests.pgbouncer import PgBouncer
from tests.postgres import Cluster

# crewAI reads these when it is imported: no telemetry, nothing written into the home of whoever runs the tests.
os.environ |= {
    "OTEL_SDK_DISABLED": "true",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_STORAGE_DIR": tempfile.mkdtemp(prefix="sayso-crewai-"),
}
_SETTINGS = (
    *("SAYSO_API_KEY", "SAYSO_API_KEY_FILE", "SAYSO_DRAIN", "SAYSO_RETENTION", "SAYSO_STORE", "SAYSO_STORE_FILE"),
    "SAYSO_URL",
)
_MODEL_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
for name in (*_SETTINGS, *_MODEL_KEYS):
    os.environ.pop(name, None)

KEY = "test-key-4c1f"


@pytest.fixture
def whole_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One read or one page of a store of this process holds all there is: for tests that compare stores."""
    monkeypatch.setattr(limits, "BATCH", 1024 * limits.BATCH)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., HumanInputServer]]:
    """Starts servers that listen on free ports, each on a SQLite file of its own; stops them after the test."""
    started: list[HumanInputServer] = []

    def start(**settings: Any) -> HumanInputServer:
        store = f"sqlite:///{tmp_path / f'{len(started)}.db'}"
        server = HumanInputServer(
            **{"port": 0, "api_key": KEY, "store": store, "quiet": True, "adapters": False} | settings
        )
        started.append(server.__enter__())
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., HumanInputServer]) -> HumanInputServer:
    return serve()


@pytest.fixture
def client(server: HumanInputServer) -> Iterator[httpx.Client]:
    """Holds the right key."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as client:
        yield client


@pytest.fixture
def ask(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Asks over HTTP and gives the stored request."""

    def post(**members: Any) -> dict[str, Any]:
        response = client.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members)
        assert response.status_code == 201, response.text
        stored: dict[str, Any] = response.json()
        return stored

    return post


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL for whatever kills nothing, one for each process of the tests. It does not wait for the disk."""
    cluster = Cluster(durable=False)
    yield cluster
    cluster.close()


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    """The URL of a new and empty database."""
    url = cluster.database()
    yield url
    cluster.drop(url)


@pytest.fixture(scope="session")
def pgbouncer(cluster: Cluster) -> Iterator[PgBouncer]:
    """Before the cluster."""
    pgbouncer = PgBouncer(cluster)
    yield pgbouncer
    pgbouncer.close()
