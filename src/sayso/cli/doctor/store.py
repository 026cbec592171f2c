"""Whether a server could open its store here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from sayso import settings
from sayso.cli.doctor.environment import is_here
from sayso.cli.doctor.finding import Finding


def findings(url: str) -> Iterator[Finding]:
    """Of the store that `sayso serve` would open for `url`, where that is on this machine."""
    parts = urlsplit(url)
    try:
        from sayso.compose import default_store, store_at
        from sayso.store.sqlite import SQLiteStore
    except ImportError:
        return
    if not is_here(parts.hostname or ""):
        return
    store = store_at(settings.store() or default_store(parts.port or 80))
    if not isinstance(store, SQLiteStore):
        return
    holder = store.holder()
    folder = next(one for one in store.path.parents if one.exists())
    if holder is not None:
        what = f"{store.path} is open in another process ({holder}), which does not answer at {url}"
        yield Finding("wrong", what, "stop that one, or name its address: --url or SAYSO_URL")
    elif not os.access(store.path if store.path.exists() else folder, os.W_OK):
        yield Finding("wrong", f"{store.path} cannot be written", "choose another: sayso serve --store sqlite:///…")
    else:
        yield Finding("note", f"sayso serve would keep its questions in {store.path}")
