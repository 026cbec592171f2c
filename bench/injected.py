"""sayso's transport alone: `python -m bench.injected PORT PUBLISH_PORT [CERTIFICATE KEY]`.

The server as it is, but for its store: events come into that one ready-made, by `POST /pub/{execution_id}` on the
second port, and into nothing but memory. All that comes after a commit is the server's own road: the store's hint, the
gateway, the hub, the transports.
"""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from unittest.mock import patch

from sayso import HumanInputServer
from sayso.store import Hear, Located, within_batch
from sayso.store.changes import Changes
from sayso.store.memory import MemoryStore
from sayso.wire import Event

KEPT = 1_000
"""Events of an execution, as its peers keep them."""
_PATH = len(b"POST /pub/")
_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class InjectedStore(MemoryStore):
    """A log without requests, that is published to on a port of its own, on the loop of whoever opens it."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self._logs: dict[str, list[Event]] = {}
        self._position = 0
        self._hints = Changes()

    async def open(self) -> None:
        await super().open()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Publisher(self), "127.0.0.1", self._port, backlog=4096)

    async def close(self) -> None:
        self._listener.close()
        await super().close()

    def inject(self, execution_id: str, data: bytes) -> None:
        """Appends an event that is `data`, and hints at it."""
        position = self._position = self._position + 1
        log = self._logs.get(execution_id)
        if log is None:
            log = self._logs[execution_id] = []
        seq = log[-1].seq + 1 if log else 1
        id = f"{execution_id}-0000-7000-8000-{position:012x}"
        event = Event(position, execution_id, seq, id, "human_input_required", "request", data)
        log.append(event)
        if len(log) >= 2 * KEPT:
            del log[:KEPT]
        self._hints.append((event,))

    def listen(self, hear: Hear) -> None:
        self._hints.hear = hear

    async def locate(self, event_id: str) -> Located | None:
        """An event's id says where it is, as long as it is there."""
        execution_id, _, rest = event_id.partition("-")
        log = self._logs.get(execution_id, [])
        position = int(rest.rpartition("-")[2], 16) if log else 0
        if not log or position < log[0].position:
            return await super().locate(event_id)
        return Located(execution_id, position)

    async def read(
        self, execution_id: str | None, *, after: int, limit: int, open_only: bool = False
    ) -> Sequence[Event]:
        log = self._logs.get(execution_id or "", [])
        first = bisect_right(log, after, key=lambda event: event.position)
        return list(within_batch(islice(log, first, first + limit)))


class _Publisher(asyncio.Protocol):
    """Takes `POST /pub/{execution_id}`, one after the other, from the load client, which is trusted."""

    def __init__(self, store: InjectedStore) -> None:
        self._store = store
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head, _, body = received.partition(b"\r\n\r\n")
        if not body or len(body) < int(head[head.rindex(b" ") :]):  # the length is the last header
            self._received = received
            return
        self._received = b""
        self._store.inject(head[_PATH : head.index(b" ", _PATH)].decode(), body)
        self._transport.write(_TAKEN)


def main(port: int, publish_port: int, certificate: str | None = None, key: str | None = None) -> None:
    with patch("sayso.human_input_server.store_at", lambda url: InjectedStore(publish_port)):
        server = HumanInputServer(
            "127.0.0.1", port, quiet=True, adapters=False, tls_certificate=certificate, tls_key=key
        )
        server.start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
