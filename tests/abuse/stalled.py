"""A server in a process of its own that says how much memory it takes. With `greedy`, the control, it buffers for
whoever does not read."""

from __future__ import annotations

import gc
import sys
import time

from sayso import HumanInputServer, limits
from sayso.model import Question
from sayso.server.lane.connection import Connection
from sayso.server.lane.stream import Stream
from sayso.server.protocols import HTTP, WebSocket, _Peer
from tests.conftest import KEY


def main() -> None:
    events, behaves, store = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if behaves == "greedy":
        for protocol in (HTTP, WebSocket, Stream):
            protocol.pause_writing = lambda protocol: None  # type: ignore[attr-defined]
    server = HumanInputServer(port=0, api_key=KEY, store=store, quiet=True, adapters=False)
    with server:
        for number in range(events):
            text = str(number).ljust(limits.CONTEXT, "x")
            server.submit(Question(execution_id="run-1", prompt="Ship it?", context=text)).stored.result()
        print(server.url, flush=True)
        for line in sys.stdin:
            print(_settled(int(line)), flush=True)


def _settled(count: int) -> int:
    """Bytes of memory, once `count` peers wait and nothing moves any more."""
    before: list[int] = []
    while True:
        transports = {
            one.transport
            for one in gc.get_objects()
            if isinstance(one, _Peer | Stream | Connection)
            and getattr(one, "transport", None) is not None
            and not one.transport.is_closing()
        }
        buffers = sorted(transport.get_write_buffer_size() for transport in transports)
        waiting = [size for size in buffers if size]
        if len(waiting) >= count and buffers == before:
            gc.collect()
            with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - short
                return int(file.read().split()[1]) * 4_096
        before = buffers
        time.sleep(0.3)


if __name__ == "__main__":
    main()
