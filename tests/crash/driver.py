"""The program that is killed: `python -m tests.crash.driver STORE`. It has everything loaded, and forks a server for
each line that it reads (the name of a writer in `doubles`). Each says its process, and then where it listens.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback

from sayso import HumanInputServer
from sayso.server import app  # noqa: F401 - loaded once, for all
from sayso.store.sqlite import store as sqlite_store
from tests.conftest import KEY
from tests.crash.doubles import WRITERS


def serve(store: str, writer: str) -> None:
    sqlite_store.Writer = WRITERS[writer]  # type: ignore[misc]
    server = HumanInputServer(port=0, api_key=KEY, store=store, adapters=False, quiet=True)
    server.start(on_listening=lambda: print("listens", os.getpid(), server.url, flush=True))


def end_with(driver: int) -> None:
    """Ends this process when the other end of the pipe is gone."""
    os.read(driver, 1)
    os._exit(1)


def main(store: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries what is killed
    alive, held = os.pipe()
    for line in sys.stdin:
        if os.fork() == 0:
            try:
                print("process", os.getpid(), flush=True)
                os.close(held)
                threading.Thread(target=end_with, args=[alive], daemon=True).start()
                serve(store, line.strip())
            except BaseException:
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
