"""crewAI's provider for `Task(human_input=True)` and `crew.train`; the console, as ever, while nobody is installed."""

from __future__ import annotations

import asyncio
import time

from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import AsyncExecutorContext, ExecutorContext, SyncHumanInputProvider

from sayso.adapters.crewai.events import Mirror
from sayso.adapters.crewai.installed import current
from sayso.adapters.crewai.review import began, review_of
from sayso.adapters.crewai.taking_up import take_up


class TaskProvider(SyncHumanInputProvider):
    """Stays in the contexts it was set in, so it looks each time who is installed."""

    def setup_messages(self, context: ExecutorContext) -> bool:
        began.set(time.monotonic())
        return take_up(context) or super().setup_messages(context)

    def handle_feedback(self, formatted_answer: AgentFinish, context: ExecutorContext) -> AgentFinish:
        review = review_of(formatted_answer, context)
        while installed := current():
            outcome = installed.ask(review.question(), context, Mirror(context.task), review.durably())
            if outcome is None:
                break
            step = review.take(outcome)
            if step == "done":
                return review.draft
            if step == "teach":
                return self._handle_training_feedback(review.draft, outcome.words, context)
            if step == "redraft":
                review.draft = context._invoke_loop()
        return super().handle_feedback(review.draft, context)

    async def handle_feedback_async(self, formatted_answer: AgentFinish, context: AsyncExecutorContext) -> AgentFinish:
        if current() is None:
            await asyncio.sleep(0)  # a `create_task(server.start_async())` just before the kickoff has its turn here
        review = review_of(formatted_answer, context)
        while installed := current():
            outcome = await installed.ask_async(review.question(), context, Mirror(context.task), review.durably())
            if outcome is None:
                break
            step = review.take(outcome)
            if step == "done":
                return review.draft
            if step == "teach":
                return await self._handle_training_feedback_async(review.draft, outcome.words, context)
            if step == "redraft":
                review.draft = await context._ainvoke_loop()
        return await super().handle_feedback_async(review.draft, context)
