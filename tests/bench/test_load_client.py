"""The load client against a server that does wrong: each wrong ends the run, with words that name it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench.harness.built import load_client

FOLLOWERS = 3
Fault = Callable[[bytes, int, int], list[bytes]]
"""Makes of an event, for a follower, at its number in the stream, the frames that are sent."""


def frame(event: bytes) -> bytes:
    return b"\x81\x7e" + len(event).to_bytes(2, "big") + event


def soundly(event: bytes, follower: int, number: int) -> list[bytes]:
    return [frame(event)]


def missing(event: bytes, follower: int, number: int) -> list[bytes]:
    return [] if (follower, number) == (1, 2) else [frame(event)]


def twice(event: bytes, follower: int, number: int) -> list[bytes]:
    return [frame(event)] * (2 if (follower, number) == (1, 2) else 1)


def broken(event: bytes, follower: int, number: int) -> list[bytes]:
    return [frame(event[:-10] + b"y" + event[-9:] if (follower, number) == (1, 2) else event)]


def elsewhere(event: bytes, follower: int, number: int) -> list[bytes]:
    is_chosen = (follower, number) == (1, 2)
    return [frame(event.replace(b" 00000000 x", b" 00000001 x") if is_chosen else event)]


def another(event: bytes, follower: int, number: int) -> list[bytes]:
    """One event once more, in the place of another."""
    return [frame(event.replace(b" 0000000002 ", b" 0000000001 ") if follower == 1 else event)]


class Swapping:
    """Two events in the other order, for one follower."""

    def __init__(self) -> None:
        self._held: bytes | None = None

    def __call__(self, event: bytes, follower: int, number: int) -> list[bytes]:
        if follower != 1 or number not in (2, 3):
            return [frame(event)]
        if self._held is None:
            self._held = event
            return []
        return [frame(event), frame(self._held)]


async def test_a_server_that_does_its_work_is_measured() -> None:
    status, said = await run(soundly)
    assert status == 0, said
    assert '"messages_per_s"' in said


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (missing, "and then nothing came"),
        (twice, " events of "),
        (broken, "an event came broken"),
        (elsewhere, "an event of channel 1 came to a follower of 0"),
        (another, "has others than those that were posted"),
        (Swapping(), "saw another order"),
    ],
)
async def test_a_wrong_ends_the_run_and_is_named(fault: Fault, word: str) -> None:
    status, said = await run(fault)
    assert status == 1
    assert word in said


async def run(fault: Fault) -> tuple[int, str]:
    """How the client ends, and what it says."""
    program = str(await asyncio.to_thread(load_client, tls=False))
    async with asyncio.timeout(60), serving(fault) as port:
        options = {
            **{"transport": "ws", "port": port, "publish-port": port, "path": "/ws/%08d", "publish-path": "/pub/%08d"},
            **{"followers": FOLLOWERS, "in-flight": 4, "publishers": 4, "seconds": 0.2, "patience": 1},
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        client = await asyncio.create_subprocess_exec(
            program, "follow", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await client.communicate()
        assert client.returncode is not None
        return client.returncode, said.decode()


@asynccontextmanager
async def serving(fault: Fault) -> AsyncIterator[int]:
    """A server that sends what `fault` makes of each event; its port."""
    followers = list[asyncio.StreamWriter]()
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                    followers.append(writer)
                    continue
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                event = await reader.readexactly(length)
                for index, follower in enumerate(followers):
                    follower.write(b"".join(fault(event, index, count)))
                count += 1
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
