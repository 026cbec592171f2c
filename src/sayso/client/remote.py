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
from typing import Any, Final, TypeVar

import httpx

from sayso import limits
from sayso.asker import Asked
from sayso.crossing import Crossing, refuse, resolve
from sayso.errors import Misconfigured, NotReady, SaysoError, Unavailable
from sayso.model import Question, Request
from sayso.wire import decode_request, encode, error_of

T = TypeVar("T")
logger = logging.getLogger(__name__)

_WAIT: Final = limits.WAIT - 5
"""Seconds that one look at a pending request is held by the server."""
_SLOWEST: Final = 10.0
"""Seconds that a connection, or an answer beyond the held time, may take before the call counts as lost."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 20.0
"""Seconds between tries: full jitter, growing from the one to the other, so that agents do not return all at once."""


def connect(url: str, *, api_key: str | None = None) -> RemoteAsker:
    """An asker that asks the server at `url`, as in `sayso.adapters.crewai.install(sayso.connect(url))`.

    Returns at once; a server that cannot be reached is tried again, with a warning in the log, until it is there.
    Raises Misconfigured for an address that is none.
    """
    return RemoteAsker(url, api_key)


class RemoteAsker:
    """One connection pool and one thread for all agents of this process, from the first question on."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = _checked(url)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._lock = threading.Lock()
        self._line: tuple[int, Crossing, httpx.AsyncClient] | None = None

    def submit(self, question: Question) -> Asked:
        """Asks under an id of its own, so that asking again after a lost reply is the same question."""
        if question.request_id is None:
            question = question.replace(request_id=str(uuid.uuid4()))
        asked = Asked(Future(), Future())
        crossing, client = self._opened()
        attended = crossing.send(lambda: self._attend(client, question, asked))
        attended.add_done_callback(lambda attended: _fail(asked, attended))
        asked.settled.add_done_callback(lambda settled: attended.cancel() if settled.cancelled() else None)
        return asked

    def _opened(self) -> tuple[Crossing, httpx.AsyncClient]:
        """The way into this process's thread; a forked process makes its own."""
        with self._lock:
            if self._line is None or self._line[0] != os.getpid():
                loop = asyncio.new_event_loop()
                threading.Thread(target=loop.run_forever, name="sayso-client", daemon=True).start()
                timeout = httpx.Timeout(_SLOWEST, read=_WAIT + _SLOWEST)
                limits_ = httpx.Limits(max_connections=None, max_keepalive_connections=16)
                client = httpx.AsyncClient(
                    base_url=self._url, headers=self._headers, timeout=timeout, limits=limits_, follow_redirects=False
                )
                self._line = (os.getpid(), Crossing(loop), client)
            return self._line[1:]

    async def _attend(self, client: httpx.AsyncClient, question: Question, asked: Asked) -> None:
        """Sees one question through to its outcome."""
        body = encode(question)
        request = await self._persist(lambda: client.post("/requests", content=body))
        resolve(asked.stored, request)
        look = f"/requests/{request.request_id}"
        while request.is_open:
            request = await self._persist(lambda: client.get(look, headers={"Prefer": f"wait={_WAIT:.0f}"}))
        resolve(asked.settled, request)

    async def _persist(self, call: Callable[[], Coroutine[Any, Any, httpx.Response]]) -> Request:
        """The request that `call` brings, however often it must be made. Raises what the server refuses it with."""
        longest = _FIRST_PAUSE
        while True:
            pause = random.uniform(0, longest)  # noqa: S311 - spreads load, hides nothing
            try:
                response = await call()
                if response.is_success:
                    return decode_request(response.content)
                error = error_of(response.content, response.status_code)
                if not error.retry:
                    raise error
                why: object = error
                with suppress(ValueError):
                    pause = max(pause, min(float(response.headers.get("Retry-After", 0)), _LONGEST_PAUSE))
            except (httpx.TransportError, ValueError) as exc:
                why = exc if str(exc) else type(exc).__name__
            logger.warning("%s cannot be asked at present; trying again: %s", self._url, why)
            await asyncio.sleep(pause)
            longest = min(longest * 2, _LONGEST_PAUSE)


def _fail(asked: Asked, attended: Future[None]) -> None:
    if attended.cancelled():
        error: BaseException = NotReady("waiting was given up")
    else:
        error = attended.exception() or NotReady("waiting ended")
    if not isinstance(error, SaysoError):
        error = Unavailable(f"the question was lost on the way: {error!r}")
    refuse(asked.stored, error)
    refuse(asked.settled, error)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as exc:
        raise Misconfigured("the server's address must be a URL, as http://host:8000") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Misconfigured("the server's address must be a URL, as http://host:8000")
    return str(parsed).rstrip("/")
