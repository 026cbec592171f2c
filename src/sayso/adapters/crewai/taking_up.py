"""Where a durable run meets crewAI's executor: it goes on from what was kept instead of calling the model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import ExecutorContext
from crewai.hooks.contexts import StepContext

from sayso.adapters.crewai.draft import Draft
from sayso.adapters.crewai.durable import current_run
from sayso.adapters.crewai.endings import ended_by
from sayso.adapters.crewai.installed import current
from sayso.adapters.crewai.wording import output_model
from sayso.errors import NotReady, SaysoError

logger = logging.getLogger(__name__)

_FLOW_LOOP: Final = ("kickoff", "kickoff_async")
_PLAIN_LOOP: Final = ("_invoke_loop", "_ainvoke_loop")
"""How an executor runs its loop for the first time: since crewAI 1.15.29 it is a flow."""


def take_up(context: ExecutorContext) -> bool:
    """Whether this working at a task goes on from what an earlier process kept of it; then its messages are set, and
    the loop's first run gives the kept draft. Raises what ends the run where that cannot be found out."""
    _stand_aside(context)
    run, task = current_run(), context.task
    if run is None or task is None or context._is_training_mode():
        return False
    working, installed = run.begin(task, context.agent), current()
    if installed is None:
        return False
    try:
        draft = working.look(installed.asker, is_reviewed=bool(task.human_input))
    except NotReady:  # the console is asked
        return False
    except SaysoError as error:
        raise ended_by(error) from error
    if draft is None:
        return False
    context.messages.extend(draft.messages)  # type: ignore[arg-type]  # what crewAI's own messages were written as
    _stand_in(context, draft.answer(output_model(task)))
    return True


def finished(step: StepContext) -> None:
    """A task has ended in order: in a durable run it is not done again, be it reviewed or not."""
    run, installed, task = current_run(), current(), step.task
    if run is None or task is None or task.human_input:  # a reviewed one has kept every draft
        return
    working = run.answered(task, step.agent)
    if installed is None or working.draft is not None:
        return
    draft = Draft.of(AgentFinish(thought="", output=step.output.raw, text=step.output.raw), step.output.messages)
    if draft.fits:
        working.keep(installed.asker, 0, draft).add_done_callback(_tell)


def _tell(kept: Future[None]) -> None:
    if not kept.cancelled() and (error := kept.exception()) is not None:
        logger.warning("the output of a task was not kept, so a second run does it again: %s", error)


def _stand_in(executor: Any, draft: AgentFinish) -> None:
    """The executor's next run of its loop gives `draft`, without the model."""
    is_flow = hasattr(executor, "state")

    def give(*_: Any, **__: Any) -> AgentFinish:
        _stand_aside(executor)
        if is_flow:
            executor.state.current_answer, executor.state.is_finished = draft, True
        return draft

    async def give_async(*_: Any, **__: Any) -> AgentFinish:
        return give()

    for name, own in zip(_FLOW_LOOP if is_flow else _PLAIN_LOOP, (give, give_async), strict=True):
        _put(executor, name, own)


def _put(executor: Any, name: str, own: Callable[..., Any]) -> None:
    object.__setattr__(executor, name, own)  # pydantic's own refuses what is no field


def _stand_aside(executor: Any) -> None:
    for name in (*_FLOW_LOOP, *_PLAIN_LOOP):
        vars(executor).pop(name, None)
