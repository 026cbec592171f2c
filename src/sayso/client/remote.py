"""An Asker over HTTP: asks once whatever gets lost on the way, and waits for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakMethod

import httpx

from sayso import tracing
from sayso.asker import Asked, refused
from sayso.at_exit import at_exit
from sayso.client import calls
from sayso.client.transport import Address, drive, request_of
from sayso.crossing import Crossing, refuse, resolve
from sayso.errors import AlreadySettled, Invalid, NotFound, SaysoError, Unavailable
from sayso.model import ASKER_GONE, Question, Request
from sayso.wire import checked

T = TypeVar("T")
logger = logging.getLogger(__name__)

_GRACE: Final = 5.0
"""Seconds that a server has, beyond a question's deadline, to say how it ended."""


def connect(url: str | None = None, *, api_key: str | None = None) -> RemoteAsker:
    """An asker that asks the server at `url` (else SAYSO_URL): `sayso.adapters.crewai.install(sayso.connect(url))`.

    Returns at once; a server that cannot be reached is tried again, with a warning in the log, until it is there.
    Raises Misconfigured for an address that is none.
    """
    return RemoteAsker(url, api_key)


class _Line(NamedTuple):
    """What one process asks by."""

    process: int
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop
    crossing: Crossing
    client: httpx.AsyncClient


class RemoteAsker:
    """One connection pool and one thread for all agents of this process, from the first question on."""

    def __init__(self, url: str | None, api_key: str | None = None) -> None:
        address = Address(url, api_key)
        self._url = address.url
        self._options = address.options()
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def submit(self, question: Question) -> Asked:
        """Asks under an id of its own, so that asking again after a lost reply is the same question."""
        is_own = question.request_id is None
        if is_own:
            question = question.replace(request_id=str(uuid.uuid4()))
        try:
            question = checked(question)
        except Invalid as error:
            return refused(error)
        question, end_span = tracing.asking(question)
        asked = Asked(Future(), Future())
        asked.settled.add_done_callback(end_span)
        crossing, client = self._opened()
        attended = crossing.send(lambda: self._attend_in_time(client, question, asked))
        attended.add_done_callback(lambda attended: _fail(asked, attended))

        def give_up(settled: Future[Request]) -> None:
            if settled.cancelled():
                attended.cancel()
                if is_own:
                    crossing.send(lambda: self._cancel(client, str(question.request_id)))

        asked.settled.add_done_callback(give_up)
        return asked

    def keep(self, execution_id: str, request_id: str, data: bytes) -> Future[None]:
        """Keeps what an agent needs to go on from a question, however long it takes to reach the server."""
        return self._send(lambda client: self._insist(client, calls.keep(execution_id, request_id, data)))

    def kept(self, request_id: str) -> Future[bytes | None]:
        """What was kept under this id, or None."""

        async def look(client: httpx.AsyncClient) -> bytes | None:
            try:
                return await self._insist(client, calls.kept(request_id))
            except NotFound:
                return None

        return self._send(look)

    def withdraw(self, request_id: str) -> Future[Request]:
        """The request, cancelled, since nobody will take an answer to it; or as it was settled before."""

        async def cancel(client: httpx.AsyncClient) -> Request:
            try:
                return await self._insist(client, calls.cancel(request_id, ASKER_GONE))
            except AlreadySettled as late:
                settled: Request = late.request
                return settled

        return self._send(cancel)

    def _send(self, use: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]]) -> Future[T]:
        crossing, client = self._opened()
        return crossing.send(lambda: use(client))

    async def _insist(self, client: httpx.AsyncClient, call: calls.Call[T]) -> T:
        return await drive(calls.persist(call, patience=None, clock=monotonic), client, self._warn)

    def _opened(self) -> tuple[Crossing, httpx.AsyncClient]:
        """The way into this process's thread; a forked process makes its own."""
        with self._lock:
            if self._line is None or self._line.process != os.getpid():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="sayso-client", daemon=True)
                thread.start()
                client = httpx.AsyncClient(**self._options)
                self._line = _Line(os.getpid(), thread, loop, Crossing(loop, _given_up), client)
                at_exit(WeakMethod(self.close))
            return self._line.crossing, self._line.client

    def close(self) -> None:
        """Gives up what waits (each raises Unavailable; the requests stay open) and ends the thread. Idempotent; the
        next question begins anew."""
        with self._lock:
            line, self._line = self._line, None
        if line is None or line.process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(_end(line), line.loop).result()
        line.loop.call_soon_threadsafe(line.loop.stop)
        line.thread.join()
        line.loop.close()
        line.crossing.close()

    async def _attend_in_time(self, client: httpx.AsyncClient, question: Question, asked: Asked) -> None:
        """`_attend`, but no longer than the question may wait, whatever became of the server."""
        left = _time_left(question)
        try:
            async with asyncio.timeout(None if left is None else left + _GRACE):
                await self._attend(client, question, asked)
        except TimeoutError as exc:
            raise Unavailable(f"{self._url} did not say in time what became of the question") from exc

    async def _attend(self, client: httpx.AsyncClient, question: Question, asked: Asked) -> None:
        """Sees one question through to its outcome."""
        request = await self._insist(client, calls.ask(question))
        resolve(asked.stored, request)
        resolve(asked.settled, await drive(calls.settled(request, clock=monotonic), client, self._warn))

    async def _cancel(self, client: httpx.AsyncClient, request_id: str) -> None:
        """Nobody could take an answer any more."""
        try:
            async with client.stream(**request_of(calls.cancel(request_id, ASKER_GONE))):
                return  # whatever it says
        except httpx.RequestError as exc:
            logger.warning("a question that nobody waits for stays open at %s: %r", self._url, exc)

    def _warn(self, why: str) -> None:
        if why:
            logger.warning("%s cannot be asked at present; trying again: %s", self._url, why)


def _given_up() -> SaysoError:
    """What becomes of a call when the asker is closed; not NotReady, which would mean that nothing was asked."""
    return Unavailable("waiting for the answer was given up")


def _time_left(question: Question) -> float | None:
    if question.timeout is not None:
        return question.timeout
    return None if question.deadline is None else (question.deadline - datetime.now(UTC)).total_seconds()


async def _end(line: _Line) -> None:
    await line.crossing.abort()
    await line.client.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()  # it looks up the host's name


def _fail(asked: Asked, attended: Future[None]) -> None:
    error = None if attended.cancelled() else attended.exception()
    if error is None:
        error = _given_up()
    elif not isinstance(error, SaysoError):
        error = Unavailable(f"the question was lost on the way: {error!r}")
    refuse(asked.stored, error)
    refuse(asked.settled, error)
