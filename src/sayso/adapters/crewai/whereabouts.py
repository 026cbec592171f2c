"""Who works in this context, as crewAI's hooks tell it: tools, and your own code in them, are told nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

from crewai.execution import get_execution_uuid
from crewai.hooks import ToolCallHookContext
from crewai.hooks.contexts import StepContext

from sayso.adapters.crewai.identity import Origin, crew_origin, flow_origin
from sayso.reach import origin

Worker = tuple[Any, Any, Any]
"""A crew, a task and an agent; None for each that is not known."""

_NOBODY: Worker = (None, None, None)
at_work: ContextVar[Worker] = ContextVar("sayso_at_work", default=_NOBODY)
_former: ContextVar[tuple[Any, ...] | None] = ContextVar("sayso_former", default=None)
"""What held before the step that runs here, and before that: a crew may run inside a flow's method."""


def enter(step: StepContext) -> None:
    """A task or a flow's method begins."""
    _former.set((origin.get(), at_work.get(), _former.get()))
    if step.kind == "task":
        _set(step.crew or getattr(step.agent, "crew", None), step.task, step.agent)
    else:
        at_work.set(_NOBODY)
        _set_origin(flow_origin(step.flow, str(step.step_name)))


def leave(step: StepContext) -> None:
    """It has ended in order; what ends with an error is forgotten with its run."""
    if (former := _former.get()) is not None:
        before, worker, earlier = former
        origin.set(before)
        at_work.set(worker)
        _former.set(earlier)


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
