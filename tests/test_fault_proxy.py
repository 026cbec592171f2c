"""The fault proxy does the harm it is told to do, to the byte, and none beside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import repeat

import pytest

from tests.fault_proxy import Deed, Fault, FaultProxy, Way, fault_proxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
TEXT = "Später? 日本 🚢 ".encode() * 10


class Setting:
    """A proxy, and both ends of the connections through it."""

    def __init__(self, proxy: FaultProxy, accepted: asyncio.Queue[Ends]) -> None:
        self.proxy = proxy
        self._accepted = accepted
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[Ends, Ends]:
        """A client's end and the server's."""
        return await self.dial(), await self.accept()

    async def accept(self) -> Ends:
        server = await self._accepted.get()
        self._writers.append(server[1])
        return server

    async def dial(self) -> Ends:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.proxy.url.rpartition(":")[2]))
        self._writers.append(writer)
        return reader, writer

    def leave(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def setting(*faults: Fault) -> AsyncIterator[Setting]:
    accepted: asyncio.Queue[Ends] = asyncio.Queue()
    listening = await asyncio.start_server(lambda *ends: accepted.put_nowait(ends), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with asyncio.timeout(10), fault_proxy(f"tcp://127.0.0.1:{port}", faults) as proxy:
        used = Setting(proxy, accepted)
        yield used
        used.leave()
        listening.close()


async def say(ends: Ends, data: bytes) -> None:
    ends[1].write(data)
    await ends[1].drain()


async def heard(ends: Ends) -> tuple[bytes, str]:
    """All that comes, and how it ends."""
    data = b""
    try:
        while piece := await ends[0].read(65_536):
            data += piece
    except ConnectionResetError:
        return data, "reset"
    return data, "closed"


async def is_silent(ends: Ends) -> bool:
    """Whether nothing comes, not even an end."""
    try:
        async with asyncio.timeout(0.05):
            await ends[0].read(1)
    except TimeoutError:
        return True
    return False


def pairs(one: Ends, other: Ends, way: str) -> tuple[Ends, Ends]:
    """Who speaks and who hears when bytes go `way`: given the client's end and the server's."""
    return (other, one) if way == "down" else (one, other)


def harm(way: str, **members: object) -> Fault:
    return Fault(**{way: Way(**members)})  # type: ignore[arg-type]


both_ways = pytest.mark.parametrize("way", ["down", "up"])


@both_ways
async def test_without_a_fault_everything_comes_through_and_ends_as_it_was_ended(way: str) -> None:
    much = TEXT * 5_000
    async with setting() as it:
        client, server = await it.connect()
        speaker, hearer = pairs(client, server, way)
        hearing = asyncio.create_task(heard(hearer))
        await say(speaker, much)
        speaker[1].write_eof()  # half closed by the program itself: the other way goes on
        assert await hearing == (much, "closed")
        await say(hearer, b"thanks")
        hearer[1].close()
        assert await heard(speaker) == (b"thanks", "closed")
        await it.proxy.until(lambda proxy: proxy.open == 0)
        assert (it.proxy.struck, it.proxy.used) == (0, 1)


async def test_whoever_reads_late_gets_everything_and_an_orderly_end() -> None:
    much = TEXT * 2_000  # more than the client's own kernel takes in before it is read
    async with setting() as it:
        with socket.create_connection(("127.0.0.1", int(it.proxy.url.rpartition(":")[2]))) as client:
            client.shutdown(socket.SHUT_WR)
            server = await it.accept()
            await say(server, much)
            server[1].close()
            await it.proxy.until(lambda proxy: bool(proxy.connections) and proxy.open == 0)
            with client.makefile("rb") as read:
                assert read.read() == much


@both_ways
@pytest.mark.parametrize(("deed", "ending"), [("close", "closed"), ("reset", "reset")])
@pytest.mark.parametrize("after", [0, 1, 3, len(TEXT) - 1, len(TEXT)])
async def test_a_connection_is_cut_after_exactly_so_many_bytes(way: str, deed: Deed, ending: str, after: int) -> None:
    async with setting(harm(way, after=after, then=deed)) as it:
        client, server = await it.connect()
        speaker, hearer = pairs(client, server, way)
        await say(speaker, TEXT)
        assert await heard(hearer) == (TEXT[:after], ending)
        assert await heard(speaker) == (b"", ending)
        assert (it.proxy.struck, it.proxy.open) == (1, 0)


async def test_a_cut_in_mid_character_leaves_half_a_character() -> None:
    async with setting(harm("down", since="日".encode()[:1], after=1)) as it:
        client, server = await it.connect()
        await say(server, TEXT)
        data, _ = await heard(client)
        assert data == "Später? 日".encode()[:-1]


@pytest.mark.parametrize("piece", [1, 65_536])
async def test_bytes_are_counted_once_a_mark_has_come_through_in_whatever_pieces(piece: int) -> None:
    async with setting(harm("down", since=b"data: ", after=4, piece=piece)) as it:
        client, server = await it.connect()
        await say(server, b": quiet\n\nid: 7\nda")
        await say(server, b"ta: 0123456789\n\n")
        assert await heard(client) == (b": quiet\n\nid: 7\ndata: 0123", "closed")


async def test_a_connection_with_fewer_bytes_than_its_fault_allows_is_not_struck() -> None:
    async with setting(harm("down", after=len(TEXT) + 1)) as it:
        client, server = await it.connect()
        await say(server, TEXT)
        server[1].close()
        assert await heard(client) == (TEXT, "closed")
        assert it.proxy.struck == 0


async def test_a_reply_can_be_lost_after_the_server_has_taken_the_call() -> None:
    async with setting(harm("down", after=0, then="reset")) as it:
        client, server = await it.connect()
        await say(client, b"please")
        assert await server[0].readexactly(6) == b"please"
        assert it.proxy.open == 1
        await say(server, b"done")
        assert await heard(client) == (b"", "reset")


@both_ways
async def test_dripping_passes_on_piece_by_piece(way: str) -> None:
    async def pieces(fault: Fault) -> list[int]:
        async with setting(fault) as it:
            client, server = await it.connect()
            speaker, hearer = pairs(client, server, way)
            await say(speaker, TEXT[:20])
            speaker[1].write_eof()
            sizes = []
            while piece := await hearer[0].read(65_536):
                sizes.append(len(piece))
            return sizes

    assert await pieces(harm(way, piece=3, delay=0.002)) == [3, 3, 3, 3, 3, 3, 2]
    assert await pieces(Fault()) == [20]


@both_ways
async def test_a_delay_lets_what_was_said_later_come_first(way: str) -> None:
    async with setting(harm(way, delay=0.2)) as it:
        slow, quick = [pairs(*await it.connect(), way) for _ in range(2)]
        came: asyncio.Queue[str] = asyncio.Queue()

        async def hear(name: str, hearer: Ends) -> None:
            await hearer[0].readexactly(1)
            came.put_nowait(name)

        async with asyncio.TaskGroup() as hearing:
            hearing.create_task(hear("slow", slow[1]))
            hearing.create_task(hear("quick", quick[1]))
            await say(slow[0], b"1")
            await say(quick[0], b"2")
        assert [came.get_nowait(), came.get_nowait()] == ["quick", "slow"]


@both_ways
async def test_a_half_close_ends_one_way_and_leaves_the_other(way: str) -> None:
    async with setting(harm(way, after=5, then="half-close")) as it:
        client, server = await it.connect()
        speaker, hearer = pairs(client, server, way)
        await say(speaker, TEXT)
        assert await heard(hearer) == (TEXT[:5], "closed")
        await say(hearer, b"still there?")
        assert await speaker[0].readexactly(12) == b"still there?"
        assert (it.proxy.struck, it.proxy.open) == (1, 1)
        hearer[1].close()
        assert await heard(speaker) == (b"", "closed")
        speaker[1].close()
        await it.proxy.until(lambda proxy: proxy.open == 0)


@both_ways
async def test_a_hush_holds_the_connection_open_and_passes_nothing_more(way: str) -> None:
    async with setting(harm(way, after=5, then="hush")) as it:
        client, server = await it.connect()
        speaker, hearer = pairs(client, server, way)
        await say(speaker, TEXT)
        assert await hearer[0].readexactly(5) == TEXT[:5]
        await say(speaker, TEXT * 50_000)  # whoever speaks does not notice
        assert await is_silent(hearer)
        await say(hearer, b"hello?")
        assert await speaker[0].readexactly(6) == b"hello?"
        hearer[1].close()
        assert await heard(speaker) == (b"", "closed")


async def test_a_hush_hides_even_that_the_server_has_ended() -> None:
    async with setting(harm("down", after=5, then="hush"), Fault()) as it:
        hushed, plain = [await it.connect() for _ in range(2)]
        for client, server in (hushed, plain):
            await say(server, TEXT[:5])
            await client[0].readexactly(5)
            server[1].close()
        assert not await is_silent(plain[0])
        assert await is_silent(hushed[0])


async def test_each_connection_suffers_the_next_fault_and_when_there_is_none_left_none() -> None:
    cut = harm("down", after=1)
    for faults, expected in (([cut, Fault(), cut], [1, 3, 1, 3]), (repeat(cut, 4), [1, 1, 1, 1])):
        assert await _lengths(faults) == expected


async def _lengths(faults: Iterable[Fault]) -> list[int]:
    """How much each of four connections brings of three bytes."""
    async with setting(*faults) as it:
        lengths = []
        for _ in range(4):
            client, server = await it.connect()
            await say(server, b"abc")
            server[1].close()
            lengths.append(len((await heard(client))[0]))
        return lengths


async def test_it_refuses_for_a_while_on_the_same_port_and_what_stands_goes_on() -> None:
    async with setting() as it:
        client, server = await it.connect()
        async with it.proxy.refusing():
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    await it.dial()
            await say(server, b"goes on")
            assert await client[0].readexactly(7) == b"goes on"
        later, other = await it.connect()
        await say(other, b"back")
        assert await later[0].readexactly(4) == b"back"


async def test_it_cuts_what_stands_on_demand_and_nothing_later() -> None:
    async with setting() as it:
        standing = [await it.connect() for _ in range(2)]
        await say(standing[0][0], b"x")
        await it.proxy.until(lambda proxy: proxy.used == 1)
        await it.proxy.cut()
        assert it.proxy.open == 0
        for ends in (end for pair in standing for end in pair):
            assert (await heard(ends))[1] == "reset"
        client, server = await it.connect()
        await say(server, b"back")
        assert await client[0].readexactly(4) == b"back"


async def test_a_connection_that_nothing_was_sent_on_counts_as_unused_unless_it_was_struck() -> None:
    async with setting(Fault(), harm("up", after=0)) as it:
        for used in (0, 1):
            client, server = await it.connect()
            await say(server, b"hello")
            assert await client[0].readexactly(5) == b"hello"
            if used:
                await say(client, b"x")
                assert await heard(server) == (b"", "closed")
            assert it.proxy.used == used
        assert len(it.proxy.connections) == 2


async def test_where_the_server_is_away_a_connection_ends_at_once() -> None:
    async with fault_proxy("tcp://127.0.0.1:1") as proxy, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        assert await heard((reader, writer)) == (b"", "reset")
        writer.close()


@pytest.mark.parametrize("fault", [Fault(), harm("down", after=0, then="hush")])
async def test_leaving_it_ends_every_connection_and_every_task(fault: Fault) -> None:
    before = asyncio.all_tasks()
    async with setting(fault) as it:
        client, server = await it.connect()
        await say(server, TEXT)
        await it.proxy.end()
        assert (await heard(client))[1] == "reset"
        if left := asyncio.all_tasks() - before:  # what accepted a connection is just ending
            await asyncio.wait(left)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/sayso", "ws://localhost:8000", "postgresql://u:p@localhost:5432/db"]
)
async def test_its_address_is_the_servers_but_for_host_and_port(url: str) -> None:
    async with fault_proxy(url) as proxy:
        port = proxy.url.partition("127.0.0.1:")[2].partition("/")[0]
        host = url.partition("//")[2].rpartition("@")[2].partition("/")[0]
        assert proxy.url == url.replace(host, f"127.0.0.1:{port}")
