"""The seam through which agents ask: in this process, or over HTTP. Knows what a question is, not where it goes."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from sayso.errors import SaysoError, ServerStopped, Unavailable, WouldBlock
from sayso.model import Question, Request

T = TypeVar("T")

_LOOK: Final = 1.0
"""Seconds between two looks whether the program is still there."""


class Asked(NamedTuple):
    """A question on its way. Sync code takes `wait_for(future)`, async code `await asyncio.wrap_future(future)`.

    `stored`: the request, once it is durable. `settled`: the request with its outcome; cancelling it gives the question
    up, unless whoever asks chose its `request_id`: then it can be asked again, and outlives them. Both raise NotReady
    (nothing was asked), ServerStopped, or what was wrong with it.
    """

    stored: Future[Request]
    settled: Future[Request]


class Asker(Protocol):
    """Reaches a gateway."""

    def submit(self, question: Question) -> Asked:
        """Asks. Returns at once, from any thread."""


@runtime_checkable
class Keeper(Protocol):
    """An asker whose questions outlive those who ask: it keeps what an agent needs to go on from one."""

    def keep(self, execution_id: str, request_id: str, data: bytes) -> Future[None]:
        """Done when it is kept, durably, until the execution is removed; what was kept first under an id stays.

        Raises what `submit` would; Invalid, TooLarge.
        """

    def kept(self, request_id: str) -> Future[bytes | None]:
        """What was kept under this id, or None."""

    def withdraw(self, request_id: str) -> Future[Request]:
        """The request, cancelled, since nobody will take an answer to it; or as it was settled before."""


def refused(error: SaysoError) -> Asked:
    """A question that went nowhere."""
    return Asked(failed(error), failed(error))


def failed(error: SaysoError) -> Future[Any]:
    """A future with nothing but this error."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


@runtime_checkable
class OnHostLoop(Protocol):
    """An asker whose answers may come in over a loop of someone else's: blocking that loop keeps them out for ever."""

    @property
    def is_on_host_loop(self) -> bool:
        """Whether that is so at present."""


@runtime_checkable
class Startable(Protocol):
    """An asker that may not run yet, or no more."""

    @property
    def is_running(self) -> bool:
        """Whether it takes questions at present."""


def is_running(asker: Asker) -> bool:
    """Whether `asker` takes questions, as far as it says."""
    return asker.is_running if isinstance(asker, Startable) else True


def refuse_to_block(asker: Asker) -> None:
    """Raises WouldBlock where waiting in this thread could keep the answer from ever arriving."""
    if isinstance(asker, OnHostLoop) and asker.is_on_host_loop and in_loop():
        raise WouldBlock


def in_loop() -> bool:
    """Whether an event loop runs in this thread, which waiting here would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_for(future: Future[T], *, most: float | None = None) -> T:
    """The future's result. Blocks: where a loop runs, give the `most` seconds that it may stand still.

    Raises ServerStopped when the main thread has ended: a thread that waits on would keep the process from exiting.
    Raises Unavailable after `most` seconds.
    """
    until = None if most is None else time.monotonic() + most
    while True:
        try:
            return future.result(timeout=_LOOK)
        except TimeoutError:
            if future.done():  # just now; or a TimeoutError is its result
                return future.result()
            if until is not None and time.monotonic() > until:
                future.cancel()
                raise Unavailable(f"the server said nothing within {most:.0f} s") from None
            if not threading.main_thread().is_alive():
                future.cancel()
                raise ServerStopped("the program ended while the question was waiting") from None
