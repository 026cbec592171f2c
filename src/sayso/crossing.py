"""Calls from any thread into one loop, each with an owner: all get a result or an error, also at the loop's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from sayso.errors import NotReady, SaysoError

T = TypeVar("T")


class Crossing:
    """The way into `loop`. `call_soon_threadsafe` alone drops without a word what comes just before a loop closes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], SaysoError] | None = None) -> None:
        self._loop = loop
        self._ended = ended or partial(NotReady, "the server has stopped")
        self._gate = threading.Lock()
        self._finished = False
        self._closed = False
        self._open: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def send(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """What `work` gives on the loop; cancelling the future cancels it there. At the end it raises `ended()`."""
        future: Future[T] = Future()
        with self._gate:
            try:
                if not self._closed:
                    self._loop.call_soon_threadsafe(self._begin, work, future)
            except RuntimeError:  # the loop is closed, and `close` about to be called
                self._closed = True
            if self._closed:
                refuse(future, self._ended())
                return future
            self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    async def finish(self, *, last: bool = False) -> None:
        """Waits for everything that has begun; from the `last` time on, nothing that comes begins any more.

        What begins meanwhile is not waited for: callers that never pause must not keep it from ending.
        """
        self._finished = last
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def abort(self) -> None:
        """Lets nothing more begin, and cancels what has."""
        self._finished = True
        for task in self._tasks:
            task.cancel()
        await self.finish(last=True)

    def close(self) -> None:
        """Lets nothing more over, and refuses what got stuck; for when the loop is closed."""
        with self._gate:
            self._closed = True
            left = list(self._open)
        for future in left:
            refuse(future, self._ended())

    def _begin(self, work: Callable[[], Coroutine[Any, Any, T]], future: Future[T]) -> None:
        if future.cancelled() or self._finished:
            refuse(future, self._ended())
            return
        task = self._loop.create_task(work())  # `finish` awaits it
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda task: self._hand_over(task, future))
        future.add_done_callback(lambda future: self._cancel(task) if future.cancelled() else None)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the task with it
            self._loop.call_soon_threadsafe(task.cancel)

    def _hand_over(self, task: asyncio.Task[T], future: Future[T]) -> None:
        if task.cancelled():
            refuse(future, self._ended())
        elif error := task.exception():
            refuse(future, error)
        else:
            resolve(future, task.result())


def resolve(future: Future[T], result: T) -> None:
    """Sets the result, unless the future is done already, or cancelled by the one who waited."""
    with suppress(InvalidStateError):
        future.set_result(result)


def refuse(future: Future[Any], error: BaseException) -> None:
    """Sets the exception, unless the future is done already, or cancelled by the one who waited."""
    with suppress(InvalidStateError):
        future.set_exception(error)
