"""What must happen before Python waits for the threads of its pools: an agent may wait for a person in one of them."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from weakref import WeakMethod


def at_exit(stop: WeakMethod[Callable[[], None]]) -> None:
    """Calls `stop` when the program ends, if what it belongs to is still there.

    Python joins the threads of its pools before it runs atexit's functions; the hook that concurrent.futures itself
    uses comes before that join.
    """

    def stop_if_there() -> None:
        if method := stop():
            method()

    getattr(threading, "_register_atexit", atexit.register)(stop_if_there)
