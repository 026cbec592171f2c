"""Who is installed: asks one question, mirrors it on crewAI's bus, and says what became of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from sayso.adapters.crewai.endings import ended_by
from sayso.adapters.crewai.events import Mirror
from sayso.asker import Asked, Asker, Keeper, is_running, refuse_to_block, wait_for
from sayso.crossing import refuse, resolve
from sayso.errors import Misconfigured, NotReady, SaysoError, ServerStopped
from sayso.model import Question, Request
from sayso.reach import asker_for

Prepare = Callable[[Question, Any], Question]
"""Changes a question before it is asked: `lambda question, context: question.replace(priority="high")`. `context` is
crewAI's own object at that point; docs/crewai.md says which."""

logger = logging.getLogger(__name__)


class Durably(Protocol):
    """How a question outlives the process that asks it."""

    def asked_before(self) -> Question | None:
        """The question as it was asked in an earlier process; None: it is new."""

    def keep(self, asker: Asker, question: Question) -> tuple[Question, Future[None] | None]:
        """The question with an id of its own, and what to wait for before it is asked."""


class Installed(NamedTuple):
    """Where this process's agents ask. Both ways of asking give the settled request, or None where nothing was asked
    and the console is the place to ask; they raise Rejected's kin, which end a run and are never tried again."""

    asker: Asker
    prepare: Prepare | None = None

    def ask(self, question: Question, context: Any, mirror: Mirror, durably: Durably | None = None) -> Request | None:
        """Asks and waits, blocking this thread."""
        try:
            refuse_to_block(self.asker)
            question, kept = self._ready(question, context, durably)
            if kept is not None:
                wait_for(kept)
            asked = self.asker.submit(question)
            try:
                mirror.asked(wait_for(asked.stored))
                outcome = wait_for(asked.settled)
            except BaseException as exc:
                _give_up(asked, exc, mirror)
                raise
        except SaysoError as error:
            _end_unless_console(error)
            return None
        mirror.settled(outcome)
        return outcome

    async def ask_async(
        self, question: Question, context: Any, mirror: Mirror, durably: Durably | None = None
    ) -> Request | None:
        """Asks and waits; other tasks of this loop go on."""
        try:
            question, kept = self._ready(question, context, durably)
            if kept is not None:
                await asyncio.wrap_future(kept)
            asked = self.asker.submit(question)
            try:
                mirror.asked(await asyncio.wrap_future(asked.stored))
                outcome = await asyncio.wrap_future(asked.settled)
            except BaseException as exc:
                _give_up(asked, exc, mirror)
                raise
        except SaysoError as error:
            _end_unless_console(error)
            return None
        mirror.settled(outcome)
        return outcome

    async def store(self, question: Question, context: Any) -> Request:
        """Asks under the question's own id, and waits for no answer: whoever takes it finds it by that id.

        Raises Rejected's kin where it cannot be asked; the console is no place for it. Cancelled, it takes the question
        back.
        """
        try:
            ready, _ = self._ready(question, context, None)
            asked = self.asker.submit(ready)
            stored: Future[Request] = Future()  # cancelling it leaves the asker's own alone
            asked.stored.add_done_callback(lambda done: _hand_over(done, stored))
            try:
                request = await asyncio.wrap_future(stored)
            except asyncio.CancelledError:
                asked.stored.add_done_callback(self._take_back)
                raise
        except SaysoError as error:
            raise ended_by(error) from error
        asked.settled.cancel()
        return request

    def _take_back(self, stored: Future[Request]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            self.withdraw(stored.result().request_id)

    def withdraw(self, request_id: str) -> None:
        """Has a stored question cancelled, where the asker can; returns at once, for the loop may be ending."""
        if isinstance(self.asker, Keeper):
            self.asker.withdraw(request_id)

    def _ready(self, question: Question, context: Any, durably: Durably | None) -> tuple[Question, Future[None] | None]:
        """The question as it is to be asked, and what to wait for before."""
        if durably is not None and (asked := durably.asked_before()) is not None:
            return asked, None
        if self.prepare is not None:
            question = _prepared(self.prepare, question, context)
        return (question, None) if durably is None else durably.keep(self.asker, question)


_installed: list[Installed] = []
_lock = threading.Lock()


def current() -> Installed | None:
    """Who was installed last and runs, with the `prepare` that was last given for that asker; None: nobody is."""
    with _lock:
        asker = next((one.asker for one in reversed(_installed) if is_running(one.asker)), None)
        return None if asker is None else _with_prepare(asker)


def reachable(explicit: Asker | None = None) -> Installed:
    """`explicit`, else who is installed, else whom `sayso.ask` would ask. Raises Misconfigured: there is none."""
    if explicit is None and (installed := current()) is not None:
        return installed
    asker = asker_for(explicit)
    with _lock:
        return _with_prepare(asker)


def _with_prepare(asker: Asker) -> Installed:
    prepares = (one.prepare for one in reversed(_installed) if one.asker is asker and one.prepare)
    return Installed(asker, next(prepares, None))


def add(asker: Asker, prepare: Prepare | None) -> Callable[[], None]:
    """Installs; undoing it restores the one before."""
    entry = Installed(asker, prepare)

    def remove() -> None:
        with _lock:
            _installed[:] = [one for one in _installed if one is not entry]

    with _lock:
        _installed.append(entry)
    return remove


def _prepared(prepare: Prepare, question: Question, context: Any) -> Question:
    """A question that the user's own code could not prepare is not asked: it may hold what that code would remove."""
    try:
        prepared: Any = prepare(question, context)
    except Exception as exc:
        logger.exception("prepare failed, so the question was not asked")
        raise Misconfigured(f"prepare raised {exc!r}") from exc
    if not isinstance(prepared, Question):
        error = Misconfigured(f"prepare must return the question, and returned {type(prepared).__name__}")
        logger.error("a question was not asked: %s", error)
        raise error
    return prepared


def _hand_over(done: Future[Request], stored: Future[Request]) -> None:
    if done.cancelled():
        stored.cancel()
    elif (error := done.exception()) is not None:
        refuse(stored, error)
    else:
        resolve(stored, done.result())


def _give_up(asked: Asked, error: BaseException, mirror: Mirror) -> None:
    asked.settled.cancel()
    if isinstance(error, ServerStopped) and error.request is not None:
        mirror.settled(error.request)


def _end_unless_console(error: SaysoError) -> None:
    """Returns where nothing was asked, and the console is the place to ask. Raises what ends the run."""
    if not isinstance(error, NotReady):
        raise ended_by(error) from error
    logger.warning("asking in the console: %s", error)
