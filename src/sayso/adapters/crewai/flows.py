"""crewAI's provider for `@human_feedback` and `Flow.ask`; the console, as ever, while nobody is installed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, cast

from crewai.flow.async_feedback.providers import ConsoleProvider
from crewai.flow.async_feedback.types import HumanFeedbackProvider, PendingFeedbackContext
from crewai.flow.flow import Flow
from crewai.flow.flow_config import flow_config
from crewai.flow.flow_context import current_flow_method_name
from crewai.flow.input_provider import InputResponse
from crewai.hooks import HookAborted

from sayso import limits
from sayso.adapters.crewai import pausing
from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.feedback import Chosen, Feedback, FlowMirror, FlowReview
from sayso.adapters.crewai.identity import flow_name, flow_origin
from sayso.adapters.crewai.installed import current
from sayso.adapters.crewai.replaced import Replaced
from sayso.adapters.crewai.wording import as_metadata
from sayso.asker import refuse_to_block
from sayso.errors import WouldBlock
from sayso.fit import cut, line
from sayso.model import Question

logger = logging.getLogger(__name__)

_GRACE: Final = 5.0
"""Seconds that crewAI waits beyond the timeout of a `Flow.ask`: the server settles the request at its deadline, so that
an answer of the last moment either counts or is refused; crewAI's own clock is for a server that is gone."""
_timeout: ContextVar[float | None] = ContextVar("sayso_flow_ask_timeout", default=None)
"""The timeout of the `Flow.ask` that runs here, in seconds: crewAI does not tell its provider."""


class FlowProvider:
    """Set for the whole process; a provider that you set yourself, on a flow, a method or `flow_config`, stays."""

    def __init__(self) -> None:
        self._console = ConsoleProvider()
        self._asking = Replaced(Flow, "ask", self._patient)

    def put(self) -> None:
        """Takes the places that nobody has."""
        understand_feedback()
        if flow_config.hitl_provider is None:
            flow_config.hitl_provider = cast(HumanFeedbackProvider, self)  # crewAI awaits what is a coroutine
        if flow_config.input_provider is None:
            flow_config.input_provider = self

        self._asking.put()

    def take_out(self) -> None:
        """Leaves them."""
        if flow_config.hitl_provider is cast(HumanFeedbackProvider, self):
            flow_config.hitl_provider = None
        if flow_config.input_provider is self:
            flow_config.input_provider = None
        self._asking.take_out()

    async def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        """What a person says of a method's output; a waiting flow holds no thread. Raises what ends the flow."""
        if current() is None:
            await asyncio.sleep(0)  # a `create_task(server.start_async())` just before the kickoff has its turn here
        review = FlowReview(context, flow)
        while installed := current():
            outcome = await installed.ask_async(review.question(), context, FlowMirror(flow, context))
            if outcome is None:
                break
            if (feedback := review.take(outcome)) is not None:
                return feedback
        return await asyncio.to_thread(self._console.request_feedback, context, flow)

    def request_input(
        self, message: str, flow: Flow[Any], metadata: dict[str, Any] | None = None
    ) -> str | InputResponse | None:
        """What a person answers; None when nobody does."""
        installed = current()
        if installed is None:
            return self._console.request_input(message, flow, metadata)
        timeout = _timeout.get()
        try:
            outcome = installed.ask(_question(message, flow, metadata, timeout), flow, Mirror(flow))
        except HookAborted as ended:  # crewAI makes None of every exception, without a word
            logger.warning("a question of %s has no answer: %s", type(flow).__name__, ended)
            return None
        if outcome is None:
            return self._console.request_input(message, flow, metadata)
        by = {"request_id": outcome.request_id, "by": outcome.settled_by, "channel": outcome.settled_channel}
        return InputResponse(text=None if outcome.answer is None else outcome.words, metadata=by)

    def _patient(self, own: Callable[..., str | None]) -> Callable[..., str | None]:
        """crewAI's `Flow.ask`, which tells the server how long it waits."""

        def ask(
            flow: Flow[Any], message: str, timeout: float | None = None, metadata: dict[str, Any] | None = None
        ) -> str | None:
            installed = current()
            if installed is None or flow._resolve_input_provider() is not self:
                return own(flow, message, timeout, metadata)
            try:
                refuse_to_block(installed.asker)  # crewAI waits here, whatever thread it asks in
            except WouldBlock as error:
                logger.error("a question of %s was not asked: %s", type(flow).__name__, error)
                return None
            if timeout is None or timeout > limits.TIMEOUT:
                return own(flow, message, None, metadata)
            token = _timeout.set(max(timeout, 0.001))
            try:
                return own(flow, message, timeout + _GRACE, metadata)
            finally:
                _timeout.reset(token)

        return ask


def _question(message: str, flow: Flow[Any], metadata: dict[str, Any] | None, timeout: float | None) -> Question:
    method = current_flow_method_name.get("unknown")
    return Question(
        **flow_origin(flow, method),
        kind="question",
        title=line(message) or flow_name(flow),
        prompt=cut(message if message.strip() else "The flow waits for your words.", limits.PROMPT),
        context_data={"flow": flow_name(flow), "method": line(method)},
        metadata=as_metadata(metadata),
        timeout=timeout,
        on_timeout=None if timeout is None else "cancel",
    )


def understand_feedback() -> None:
    """From now on flows of this process take what a Feedback carries beside its text."""
    _understand_feedback.put()


def _understanding(own: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Has flows take the chosen outcome and the edited output of a Feedback; other feedback passes through."""

    def finalize(flow: Flow[Any], **settings: Any) -> Coroutine[Any, Any, Any]:
        pausing.end(flow)
        feedback = settings["raw_feedback"]
        if isinstance(feedback, Feedback):
            settings["raw_feedback"] = feedback[:]
            if feedback.outcome is not None:
                settings["llm"] = Chosen(feedback.outcome)
            if feedback.is_edited:
                settings["method_output"] = feedback.edited
        return own(flow, **settings)

    return finalize


_understand_feedback: Final = Replaced(Flow, "_finalize_human_feedback", _understanding)
"""Stays when nobody is installed any more, for the answer that came just before."""
