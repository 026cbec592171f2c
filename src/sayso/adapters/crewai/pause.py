"""A flow that may end while it waits for a person: asked once, written down by crewAI, gone on with by `resume`."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Final

from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow
from msgspec.structs import replace

from sayso.adapters.crewai import pausing
from sayso.adapters.crewai.endings import ended_by
from sayso.adapters.crewai.feedback import FlowMirror, FlowReview
from sayso.adapters.crewai.flows import understand_feedback
from sayso.adapters.crewai.identity import class_name, flow_name
from sayso.adapters.crewai.installed import reachable
from sayso.asker import Asker
from sayso.errors import Misconfigured, SaysoError
from sayso.model import Question, Request, derived_uuid

logger = logging.getLogger(__name__)

_REQUEST: Final = "sayso_request_id"
"""Where crewAI's own row names the question it waits for."""
_PAUSES: Final = "pauses"
"""Marks, in a question's source, that the flow may have ended."""


class Pause:
    """The provider of a `@human_feedback` that waits for nobody: `@human_feedback(message="…", provider=Pause())`.

    The question is asked and `kickoff()` returns crewAI's HumanFeedbackPending, with the `request_id` in its
    `callback_info`; the process may end. `sayso resume`, or `resume(MyFlow)`, goes on when a person has answered.
    crewAI keeps one pause of a flow at a time, so of methods that run side by side only one may pause.

    asker: where to ask; else whoever is installed, else the server of SAYSO_URL.
    """

    def __init__(self, asker: Asker | None = None) -> None:
        self._asker = asker

    async def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        """Raises HumanFeedbackPending; gives the answer where it is there already."""
        understand_feedback()
        try:
            installed = reachable(self._asker)
        except SaysoError as error:
            raise ended_by(error) from error
        pause, is_first = pausing.begin(flow)
        if not is_first:
            if pause.request_id is not None and not _is_written(flow, pause.request_id):
                installed.withdraw(pause.request_id)
            raise _two_at_once(flow)
        review = FlowReview(context, flow)
        request = await installed.store(_named(review.question(), context, flow), context)
        if not request.is_open and (feedback := review.take(request)) is not None:
            pausing.end(flow)
            return feedback
        if pause.is_disputed:
            installed.withdraw(request.request_id)
            raise _two_at_once(flow)
        pause.request_id = request.request_id
        FlowMirror(flow, context).asked(request)
        context.metadata = {**context.metadata, _REQUEST: request.request_id}  # not in the decorator's own dict
        raise HumanFeedbackPending(
            context=context,
            callback_info={"request_id": request.request_id, "execution_id": request.execution_id},
        )


def waits_for(context: PendingFeedbackContext) -> str | None:
    """The request that crewAI's row waits for."""
    found = context.metadata.get(_REQUEST)
    return found if isinstance(found, str) else None


def is_pause_of(request: Request, flow: type[Flow[Any]]) -> bool:
    """Whether a flow of this class asked it, and may have ended since."""
    native = request.source.native
    return native.get(_PAUSES) is True and native.get("flow_class") == class_name(flow)


def _is_written(flow: Flow[Any], request_id: str) -> bool:
    """Whether crewAI has written down that the flow waits for this request."""
    row = flow.persistence.load_pending_feedback(flow.flow_id) if flow.persistence is not None else None
    return row is not None and waits_for(row[1]) == request_id


def _two_at_once(flow: Flow[Any]) -> Exception:
    error = Misconfigured(
        f"two methods of {flow_name(flow)} pause at once, and crewAI keeps one of them; let all but one wait: leave "
        "provider=Pause() out there"
    )
    logger.error("%s", error)
    return ended_by(error)


def _named(question: Question, context: PendingFeedbackContext, flow: Flow[Any]) -> Question:
    """The question under an id that is the same when a flow that died before crewAI wrote it down is run again, in the
    same execution."""
    shown = hashlib.sha256(question.context.encode()).hexdigest()
    past = str(len(flow.human_feedback_history))
    id = derived_uuid("crewai", "pause", question.execution_id, context.flow_id, context.method_name, past, shown)
    source = replace(question.source, native=question.source.native | {_PAUSES: True})
    return question.replace(request_id=id, source=source)
