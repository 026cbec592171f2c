"""One thread with one loop that owns a gateway and what is served from it. Reached from any thread and any loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

from sayso import limits
from sayso.asker import Asked
from sayso.errors import NotReady, SaysoError, ServerStopped
from sayso.gateway import Gateway
from sayso.model import Question, Request

T = TypeVar("T")
Service = Callable[[Gateway], AbstractAsyncContextManager[None]]
"""Runs beside the gateway while it is entered, on the runtime's loop."""

logger = logging.getLogger(__name__)

_IN_PROCESS = "process"
"""Who asked, where the asker is code in this very process."""


class Runtime:
    """An Asker. Takes questions from its making on; they wait until `open` has opened the store.

    `on_asked` hears of every question this process asks; it runs on the loop and must not block.
    """

    def __init__(self, gateway: Gateway, on_asked: Callable[[Request], None]) -> None:
        self._gateway = gateway
        self._on_asked = on_asked
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sayso", daemon=True)
        self._service: Future[Service | None] = Future()
        self._ready: Future[None] = Future()
        self._stopping = asyncio.Event()
        self._accepting = threading.Lock()
        self._open = True
        self._attending: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self.ended: Future[None] = Future()
        """Done when everything has stopped; carries the error when that was not asked for."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or can no longer begin."""
        return self.ended.done() or (self._ready.done() and self._ready.exception() is not None)

    def start(self) -> None:
        """Starts the thread; nothing is opened yet."""
        self._thread.start()

    def begin_open(self, service: Service) -> None:
        """Has the store opened and `service` started; returns at once."""
        _resolve(self._service, service)

    def open(self, service: Service) -> None:
        """Opens the store and starts `service`; blocks until both are there. Raises what kept them from it."""
        self.begin_open(service)
        self._ready.result()

    def request_stop(self) -> None:
        """Begins an orderly end and returns at once; safe in a signal handler."""
        with suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._begin_stop)

    def stop(self) -> None:
        """Ends in order: streams, waiting questions, the service, the store. Blocks until it is done. Idempotent."""
        self.request_stop()
        if self._thread.ident is None:
            self._loop.close()  # it never started
        elif threading.current_thread() is not self._thread:
            self._thread.join()

    def submit(self, question: Question) -> Asked:
        asked = Asked(Future(), Future())
        with self._accepting:
            if self._open:
                self._loop.call_soon_threadsafe(self._begin, question, asked)
            else:
                _fail(asked, NotReady("the server has stopped"))
        return asked

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway, awaited on any loop. Raises what kept the store from opening."""
        if not self._ready.done():
            await asyncio.shield(asyncio.wrap_future(self._ready))
        self._ready.result()
        if self.ended.done():
            raise NotReady("the server has stopped")
        if asyncio.get_running_loop() is self._loop:
            return await use(self._gateway)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(use(self._gateway), self._loop))

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException as exc:
            _refuse(self._ready, exc)
            _refuse(self.ended, exc)
        _resolve(self.ended, None)

    async def _main(self) -> None:
        try:
            service = await asyncio.wrap_future(self._service)
            if service is not None:
                async with self._gateway.running(), service(self._gateway):
                    _resolve(self._ready, None)
                    await self._stopping.wait()
                    self._gateway.end_streams()
                    await self._end_attending()
        except BaseException as exc:
            _refuse(self._ready, exc)
            raise
        finally:
            self._stopping.set()
            _refuse(self._ready, ServerStopped("the server was stopped before it was ready"))
            with self._accepting:
                self._open = False
            await asyncio.sleep(0)  # what was submitted until now begins, and is refused
            await self._end_attending()

    async def _end_attending(self) -> None:
        while self._attending:
            await asyncio.wait(self._attending)

    def _begin_stop(self) -> None:
        self._stopping.set()
        _resolve(self._service, None)

    def _begin(self, question: Question, asked: Asked) -> None:
        if self._stopping.is_set():
            _fail(asked, NotReady("the server has stopped"))
            return
        task = self._loop.create_task(self._attend(question, asked))  # _main awaits it
        self._attending.add(task)
        task.add_done_callback(self._attending.discard)
        asked.settled.add_done_callback(lambda settled: self._give_up(task) if settled.cancelled() else None)

    def _give_up(self, task: asyncio.Task[None]) -> None:
        """The asker no longer waits. A question on its way into the store gets there first, and is then abandoned."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(lambda: task.cancel() if task in self._waiting else None)

    async def _attend(self, question: Question, asked: Asked) -> None:
        """Sees one question of this process through to its outcome."""
        try:
            async with asyncio.timeout(limits.READY):
                await asyncio.shield(asyncio.wrap_future(self._ready))
        except Exception as exc:
            _fail(asked, NotReady(f"the server was not ready: {exc!r}"))
            return
        try:
            request, _ = await self._gateway.ask(question, by=_IN_PROCESS, durable=False)
        except Exception as exc:
            if not isinstance(exc, SaysoError):
                logger.exception("a question could not be asked")
            _fail(asked, exc)
            return
        _resolve(asked.stored, request)
        self._on_asked(request)
        await self._wait(request.request_id, asked)

    async def _wait(self, request_id: str, asked: Asked) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this runs in one
        try:
            self._waiting.add(task)
            outcome = None if asked.settled.cancelled() else await self._gateway.settled(request_id, wait=None)
        except asyncio.CancelledError:
            outcome = None
        except SaysoError as exc:
            _fail(asked, exc)
            return
        finally:
            self._waiting.discard(task)
        if outcome is None or outcome.is_open:
            try:
                await self._gateway.abandon(request_id)
            except SaysoError:
                logger.exception(
                    "not cancelled; the next opening of the store does it", extra={"request_id": request_id}
                )
            _refuse(asked.settled, ServerStopped())
        else:
            _resolve(asked.settled, outcome)


def _resolve(future: Future[T], result: T) -> None:
    with suppress(InvalidStateError):  # already done, or cancelled by the one who waited
        future.set_result(result)


def _refuse(future: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


def _fail(asked: Asked, error: BaseException) -> None:
    _refuse(asked.stored, error)
    _refuse(asked.settled, error)
