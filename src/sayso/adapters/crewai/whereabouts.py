"""Who works in this context, as crewAI's hooks tell it: tools, and your own code in them, are told nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

from crewai.execution import get_execution_uuid
from crewai.hooks import ToolCallHookContext
from crewai.hooks.contexts import StepContext

from sayso.adapters.crewai.identity import Origin, crew_origin, flow_origin
from sayso.origin import origin

Worker = tuple[Any, Any, Any]
"""A crew, a task and an agent; None for each that is not known."""

_NOBODY: Worker = (None, None, None)
at_work: ContextVar[Worker] = ContextVar("sayso_at_work", default=_NOBODY)


class _Former(NamedTuple):
    """What held before the step of `run` that runs here: a crew may run inside a flow's method."""

    run: str | None
    origin: Callable[[], Mapping[str, Any]]
    worker: Worker
    earlier: _Former | None


_former: ContextVar[_Former | None] = ContextVar("sayso_former", default=None)


def enter(step: StepContext) -> None:
    """A task or a flow's method begins."""
    run, former = get_execution_uuid(), _former.get()
    while former is not None and former.run != run:  # it ended with an error, and nobody left
        origin.set(former.origin)
        at_work.set(former.worker)
        former = former.earlier
    _former.set(_Former(run, origin.get(), at_work.get(), former))
    if step.kind == "task":
        _set(step.crew or getattr(step.agent, "crew", None), step.task, step.agent)
    else:
        at_work.set(_NOBODY)
        _set_origin(flow_origin(step.flow, str(step.step_name)))


def leave(step: StepContext) -> None:
    """It has ended in order."""
    if (former := _former.get()) is not None:
        origin.set(former.origin)
        at_work.set(former.worker)
        _former.set(former.earlier)


def call(tool: ToolCallHookContext) -> None:
    """An agent calls a tool; it may be another's agent, to whom work was delegated."""
    _set(tool.crew, tool.task, tool.agent)


def _set(crew: Any, task: Any, agent: Any) -> None:
    at_work.set((crew, task, agent))
    _set_origin(crew_origin(crew, task, agent))


def _set_origin(members: Origin) -> None:
    origin.set(partial(_while_it_runs, get_execution_uuid(), members))


def _while_it_runs(run: str | None, members: Origin) -> Mapping[str, Any]:
    """Nothing once the run is over: crewAI's contexts are those of whoever kicked it off."""
    return members if run is not None and run == get_execution_uuid() else {}
