"""Where a question goes that names no asker: to the server of this process, else to the one at SAYSO_URL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakSet, ref

from sayso import limits, settings
from sayso.asker import Asker, is_running
from sayso.errors import Misconfigured

_running: list[Asker] = []
_expected: WeakSet[object] = WeakSet()
_remote: dict[tuple[str, str | None], Asker] = {}
_lock = threading.Condition()


def expect(server: object) -> Callable[[], None]:
    """`server` will run in this process, until the returned function is called or it is no more."""
    known = ref(server)

    def forget() -> None:
        with _lock:
            _expected.discard(known())
            _lock.notify_all()

    with _lock:
        _expected.add(server)
    return forget


def is_expected() -> bool:
    """Whether no server runs in this process yet, and one will."""
    return bool(_expected) and _latest() is None


def await_expected() -> None:
    """Returns once a server runs in this process; at once where none is expected. Waits 10 s at most."""
    with _lock:
        _lock.wait_for(lambda: not is_expected(), timeout=limits.READY)


def announce(server: Asker) -> Callable[[], None]:
    """Questions of this process go to `server`, until the returned function is called; of several, to the latest."""

    def leave() -> None:
        with _lock:
            if server in _running:
                _running.remove(server)

    with _lock:
        _running.append(server)
        _lock.notify_all()
    return leave


def asker_for(explicit: Asker | None) -> Asker:
    """`explicit`, else the running server, else the one at SAYSO_URL. Raises Misconfigured when there is none."""
    if explicit is not None:
        return explicit
    if (running := _latest()) is not None:
        return running
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


def _latest() -> Asker | None:
    with _lock:
        return next((one for one in reversed(_running) if is_running(one)), None)
