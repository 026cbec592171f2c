"""An Asker over HTTP: asks once whatever gets lost on the way, and waits for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from weakref import WeakMethod

import httpx

from sayso import limits
from sayso.asker import Asked, refused
from sayso.at_exit import at_exit
from sayso.crossing import Crossing, refuse, resolve
from sayso.errors import Invalid, Misconfigured, NotReady, SaysoError, Unavailable
from sayso.model import ASKER_GONE, Question, Request
from sayso.settings import checked_key
from sayso.wire import checked, decode_request, encode, error_of

logger = logging.getLogger(__name__)

_WAIT: Final = limits.WAIT - 5
"""Seconds that one look at a pending request is held by the server."""
_SLOWEST: Final = 10.0
"""Seconds that a connection, or an answer beyond the held time, may take before the call counts as lost."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 20.0
"""Seconds, at most, before the second try and before late ones."""
_GRACE: Final = 5.0
"""Seconds that a server has, beyond a question's deadline, to say how it ended."""
_HELD: Final = 1.0
"""Seconds from which on a look counts as one that the server held."""


_ADDRESS: Final = "the server's address must be a URL, as http://host:8000, without ?, # or user (the key is api_key)"


def connect(url: str, *, api_key: str | None = None) -> RemoteAsker:
    """An asker that asks the server at `url`, as in `sayso.adapters.crewai.install(sayso.connect(url))`.

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

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = _checked(url)
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {checked_key(api_key, 'api_key')}"}
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
        asked = Asked(Future(), Future())
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

    def _opened(self) -> tuple[Crossing, httpx.AsyncClient]:
        """The way into this process's thread; a forked process makes its own."""
        with self._lock:
            if self._line is None or self._line.process != os.getpid():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="sayso-client", daemon=True)
                thread.start()
                timeout = httpx.Timeout(_SLOWEST, read=_WAIT + _SLOWEST)
                limits_ = httpx.Limits(max_connections=None, max_keepalive_connections=16)
                client = httpx.AsyncClient(
                    base_url=self._url, headers=self._headers, timeout=timeout, limits=limits_, follow_redirects=False
                )
                self._line = _Line(os.getpid(), thread, loop, Crossing(loop), client)
                at_exit(WeakMethod(self.close))
            return self._line.crossing, self._line.client

    def close(self) -> None:
        """Gives up what waits (each raises Unavailable; the requests stay open) and ends the thread. Idempotent; the
        next question begins anew."""
        with self._lock:
            line, self._line = self._line, None
        if line is None or line.process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(_end(line.client), line.loop).result()
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
        body = encode(question)
        request = await self._persist(lambda: client.post("/requests", content=body), is_known=False)
        resolve(asked.stored, request)
        look, prefer = f"/requests/{request.request_id}", {"Prefer": f"wait={_WAIT:.0f}"}
        clock, pauses = asyncio.get_running_loop().time, _Pauses()
        while request.is_open:
            began = clock()
            request = await self._persist(lambda: client.get(look, headers=prefer), is_known=True)
            if clock() - began > _HELD:
                pauses = _Pauses()
            elif request.is_open:  # someone on the way does not hold the call
                await asyncio.sleep(pauses.next())
        resolve(asked.settled, request)

    async def _cancel(self, client: httpx.AsyncClient, request_id: str) -> None:
        """Nobody could take an answer any more."""
        try:
            await client.post(f"/requests/{request_id}/cancel", content=encode({"reason": ASKER_GONE}))
        except httpx.TransportError as exc:
            logger.warning("a question that nobody waits for stays open at %s: %r", self._url, exc)

    async def _persist(self, call: Callable[[], Coroutine[Any, Any, httpx.Response]], *, is_known: bool) -> Request:
        """The request that `call` brings, however often it must be made. Raises what the server refuses it with.

        `is_known`: the address has answered as sayso does before, so what else it says now will pass.
        """
        pauses = _Pauses()
        while True:
            pause = pauses.next()
            try:
                response = await call()
                if response.is_success:
                    return decode_request(response.content)
                error = error_of(response.content, response.status_code)
                passes = is_known and isinstance(error, Misconfigured)  # a page of a proxy's
                if not (error.retry or passes):
                    raise error
                why: object = error
                with suppress(ValueError):
                    pause = max(pause, min(float(response.headers.get("Retry-After", 0)), _LONGEST_PAUSE))
            except httpx.TransportError as exc:
                why = exc if str(exc) else type(exc).__name__
            except ValueError as exc:
                why = f"{self._url} answers, but not as a sayso server does; check the address"
                if not is_known:
                    raise Misconfigured(why) from exc
            logger.warning("%s cannot be asked at present; trying again: %s", self._url, why)
            await asyncio.sleep(pause)


class _Pauses:
    """Seconds between tries: full jitter, growing, so that agents do not all come back at once."""

    def __init__(self) -> None:
        self._longest = _FIRST_PAUSE

    def next(self) -> float:
        pause = random.uniform(0, self._longest)  # noqa: S311 - spreads load, hides nothing
        self._longest = min(self._longest * 2, _LONGEST_PAUSE)
        return pause


def _time_left(question: Question) -> float | None:
    if question.timeout is not None:
        return question.timeout
    return None if question.deadline is None else (question.deadline - datetime.now(UTC)).total_seconds()


async def _end(client: httpx.AsyncClient) -> None:
    waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await client.aclose()
    await asyncio.get_running_loop().shutdown_default_executor()  # it looks up the host's name


def _fail(asked: Asked, attended: Future[None]) -> None:
    error = None if attended.cancelled() else attended.exception()
    if error is None or isinstance(error, NotReady):  # which would mean that nothing was asked
        error = Unavailable("waiting for the answer was given up")
    elif not isinstance(error, SaysoError):
        error = Unavailable(f"the question was lost on the way: {error!r}")
    refuse(asked.stored, error)
    refuse(asked.settled, error)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
        port = parsed.port
    except (httpx.InvalidURL, TypeError) as exc:
        raise Misconfigured(_ADDRESS) from exc
    is_web = parsed.scheme in ("http", "https") and parsed.host and (port is None or 0 < port < 65_536)
    if not is_web or parsed.query or parsed.fragment or parsed.userinfo:
        raise Misconfigured(_ADDRESS)
    return str(parsed).rstrip("/")
