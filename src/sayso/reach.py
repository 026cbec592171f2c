"""Where a question comes from and goes to that names neither: the run it is part of; the server that runs here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from sayso import settings
from sayso.asker import Asker
from sayso.errors import Misconfigured

origin: ContextVar[Mapping[str, Any]] = ContextVar("sayso_origin", default={})  # noqa: B039 - never changed
"""Members of a Question that say where it comes from, as the framework that runs this code has told."""

_running: list[Asker] = []
_remote: dict[tuple[str, str | None], Asker] = {}
_lock = threading.Lock()


def announce(server: Asker) -> Callable[[], None]:
    """`server` runs in this process, until the returned function is called; of several, the latest started asks."""

    def leave() -> None:
        with _lock:
            _running[:] = [one for one in _running if one is not server]

    with _lock:
        _running.append(server)
    return leave


def asker_for(explicit: Asker | None) -> Asker:
    """`explicit`, else the running server, else the one at SAYSO_URL. Raises Misconfigured when there is none."""
    if explicit is not None:
        return explicit
    with _lock:
        if _running:
            return _running[-1]
    url = settings.url()
    if url is None:
        raise Misconfigured(
            "no server to ask: start one in this process (with HumanInputServer(): …), or name one in SAYSO_URL "
            "(and its key in SAYSO_API_KEY), or pass asker="
        )
    from sayso.client import connect  # noqa: PLC0415 - httpx is loaded only where it is needed

    key = settings.api_key()
    with _lock:
        if (url, key) not in _remote:
            _remote[url, key] = connect(url, api_key=key)
        return _remote[url, key]
