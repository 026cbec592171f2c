"""Goes on with flows that ended while they waited for a person. At least once: a resume that died is begun again."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple

import msgspec
from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow
from crewai.flow.persistence import FlowPersistence
from crewai.flow.persistence.factory import default_flow_persistence
from crewai.hooks import HookAborted

from sayso import tracing
from sayso.adapters.crewai.endings import Rejected
from sayso.adapters.crewai.feedback import FlowMirror, FlowReview
from sayso.adapters.crewai.flows import understand_feedback
from sayso.adapters.crewai.pause import is_pause_of, waits_for
from sayso.adapters.crewai.wording import as_json
from sayso.client import Client, Reset
from sayso.client.pauses import Pauses
from sayso.errors import Leased, NotFound, SaysoError, TooLarge
from sayso.model import STATUSES, InputCompleted, Request, derived_uuid

logger = logging.getLogger(__name__)

_LEASE: Final = 30.0
"""Seconds after which another process takes over from one that died while it resumed a flow."""
_LEAST: Final = 0.2
"""Seconds, at the least, until what could not be gone on with is looked at again."""
_RENEWALS: Final = 3
"""How often a lease is renewed in its time."""

_News = str | None | Exception
"""A request that was settled; None: any may have been; or why nothing more comes."""

End = Literal["finished", "paused", "rejected", "unanswered", "failed"]


class Resumed(NamedTuple):
    """A flow that was gone on with.

    end: it `finished` with `result`, or `paused` at its next question (`result` is crewAI's HumanFeedbackPending), or a
    person `rejected` it, or the question was cancelled or ran out of time (`unanswered`), or it `failed` with `error`:
    then the next call goes on with it again.
    """

    request: Request
    end: End
    result: Any = None
    error: Exception | None = None


def resume(
    flow: type[Flow[Any]], *, client: Client | None = None, persistence: FlowPersistence | None = None
) -> list[Resumed]:
    """Goes on with every flow of this class that a person has answered since it paused, in this thread.

    client: the server; else that of SAYSO_URL. persistence: where crewAI wrote the flows down, if not in its own
    default. One process at a time goes on with a flow; what another one is at, or crewAI has not written yet, is left
    for the next call. Raises what the client raises.
    """
    own = client or Client()
    try:
        resumer = Resumer(flow, own, persistence)
        return [ended for request in resumer.answered() if (ended := resumer.go_on(request)) is not None]
    finally:
        if client is None:
            own.close()


class Resumer:
    """What `resume` does, request by request."""

    def __init__(self, flow: type[Flow[Any]], client: Client, persistence: FlowPersistence | None = None) -> None:
        self._flow = flow
        self._client = client
        self._persistence = persistence or default_flow_persistence()
        understand_feedback()

    def concerns(self, request: Request) -> bool:
        """Whether a flow of this class paused with it."""
        return is_pause_of(request, self._flow)

    def answered(self) -> list[Request]:
        """The settled requests of paused flows that nobody has gone on with yet."""
        settled = [status for status in STATUSES if status != "pending"]
        return [
            one for one in self._client.list(status=settled) if self.concerns(one) and not self._is_marked(one, "over")
        ]

    def go_on(self, request: Request) -> Resumed | None:
        """Goes on with the flow that waits for this request.

        None: not now, since another process is at it, or crewAI has not written the flow down yet; or not ever, since
        it was gone on with already.
        """
        try:
            with self._leased(request):
                return None if self._is_marked(request, "over") else self._go_on(request)
        except Leased:
            return None

    def keep_on(self) -> Iterator[Resumed]:
        """Goes on with what is answered, now and from now on, for ever. Raises what the client raises."""
        news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        cursor = self._client.page(limit=1).cursor
        threading.Thread(target=self._listen, args=(cursor, news), name="sayso-resume", daemon=True).start()
        waiting = {one.request_id: one for one in self.answered()}
        pauses = Pauses()
        while True:
            for request in list(waiting.values()):
                ended = self.go_on(request)
                if ended is not None:
                    yield ended
                if ended is not None or self._is_marked(request, "over"):
                    del waiting[request.request_id]
            try:
                told = news.get(timeout=_LEAST + pauses.next() if waiting else None)
            except queue.Empty:  # another process is at it, or crewAI has not written it down: look again
                continue
            pauses = Pauses()
            if isinstance(told, Exception):
                raise told
            if told is None:
                waiting |= {one.request_id: one for one in self.answered()}
            elif self.concerns(request := self._client.get(told)):
                waiting[told] = request

    def _listen(self, cursor: str | None, news: queue.SimpleQueue[_News]) -> None:
        try:
            for told in self._client.follow(after=cursor):
                if isinstance(told, InputCompleted):
                    news.put(told.request_id)
                elif isinstance(told, Reset):
                    news.put(None)
        except Exception as exc:  # also that the client was closed: whoever goes on hears of it
            news.put(exc)

    def _go_on(self, request: Request) -> Resumed | None:
        flow_id = str(request.source.native["flow_id"])
        row = self._persistence.load_pending_feedback(flow_id)
        if row is None or waits_for(row[1]) != request.request_id:
            if not self._restore(request, flow_id, is_gone=row is None):
                return None
        else:
            self._write_down(request, *row)
        flow = self._flow.from_pending(flow_id, self._persistence)
        context = flow.pending_feedback
        assert context is not None  # noqa: S101 - `from_pending` has one
        mirror = FlowMirror(flow, context)
        mirror.settled(request)
        try:
            feedback = FlowReview(context, flow).take(request)
        except HookAborted as ended:
            self._persistence.clear_pending_feedback(flow_id)
            self._mark(request, "over")
            return Resumed(request, "rejected" if isinstance(ended, Rejected) else "unanswered", error=ended)
        try:
            with tracing.resumed(request) as told:
                told(request)
                result = flow.resume(feedback if feedback is not None else "")
        except Exception as exc:
            logger.exception("a flow failed after it was resumed", extra={"request_id": request.request_id})
            return Resumed(request, "failed", error=exc)
        self._mark(request, "over")
        return Resumed(request, "paused" if isinstance(result, HumanFeedbackPending) else "finished", result)

    def _write_down(self, request: Request, state: dict[str, Any], context: PendingFeedbackContext) -> None:
        """Keeps crewAI's row, which crewAI removes before it goes on: who dies after that could not begin again."""
        row = msgspec.json.encode(as_json({"state": state, "context": context.to_dict()}))
        try:
            self._client.keep(request.execution_id, _id(request, "row"), row)
        except TooLarge:
            logger.warning("the state of a flow is too large to be kept; should this process die, it is not resumed")

    def _restore(self, request: Request, flow_id: str, *, is_gone: bool) -> bool:
        """Whether crewAI's row is back that an earlier process removed when it went on, and died."""
        if not is_gone:  # it waits at a later question: this one was gone on with, and only its mark is missing
            self._mark(request, "over")
            return False
        try:
            row = msgspec.json.decode(self._client.kept(_id(request, "row")))
        except NotFound:
            return False
        self._persistence.save_pending_feedback(flow_id, PendingFeedbackContext.from_dict(row["context"]), row["state"])
        return True

    def _is_marked(self, request: Request, mark: str) -> bool:
        try:
            self._client.kept(_id(request, mark))
        except NotFound:
            return False
        return True

    def _mark(self, request: Request, mark: str) -> None:
        self._client.keep(request.execution_id, _id(request, mark), b"")

    @contextmanager
    def _leased(self, request: Request) -> Iterator[None]:
        """Inside, this process alone goes on with the flow. Raises Leased."""
        name, holder = f"resume:{request.source.native['flow_id']}", str(uuid.uuid4())
        self._client.lease(name, holder, _LEASE)
        done = threading.Event()

        def renew() -> None:
            while not done.wait(_LEASE / _RENEWALS):
                try:
                    self._client.lease(name, holder, _LEASE)
                except SaysoError as error:
                    logger.warning("the lease of a flow was not renewed; another process may take over: %s", error)

        renewing = threading.Thread(target=renew, name="sayso-lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            self._client.release(name, holder)


def _id(request: Request, what: str) -> str:
    return derived_uuid("crewai", "resume", request.request_id, what)
