"""What tests of several nodes share: a cluster that may be harmed, and a database in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import Cluster


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """PostgreSQL that waits for the disk, as it should."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def log(durable: Cluster) -> Iterator[str]:
    """The URL of a new database in it."""
    url = durable.database()
    yield url
    durable.drop(url)
