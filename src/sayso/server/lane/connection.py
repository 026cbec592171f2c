"""A connection until its call is known, and between two polls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec.structs import replace
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from sayso import limits
from sayso.errors import SaysoError
from sayso.gateway import Batch, Place
from sayso.server import connections, intake, shape
from sayso.server.access import CallersAccess, begin
from sayso.server.lane.again import Again
from sayso.server.lane.arrived import Arrived
from sayso.server.lane.head import Head, recognised
from sayso.server.lane.poll import Poll
from sayso.server.lane.regulars import Regular
from sayso.server.lane.sse import EventStream
from sayso.server.lane.stream import Stream
from sayso.server.lane.websocket import Socket, accept_key, accept_of
from sayso.server.lane.written import last_of_connection, sse_head, ws_head
from sayso.server.problems import raw_problem
from sayso.server.protection import staying_with_tls

if TYPE_CHECKING:
    from sayso.server.lane.lane import Lane

logger = logging.getLogger(__name__)

_LIKE: Final = (b"GET /ws/", b"GET /events/", b"GET /poll/")


class Connection(asyncio.Protocol):
    """Reads heads. What is none of the lane's goes to another protocol, with all that has come."""

    __slots__ = (
        "_call",
        "_cut",
        "_early",
        "_idle_since",
        "_is_paused",
        "_more",
        "_place",
        "_poll",
        "_stream",
        "is_polling",
        "lane",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, lane: Lane, place: connections.Place) -> None:
        self.lane = lane
        self._place = place
        self._call: asyncio.Task[None] | None = None
        self._poll: Poll | None = None
        self.is_polling = False
        """Whether a poll is held, which says so."""
        self._stream: Stream | None = None
        """Whose the connection is, once it is one's. Another protocol on the transport would cost two system calls."""
        self._cut: asyncio.TimerHandle | int | None = lane.later.after(limits.RECEIVE, self)
        self._early = b""
        self._more: tuple[tuple[bytes, bytes], ...] = ()
        """Headers that its answers carry besides."""
        self._is_paused = False
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.lane.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.data_received(data)
            return
        if self._is_busy:
            self._early += data  # the next call, before this one is answered
            self.transport.pause_reading()
            return
        if self._cut is not None:
            self._stay()
        if self._poll is not None and self._poll.comes_again(data):
            return
        head = recognised(data) if data.startswith(_LIKE) else None
        if head is None:
            self._hand_over(data)
        elif self._comes_again(head):
            return
        elif head.is_plain:
            self._call = self.lane.loop.create_task(self._answer(head, data))
        else:
            self._hand_over(data)

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.pause_writing()
            return
        self._is_paused = True
        self._stay()
        self._cut = self.lane.later.after(limits.SEND, self)

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.resume_writing()
            return
        self._is_paused = False
        self._stay()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._stream.connection_lost(exc)
            return
        self._leave()
        if self._call is not None:
            self._call.cancel()
        self._place.leave()

    def look_around(self, now: float) -> None:
        """Ends it when it has been idle for too long."""
        if self._poll is None or self._is_busy:
            return
        is_known = self._poll.caller.name is not None or self._place.is_exempt
        if now - self._idle_since > (limits.KEEP_ALIVE if is_known else limits.RECEIVE):
            self.transport.close()

    def end(self) -> None:
        """The server stops: where nothing is asked, nothing will be."""
        if not self._is_busy:
            self.transport.close()

    def say(self, answer: bytes) -> None:
        """The answer to a poll; then the next call is read."""
        self._call = None
        lane, transport = self.lane, self.transport
        self._idle_since = lane.loop.time()
        if transport.is_closing():
            return
        if lane.gateway.is_draining or lane.gateway.has_ended_streams:
            transport.write(last_of_connection(answer))
            self._close()
            return
        transport.write(answer)
        if self._early:
            self._go_on()

    def refuse(self, error: SaysoError) -> None:
        """The last answer on this connection."""
        self.lane.application.refusals.add(error.code)
        if error.status >= 500:
            logger.error("call failed", exc_info=error, extra={"code": error.code, **error.about})
        if not self.transport.is_closing():
            self.transport.write(raw_problem(error, *self._more))
            self._close()

    @property
    def _is_busy(self) -> bool:
        return self.is_polling or self._is_paused or self._call is not None

    def _go_on(self) -> None:
        if self._early and not self._is_busy:
            data, self._early = self._early, b""
            self.transport.resume_reading()
            self.data_received(data)

    def _comes_again(self, head: Head) -> bool:
        """Whether whoever calls did so before, by the same head; then its stream has begun, without a task."""
        lane = self.lane
        found = lane.regulars.find(head, self.transport)
        if found is None:
            return False
        regular, key = found
        self._more = regular.more
        try:
            open = lane.application.calls.begun(self._place.address, regular.use.caller)
        except SaysoError as error:
            self.refuse(error)
            return True
        accept = None if key is None else accept_of(key)
        batch = Batch(Place(head.execution_id, 0, era=lane.gateway.era))
        self._begin(accept, Arrived(lane, self.transport, self._place, regular.use, open), batch)
        return True

    async def _answer(self, head: Head, data: bytes) -> None:
        """Reads on until the call is answered, or is another's."""
        try:
            facts = self._facts(head)
            scope = head.scope(facts)
            if scope is None or not (await self._admitted(head, facts, scope, data)):
                self._hand_over(data)
        except SaysoError as error:
            self.refuse(error)
        except Exception:
            logger.exception("call failed")
            self.refuse(SaysoError())
        finally:
            if self._call is asyncio.current_task():
                self._call = None

    async def _admitted(self, head: Head, facts: Mapping[str, Any], scope: Scope, data: bytes) -> bool:
        """Whether the call was this lane's; then it has been begun, or answered."""
        headers = Headers(scope=scope)
        accept = accept_key(headers) if head.road == "ws" else None
        if (accept is None) if head.road == "ws" else ("origin" in headers):
            return False  # a handshake that is none, or a page of another origin
        self._more = staying_with_tls(scope)
        await self.lane.from_its_caller(scope)
        caller = await self.lane.application.door.admit(shape.checked(scope))
        if caller is None:
            return False  # a stranger, who says who it is later
        use = CallersAccess(self.lane.application.access, caller)
        with ExitStack() as undone:
            open = self.lane.application.calls.begun(_caller_at(scope), caller)
            undone.callback(open.over)
            call = HTTPConnection(scope)
            execution_id, cursor = intake.execution_id(call), intake.last_event_id(call)
            if head.road == "poll":
                again = Again(execution_id, intake.wait(call), use, _caller_at(scope))
                poll = self._poll = self._poll or Poll(self, caller)
                if await poll.answered(again, cursor, open, like=data):
                    undone.pop_all()
                return True
            batch = await self._start(use, execution_id, cursor)
            if cursor is None:
                self.lane.regulars.remember(head, self.transport, Regular(use, self._more))
            if not self.transport.is_closing():
                undone.pop_all()
                self._begin(accept, Arrived(self.lane, self.transport, self._place, use, open), batch)
        return True

    async def _start(self, use: CallersAccess, execution_id: str | None, cursor: str | None) -> Batch:
        """Where a follower begins, from the feed where that knows it."""
        among = None if execution_id is not None else use.caller.among
        feed = self.lane.feeds.known((execution_id, among))
        position = None if feed is None or cursor is None else feed.located(cursor)
        if position is not None:
            await use.call(lambda gateway: gateway.check_follow(execution_id))
            self.lane.gateway.counts.resumed()
            return Batch(Place(execution_id, position, era=self.lane.gateway.era, among=among), cursor=cursor)
        batch = await begin(use, execution_id, cursor)
        return batch if batch.place.among == among else replace(batch, place=replace(batch.place, among=among))

    def _begin(self, accept: bytes | None, arrived: Arrived, batch: Batch) -> None:
        """From here on the connection is a stream's; a WebSocket's where there is something to accept it with."""
        self._leave()
        stream = self._stream = EventStream(arrived) if accept is None else Socket(arrived)
        stream.write(sse_head(self._more) if accept is None else ws_head(accept))
        if self._early:
            self.transport.resume_reading()
        stream.begin(batch)
        if self._early:
            early, self._early = self._early, b""
            stream.data_received(early)

    def _facts(self, head: Head) -> dict[str, Any]:
        """What a call has of its connection."""
        peer, here = self.transport.get_extra_info("peername"), self.transport.get_extra_info("sockname")
        is_tls = self.transport.get_extra_info("sslcontext") is not None
        names = ("ws", "wss") if head.road == "ws" else ("http", "https")
        return {
            "scheme": names[is_tls],
            "client": _address(peer),
            "server": _address(here),
        }

    def _hand_over(self, data: bytes) -> None:
        self._leave()
        if self.transport.is_closing():
            self._place.leave()
            return
        if self._early:
            self.transport.resume_reading()
        protocol = self.lane.make(self._place)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(data + self._early)

    def _leave(self) -> None:
        """The connection goes to another protocol, or is gone."""
        self.lane.connections.discard(self)
        self._stay()
        if self._poll is not None:
            self._poll.forget()

    def _close(self) -> None:
        self.transport.close()
        if self._cut is None and self.transport.get_write_buffer_size():
            self._cut = self.lane.later.after(limits.SEND, self)

    def time_out(self) -> None:
        """Nothing was asked, or the answer is not taken."""
        self._cut = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _stay(self) -> None:
        if self._cut is not None:
            self.lane.later.off(self._cut, self)
            self._cut = None


def _caller_at(facts: Mapping[str, Any]) -> str:
    """The caller's address; "" where there is none."""
    return str((facts.get("client") or ("",))[0])


def _address(info: Any) -> tuple[str, int] | None:
    return (str(info[0]), int(info[1])) if isinstance(info, tuple) else None
