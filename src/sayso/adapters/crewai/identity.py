"""Which run, crew, task and agent a question belongs to."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypedDict, cast

from crewai.execution import clear_execution_uuid, get_execution_uuid, set_execution_uuid

from sayso.adapters.crewai.durable import running
from sayso.errors import Fault, Invalid
from sayso.fit import line
from sayso.model import ID_RULE, Source, derived_uuid, is_id


def flow_name(flow: Any) -> str:
    """A flow's name, else its class's, as one line."""
    return line(str(flow.name or type(flow).__name__))


def class_name(kind: type) -> str:
    """A flow's class, as its questions name it, and as another process finds it."""
    return f"{_module_name(kind.__module__)}.{kind.__qualname__}"


def _module_name(module: str) -> str:
    """A program's own module has the name by which others import it."""
    if module != "__main__":
        return module
    main = sys.modules[module]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return str(spec.name)
    return Path(getattr(main, "__file__", None) or module).stem


def role_of(agent: Any) -> str:
    """An agent's role as one line; "" where there is no agent."""
    return line(str(getattr(agent, "role", "") or ""))


class Origin(TypedDict, total=False):
    """The members of a Question that say where it comes from. Ids that are not there are made from the native ones."""

    execution_id: str
    crew_id: str
    task_id: str
    agent_id: str
    source: Source


@contextmanager
def execution(id: str | None = None, *, durable: bool = False) -> Iterator[str]:
    """Fixes the execution id of what is kicked off inside, and gives it: clients can follow before anything runs.

    It holds for this thread (or asyncio task) and what crewAI starts from it; enter it where kickoff is called.

    durable: the run outlives its process. Run again under the same id, its tasks that had ended are not done again, and
        one that waited finds its own draft and question, and takes an answer that came meanwhile, without calling the
        model. One id names one run, of the same crew with the same inputs; another run needs another id.

    Raises Invalid for an id that is not 1 to 128 of `A-Z a-z 0-9 . _ ~ : -`, and for a durable run without one.
    """
    if durable and id is None:
        raise Invalid(Fault("/execution_id", "is needed: a durable run is found again by the id that you give it"))
    chosen = str(uuid.uuid4()) if id is None else id
    if not is_id(chosen):
        raise Invalid(Fault("/execution_id", ID_RULE))
    token = set_execution_uuid(chosen)
    try:
        with running(chosen) if durable else nullcontext():
            yield chosen
    finally:
        clear_execution_uuid(token)


def current_execution() -> str:
    """The id of the run this code is part of; a fresh one where crewAI has none (a replay, a task run on its own)."""
    native = get_execution_uuid()
    if native is None:
        return str(uuid.uuid4())
    return native if is_id(native) else derived_uuid("crewai", "execution", native)


def crew_origin(crew: Any, task: Any, agent: Any) -> Origin:
    """Where a question of a crew comes from, as far as crew, task and agent are there: crewAI's own UUIDs, and beside
    them, as `native`, the keys that stay the same between processes."""
    things = {"crew_id": crew, "task_id": task, "agent_id": agent}
    ids = {name: str(thing.id) for name, thing in things.items() if thing is not None}
    keys = {"crew_key": crew, "task_key": task, "agent_key": agent}
    native = ids | {name: str(thing.key) for name, thing in keys.items() if thing is not None}
    return _origin(ids, native)


def flow_origin(flow: Any, method: str) -> Origin:
    """Where a question of a flow comes from: the flow stands in for the crew, its method for the task."""
    flow_id = str(flow.flow_id or "")
    ids = {
        "crew_id": flow_id if _is_uuid(flow_id) else derived_uuid("crewai", "flow", flow_id),
        "task_id": derived_uuid("crewai", "flow_method", flow_id, method),
    }
    native = {"flow_id": flow_id, "flow_class": class_name(type(flow)), "method_name": method}
    return _origin(ids, native)


def _origin(ids: dict[str, str], native: dict[str, str]) -> Origin:
    run = get_execution_uuid()
    source = Source(name="crewai", native=native | ({"execution_id": run} if run else {}))
    origin: Any = {"execution_id": current_execution(), "source": source} | ids
    return cast(Origin, origin)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
