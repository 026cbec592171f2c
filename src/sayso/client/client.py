"""A server on another machine, for programs that ask, answer and follow: `Client` in threads, `AsyncClient` on a loop.

What is said, in which order, and when it is tried again is decided in `calls` and `following`; here it is only done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
import msgspec

from sayso.client import calls
from sayso.client.calls import RequestPage, Send, Steps
from sayso.client.following import Following, Told
from sayso.client.transport import (
    Address,
    at,
    body_of,
    body_of_sync,
    drive,
    pause_after,
    reply_of,
    request_of,
    stream_of,
)
from sayso.errors import Misconfigured, SaysoError
from sayso.model import Question, Request, Status, Submission

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds for which a call is made again when a server cannot be reached or is busy, until its error is raised."""


class Client:
    """Asks, answers and follows, blocking its thread. Use it with `with`, or `close()` it.

    url, api_key: the server and its key; else SAYSO_URL and SAYSO_API_KEY (or SAYSO_API_KEY_FILE).
    patience: seconds for which a call is repeated when the server cannot be reached or is busy. Repeating is safe:
        questions and answers carry ids that this client makes.

    All raise Unauthorised, Forbidden, Misconfigured (no sayso server there), and Unavailable when patience is over.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        address = Address(url, api_key)
        self.url = address.url
        self._http = httpx.Client(**address.options())

    def ask(self, question: Question) -> Request:
        """The stored request. Raises Invalid, TooLarge, RequestMismatch."""
        return self._do(calls.persist(calls.ask(calls.identified(question)), **self._times()))

    def get(self, request_id: str, *, wait: float = 0.0) -> Request:
        """The request; with `wait`, once it is settled or after so many seconds (at most 50). Raises NotFound."""
        return self._do(calls.persist(calls.look(request_id, wait), **self._times()))

    def settled(self, request_id: str) -> Request:
        """The request once it is settled, however long that takes and whatever the server goes through."""
        return self._do(calls.settled(self.get(request_id), clock=time.monotonic))

    def page(
        self,
        *,
        status: Iterable[Status] = (),
        execution_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
        newest: bool = False,
        q: str | None = None,
    ) -> RequestPage:
        """A page of requests, and the cursor from which `follow` misses nothing. Raises Invalid."""
        return self._do(
            calls.persist(calls.listing(status, execution_id, after, limit, newest=newest, q=q), **self._times())
        )

    def list(
        self,
        *,
        status: Iterable[Status] = (),
        execution_id: str | None = None,
        newest: bool = False,
        q: str | None = None,
    ) -> Iterator[Request]:
        """All requests, in asking order or the newest first, page by page.

        q: only those in whose title, prompt, execution or agent's name this text stands, whatever its case.
        """
        status, after = tuple(status), None
        while True:
            page = self.page(status=status, execution_id=execution_id, after=after, newest=newest, q=q)
            yield from page.requests
            after = calls.next_of(page, after, newest=newest)
            if after is None:
                return

    def answer(self, request_id: str, submission: Submission | None = None, **members: Any) -> Request:
        """The settled request: `answer(id, text="shorter")`, `answer(id, decision="approve")`.

        Raises Invalid (the request stays open), AlreadySettled with the answer that won, NotFound.
        """
        call = calls.answer(request_id, submission_of(submission, members))
        return self._do(calls.persist(call, **self._times()))

    def cancel(self, request_id: str, reason: str = "cancelled") -> Request:
        """The request, given up. Raises AlreadySettled, NotFound."""
        return self._do(calls.cancelled(request_id, reason, **self._times()))

    def keep(self, execution_id: str, request_id: str, data: bytes) -> None:
        """Keeps what it takes to go on from a request, made or not, until its execution is removed; what was kept first
        stays. Raises Invalid, TooLarge (4 MiB)."""
        self._do(calls.persist(calls.keep(execution_id, request_id, data), **self._times()))

    def kept(self, request_id: str) -> bytes:
        """What was kept. Raises NotFound."""
        return self._do(calls.persist(calls.kept(request_id), **self._times()))

    def lease(self, name: str, holder: str, seconds: float) -> None:
        """A piece of work is `holder`'s for so long; again before that, for longer. Raises Leased while another's."""
        self._do(calls.persist(calls.lease(name, holder, seconds), **self._times()))

    def release(self, name: str, holder: str) -> None:
        """Gives a lease back before its time."""
        self._do(calls.persist(calls.release(name, holder), **self._times()))

    def once(self, call: calls.Call[T]) -> T:
        """What a call brings that must not be made again, since its reply cannot be had twice: a key's secret, say."""
        return self._do(calls.persist(call, patience=0.0, clock=time.monotonic))

    def audit(self, execution_id: str | None = None) -> Iterator[dict[str, Any]]:
        """The entries of the audit, as docs/security.md has them, of one execution or of all, page by page."""
        after = None
        while page := self._do(calls.persist(calls.audit(execution_id, after), **self._times())):
            yield from page
            after = calls.place_of(page, after)

    def follow(self, execution_id: str | None = None, *, after: str | None = None) -> Generator[Told]:
        """The events of an execution, or of all, as they come, without a gap or a repeat, for ever.

        after: the `event_id` to go on from. Without one: all events of an execution; of all executions, what is open
        and what comes. Breaks heal themselves. Yields a Reset where the cursor means nothing to the server (any more).
        """
        following = Following(execution_id, after)
        while True:
            pause = yield from self._once(following)
            time.sleep(pause)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _times(self) -> dict[str, Any]:
        return {"patience": self._patience, "clock": time.monotonic}

    def _do(self, steps: Steps[T]) -> T:
        reply: calls.Reply | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            except Misconfigured as exc:
                raise at(self._http, exc) from exc
            if isinstance(step, Send):
                reply = self._send(step.call)
            else:
                time.sleep(step.seconds)
                reply = None

    def _send(self, call: calls.Call[Any]) -> calls.Reply:
        try:
            with self._http.stream(**request_of(call)) as response:
                return reply_of(response, body_of_sync(response))
        except (httpx.RequestError, SaysoError) as exc:
            return calls.Reply(error=exc)

    def _once(self, following: Following) -> Generator[Told, None, float]:
        """One call of a follower; the seconds until the next."""
        error: Exception | None = None
        retry_after, began = None, time.monotonic()
        told: list[Told] = []
        try:
            with self._http.stream(**stream_of(following)) as response:
                retry_after = response.headers.get("Retry-After")
                is_stream = following.road == "sse" and response.is_success
                body = b"" if is_stream else body_of_sync(response)
                following.opened(response.status_code, response.headers.get("Content-Type", ""), body)
                if not is_stream:
                    told = following.page(body)
                    yield from told
                    return following.rest(told, time.monotonic() - began)
                for piece in response.iter_raw():
                    yield from following.feed(piece)
        except (httpx.RequestError, SaysoError) as exc:
            error = exc
        return pause_after(following, error, retry_after, self._http)


class AsyncClient:
    """`Client` for code on a loop: the same methods, awaited."""

    def __init__(self, url: str | None = None, api_key: str | None = None, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        address = Address(url, api_key)
        self.url = address.url
        self._http = httpx.AsyncClient(**address.options())

    async def ask(self, question: Question) -> Request:
        """As `Client.ask`."""
        return await self._do(calls.persist(calls.ask(calls.identified(question)), **self._times()))

    async def get(self, request_id: str, *, wait: float = 0.0) -> Request:
        """As `Client.get`."""
        return await self._do(calls.persist(calls.look(request_id, wait), **self._times()))

    async def settled(self, request_id: str) -> Request:
        """As `Client.settled`."""
        return await self._do(calls.settled(await self.get(request_id), clock=time.monotonic))

    async def page(
        self,
        *,
        status: Iterable[Status] = (),
        execution_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
        newest: bool = False,
        q: str | None = None,
    ) -> RequestPage:
        """As `Client.page`."""
        return await self._do(
            calls.persist(calls.listing(status, execution_id, after, limit, newest=newest, q=q), **self._times())
        )

    async def list(
        self,
        *,
        status: Iterable[Status] = (),
        execution_id: str | None = None,
        newest: bool = False,
        q: str | None = None,
    ) -> AsyncIterator[Request]:
        """As `Client.list`."""
        status, after = tuple(status), None
        while True:
            page = await self.page(status=status, execution_id=execution_id, after=after, newest=newest, q=q)
            for request in page.requests:
                yield request
            after = calls.next_of(page, after, newest=newest)
            if after is None:
                return

    async def answer(self, request_id: str, submission: Submission | None = None, **members: Any) -> Request:
        """As `Client.answer`."""
        call = calls.answer(request_id, submission_of(submission, members))
        return await self._do(calls.persist(call, **self._times()))

    async def cancel(self, request_id: str, reason: str = "cancelled") -> Request:
        """As `Client.cancel`."""
        return await self._do(calls.cancelled(request_id, reason, **self._times()))

    async def keep(self, execution_id: str, request_id: str, data: bytes) -> None:
        """As `Client.keep`."""
        await self._do(calls.persist(calls.keep(execution_id, request_id, data), **self._times()))

    async def kept(self, request_id: str) -> bytes:
        """As `Client.kept`."""
        return await self._do(calls.persist(calls.kept(request_id), **self._times()))

    async def lease(self, name: str, holder: str, seconds: float) -> None:
        """As `Client.lease`."""
        await self._do(calls.persist(calls.lease(name, holder, seconds), **self._times()))

    async def release(self, name: str, holder: str) -> None:
        """As `Client.release`."""
        await self._do(calls.persist(calls.release(name, holder), **self._times()))

    async def audit(self, execution_id: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """As `Client.audit`."""
        after = None
        while page := await self._do(calls.persist(calls.audit(execution_id, after), **self._times())):
            for entry in page:
                yield entry
            after = calls.place_of(page, after)

    async def follow(self, execution_id: str | None = None, *, after: str | None = None) -> AsyncGenerator[Told]:
        """As `Client.follow`."""
        following = Following(execution_id, after)
        while True:
            error: Exception | None = None
            retry_after, began = None, time.monotonic()
            try:
                async with self._http.stream(**stream_of(following)) as response:
                    retry_after = response.headers.get("Retry-After")
                    is_stream = following.road == "sse" and response.is_success
                    body = b"" if is_stream else await body_of(response)
                    following.opened(response.status_code, response.headers.get("Content-Type", ""), body)
                    if is_stream:
                        async for piece in response.aiter_raw():
                            for one in following.feed(piece):
                                yield one
                    else:
                        told = following.page(body)
                        for one in told:
                            yield one
                        await asyncio.sleep(following.rest(told, time.monotonic() - began))
                        continue
            except (httpx.RequestError, SaysoError) as exc:
                error = exc
            await asyncio.sleep(pause_after(following, error, retry_after, self._http))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _times(self) -> dict[str, Any]:
        return {"patience": self._patience, "clock": time.monotonic}

    async def _do(self, steps: Steps[T]) -> T:
        return await drive(steps, self._http)


def submission_of(given: Submission | None, members: dict[str, Any]) -> Submission:
    """What is answered, however it was said. Raises TypeError for a member that an answer does not have."""
    if given is None:
        return Submission(**members)
    return msgspec.structs.replace(given, **members)
