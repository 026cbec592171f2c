"""One thread with one loop that owns a gateway and what is served from it. Reached from any thread and any loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

from sayso import limits, tracing
from sayso.asker import Asked, refused
from sayso.crossing import Crossing, refuse, resolve
from sayso.errors import Misconfigured, NotFound, NotReady, SaysoError, ServerStopped, StoreFailed
from sayso.gateway import Gateway
from sayso.loop import new_loop
from sayso.model import PROCESS, Question, Request
from sayso.wire import checked

T = TypeVar("T")
Service = Callable[[Gateway], AbstractAsyncContextManager[None]]
"""Runs beside the gateway while it is entered, on the runtime's loop."""

logger = logging.getLogger(__name__)


class Runtime:
    """An Asker. Takes questions from its making on; they wait until `open` has opened the store.

    `on_asked` hears of every question this process asks; it runs on the loop and must not block. `has_console`: whoever
    asks may ask in the console instead when the store cannot be opened.
    """

    def __init__(
        self, gateway: Gateway, on_asked: Callable[[Request], None], *, has_console: bool = True, tls: bool = False
    ) -> None:
        self._gateway = gateway
        self._on_asked = on_asked
        self._has_console = has_console
        self._process = os.getpid()
        self._loop = new_loop(tls=tls)
        self._thread = threading.Thread(target=self._run, name="sayso", daemon=True)
        self._starting = threading.Lock()
        self._crossing = Crossing(self._loop)
        self._service: Future[Service | None] = Future()
        self._ready: Future[None] = Future()
        self._is_open = False
        self._stopping = asyncio.Event()
        self.ended: Future[None] = Future()
        """Done when everything has stopped; carries the error when that was not asked for."""

    @property
    def is_here(self) -> bool:
        """Whether it runs in this process, and not in the one that this was forked from."""
        return os.getpid() == self._process

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or can no longer begin."""
        return self.ended.done() or (self._ready.done() and self._ready.exception() is not None)

    def start(self) -> None:
        """Starts the thread; nothing is opened yet. Does nothing where it was stopped already."""
        with self._starting:
            if not self._loop.is_closed():
                self._thread.start()

    def begin_open(self, service: Service) -> None:
        """Has the store opened and `service` started; returns at once."""
        resolve(self._service, service)

    def open(self, service: Service) -> None:
        """Opens the store and starts `service`; blocks until both are there. Raises what kept them from it."""
        self.begin_open(service)
        self._ready.result()

    def fail(self, error: SaysoError) -> None:
        """It will not open: whoever waits for that hears why. `stop` comes next."""
        refuse(self._ready, error)

    def request_stop(self, after: float = 0.0) -> None:
        """Begins an orderly end and returns at once; safe in a signal handler.

        `after`: seconds for which all goes on, only not ready, so that load balancers look away first. Whoever asks
        again meanwhile ends it at once.
        """
        with suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._begin_stop, after)

    def stop(self) -> None:
        """Ends in order: streams, waiting questions, the service, the store. Blocks until it is done. Idempotent."""
        self.request_stop()
        with self._starting:
            never_started = self._thread.ident is None
            if never_started:
                self._loop.close()
        if never_started:
            self._crossing.close()
            refuse(self._ready, ServerStopped("the server was stopped before it was ready"))
            resolve(self.ended, None)
        elif threading.current_thread() is not self._thread:
            self._thread.join()

    def submit(self, question: Question) -> Asked:
        if not self.is_here:
            return refused(NotReady("the server runs in the process that this one was forked from, out of its reach"))
        question, end_span = tracing.asking(question)
        asked = Asked(Future(), Future())
        asked.settled.add_done_callback(end_span)
        attended = self._crossing.send(lambda: self._attend(question, asked))
        attended.add_done_callback(lambda attended: _fail(asked, self._why(attended.exception())))
        return asked

    def _why(self, error: BaseException | None) -> BaseException:
        """Why a question was not attended to. Without a console, what kept the store from opening is said to whoever
        comes a moment later, too: NotReady would send them there."""
        if isinstance(error, NotReady) and not self._has_console and self._ready.done():
            failed = self._ready.exception()
            if isinstance(failed, Misconfigured | StoreFailed):
                return failed
        return error or ServerStopped()

    def keep(self, execution_id: str, request_id: str, data: bytes) -> Future[None]:
        return self._send(lambda: self._gateway.keep(execution_id, request_id, data))

    def kept(self, request_id: str) -> Future[bytes | None]:
        async def look() -> bytes | None:
            try:
                return await self._gateway.kept(request_id)
            except NotFound:
                return None

        return self._send(look)

    def withdraw(self, request_id: str) -> Future[Request]:
        return self._send(lambda: self._gateway.abandon(request_id))

    def _send(self, use: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """What `use` gives on the runtime's loop, once it is ready. Raises NotReady."""

        async def when_ready() -> T:
            await self._until_ready()
            return await use()

        return self._crossing.send(when_ready)

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway, on any loop. Raises what kept the store from opening, or NotReady."""
        if not self._is_open:
            await asyncio.shield(asyncio.wrap_future(self._ready))
            self._is_open = True  # from here on no lock need be taken to look
        if threading.get_ident() == self._thread.ident:  # so is asked a tenth as long as which loop runs
            return await use(self._gateway)
        return await asyncio.wrap_future(self._crossing.send(lambda: use(self._gateway)))

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException as exc:
            error = exc
        self._crossing.close()
        if error is None:
            resolve(self.ended, None)
        else:
            refuse(self._ready, error)
            refuse(self.ended, error)

    async def _main(self) -> None:
        try:
            service = await asyncio.wrap_future(self._service)
            if service is not None:
                async with self._gateway.running(), service(self._gateway):
                    resolve(self._ready, None)
                    await self._stopping.wait()
                    self._gateway.end_streams()
                    await self._crossing.finish()
        except BaseException as exc:
            if self._ready.done():
                logger.exception("the server ended, though nobody stopped it")
            refuse(self._ready, exc)
            raise
        finally:
            self._stopping.set()
            refuse(self._ready, ServerStopped("the server was stopped before it was ready"))
            await self._crossing.finish(last=True)

    def _begin_stop(self, after: float) -> None:
        is_open = self._ready.done() and self._ready.exception() is None
        if after and is_open and not self._gateway.is_draining:
            self._gateway.drain()
            self._loop.call_later(after, self._begin_stop, 0.0)
            return
        self._stopping.set()
        resolve(self._service, None)

    async def _attend(self, question: Question, asked: Asked) -> None:
        """Sees one question of this process through to its outcome."""
        try:
            await self._until_ready()
            is_named = question.request_id is not None  # so it can be found again
            request, _ = await self._gateway.ask(checked(question), by=PROCESS, channel=PROCESS, durable=is_named)
            resolve(asked.stored, request)
            if request.is_open:
                self._tell(request)
            resolve(asked.settled, await self._outcome(request, asked))
        except SaysoError as exc:
            _fail(asked, exc)
        except Exception as exc:
            logger.exception("a question was lost")
            _fail(asked, SaysoError(f"the question was lost: {exc!r}"))

    async def _until_ready(self) -> None:
        """Raises NotReady where nothing was asked of anyone, and nothing will be."""
        if self._stopping.is_set():
            raise NotReady("the server has stopped")
        try:
            async with asyncio.timeout(limits.READY):
                await asyncio.shield(asyncio.wrap_future(self._ready))
        except (Misconfigured, StoreFailed) as exc:
            if not self._has_console:
                logger.error("a question cannot be asked: %s", exc)
                raise
            raise NotReady(f"the server did not come up: {exc}") from exc
        except Exception as exc:
            raise NotReady(f"the server did not come up: {exc!r}") from exc

    async def _outcome(self, request: Request, asked: Asked) -> Request:
        """The settled request. A question whose asker no longer waits, or whose server ends, is given up, unless it
        outlives both."""
        waiting = asyncio.ensure_future(self._gateway.settled(request.request_id, wait=None))
        asked.settled.add_done_callback(lambda settled: self._cancel(waiting) if settled.cancelled() else None)
        await asyncio.wait([waiting])
        outcome = None if waiting.cancelled() else waiting.result()
        if outcome is not None and not outcome.is_open:
            return outcome
        if request.durable:
            raise ServerStopped("the server was stopped; the question stays open and can be asked again under its id")
        try:
            given_up = await self._gateway.abandon(request.request_id)
        except SaysoError:
            logger.exception("not cancelled; the next opening of the store does it")
            given_up = None
        raise ServerStopped(request=given_up)

    def _cancel(self, waiting: asyncio.Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(waiting.cancel)

    def _tell(self, request: Request) -> None:
        try:
            self._on_asked(request)
        except Exception:
            logger.exception("nobody was told of a question; it is asked all the same")


def _fail(asked: Asked, error: BaseException) -> None:
    refuse(asked.stored, error)
    refuse(asked.settled, error)
