"""The stores that keep the same promises: a new one is one more row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sayso.store import Store
from sayso.store.memory import MemoryStore
from sayso.store.sqlite import SQLiteStore

STORES = {
    "memory": lambda _folder: MemoryStore(),
    "sqlite": lambda folder: SQLiteStore(folder / "contract.db"),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each store in turn, open and empty."""
    opened: Store = STORES[request.param](tmp_path)
    await opened.open()
    yield opened
    await opened.close()
