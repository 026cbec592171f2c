"""The sockets a server listens on."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from sayso.server.listen import bind


async def test_what_a_connection_sends_leaves_at_once() -> None:
    """With Nagle's algorithm, an answer in two writes waits 40 ms for the client's delayed acknowledgement."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        accepted.put_nowait(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listeners = bind("localhost", 0)
    for listener in listeners:
        async with asyncio.timeout(5), await asyncio.start_server(connected, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            assert await accepted.get() != 0
            writer.close()


def test_every_address_of_a_host_gets_the_same_free_port() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in bind("localhost", 0)]
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
        assert listeners[0].getsockname()[1] != 0
