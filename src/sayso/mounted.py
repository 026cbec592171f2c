"""The gateway of an app that is mounted in another: opened at first use, since a mounted app's lifespan never runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sayso.asker import Asked, failed, refused
from sayso.errors import Misconfigured, NotReady, SaysoError, Unavailable
from sayso.gateway import Gateway
from sayso.model import Question, Request
from sayso.runtime import Runtime

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Mounted:
    """An Asker, and the routes' way to the gateway.

    Starts no thread before it is used, so a server that forks its workers may make it beforehand; where opening failed,
    the next use tries again.
    """

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._stopped = False

    @property
    def is_here(self) -> bool:
        """Whether it can run in this process; so it can in each that was forked before it was used."""
        runtime = self._runtime
        return runtime is None or runtime.is_here

    def submit(self, question: Question) -> Asked:
        try:
            return self._opened().submit(question)
        except SaysoError as exc:
            return refused(exc)

    def keep(self, execution_id: str, request_id: str, data: bytes) -> Future[None]:
        try:
            return self._opened().keep(execution_id, request_id, data)
        except SaysoError as exc:
            return failed(exc)

    def kept(self, request_id: str) -> Future[bytes | None]:
        try:
            return self._opened().kept(request_id)
        except SaysoError as exc:
            return failed(exc)

    def withdraw(self, request_id: str) -> Future[Request]:
        try:
            return self._opened().withdraw(request_id)
        except SaysoError as exc:
            return failed(exc)

    async def call(self, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
        """What `use` makes of the gateway. Raises Unavailable when the server was stopped or cannot open its store."""
        try:
            return await self._opened().call(use)
        except Misconfigured as exc:
            logger.error("the mounted server cannot work: %s", exc)
            raise Unavailable("the server cannot open its store; its log says why") from exc

    def stop(self) -> None:
        """Ends it for good. Idempotent."""
        with self._lock:
            self._stopped = True
            runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.stop()

    def _opened(self) -> Runtime:
        with self._lock:
            if self._stopped:
                raise NotReady("the server has been stopped")
            if self._runtime is None or self._runtime.is_over:
                self._runtime = self._make()
                self._runtime.start()
                self._runtime.begin_open(_nothing)
            return self._runtime


@asynccontextmanager
async def _nothing(gateway: Gateway) -> AsyncIterator[None]:
    yield
