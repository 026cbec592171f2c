"""crewAI's human input provider that asks through an Asker, and in the console as ever while there is none."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import AsyncExecutorContext, ExecutorContext, SyncHumanInputProvider

from sayso.adapters.crewai.endings import ended_by
from sayso.adapters.crewai.events import mirror_asked, mirror_settled
from sayso.adapters.crewai.review import Review, began
from sayso.asker import Asker, wait_for
from sayso.errors import NotReady, SaysoError, ServerStopped
from sayso.model import Question, Request

logger = logging.getLogger(__name__)


class SaysoProvider(SyncHumanInputProvider):
    """Stays in the contexts it was set in, so it looks for the asker each time; None: nothing is installed."""

    def __init__(self, asker: Callable[[], Asker | None]) -> None:
        self._asker = asker

    def setup_messages(self, context: ExecutorContext) -> bool:
        began.set(time.monotonic())
        return super().setup_messages(context)

    def handle_feedback(self, formatted_answer: AgentFinish, context: ExecutorContext) -> AgentFinish:
        if context._is_training_mode():
            return super().handle_feedback(formatted_answer, context)
        review = Review(formatted_answer, context)
        while asker := self._asker():
            try:
                step = review.take(_ask(asker, review.question(), context.task))
            except NotReady as error:
                logger.warning("asking in the console: %s", error)
                break
            except SaysoError as error:
                raise ended_by(error) from error
            if step == "done":
                return review.draft
            if step == "redraft":
                review.draft = context._invoke_loop()
        return super().handle_feedback(review.draft, context)

    async def handle_feedback_async(self, formatted_answer: AgentFinish, context: AsyncExecutorContext) -> AgentFinish:
        if context._is_training_mode():
            return await super().handle_feedback_async(formatted_answer, context)
        if self._asker() is None:
            await asyncio.sleep(0)  # a `create_task(server.start_async())` just before the kickoff has its turn here
        review = Review(formatted_answer, context)
        while asker := self._asker():
            try:
                step = review.take(await _ask_async(asker, review.question(), context.task))
            except NotReady as error:
                logger.warning("asking in the console: %s", error)
                break
            except SaysoError as error:
                raise ended_by(error) from error
            if step == "done":
                return review.draft
            if step == "redraft":
                review.draft = await context._ainvoke_loop()
        return await super().handle_feedback_async(review.draft, context)


def _ask(asker: Asker, question: Question, source: Any) -> Request:
    asked = asker.submit(question)
    try:
        mirror_asked(source, wait_for(asked.stored))
        outcome = wait_for(asked.settled)
    except ServerStopped as stopped:
        _mirror_given_up(source, stopped)
        raise
    except BaseException:
        asked.settled.cancel()
        raise
    mirror_settled(source, outcome)
    return outcome


async def _ask_async(asker: Asker, question: Question, source: Any) -> Request:
    asked = asker.submit(question)
    try:
        mirror_asked(source, await asyncio.wrap_future(asked.stored))
        outcome = await asyncio.wrap_future(asked.settled)
    except ServerStopped as stopped:
        _mirror_given_up(source, stopped)
        raise
    except BaseException:
        asked.settled.cancel()
        raise
    mirror_settled(source, outcome)
    return outcome


def _mirror_given_up(source: Any, stopped: ServerStopped) -> None:
    if stopped.request is not None:
        mirror_settled(source, stopped.request)
