"""Which run, crew, task and agent a question belongs to."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crewai.execution import clear_execution_uuid, get_execution_uuid, set_execution_uuid

from sayso.errors import Fault, Invalid
from sayso.model import ID_RULE, derived_uuid, is_id


@contextmanager
def execution(id: str | None = None) -> Iterator[str]:
    """Fixes the execution id of what is kicked off inside, and gives it: clients can follow before anything runs.

    It holds for this thread (or asyncio task) and what crewAI starts from it; enter it where kickoff is called. Raises
    Invalid for an id that is not 1 to 128 of `A-Z a-z 0-9 . _ ~ : -`.
    """
    chosen = str(uuid.uuid4()) if id is None else id
    if not is_id(chosen):
        raise Invalid(Fault("/execution_id", ID_RULE))
    token = set_execution_uuid(chosen)
    try:
        yield chosen
    finally:
        clear_execution_uuid(token)


def current_execution() -> str:
    """The id of the run this code is part of; a fresh one where crewAI has none (a replay, a task run on its own)."""
    native = get_execution_uuid()
    if native is None:
        return str(uuid.uuid4())
    return native if is_id(native) else derived_uuid("crewai", "execution", native)


def ids(crew: Any, task: Any, agent: Any) -> dict[str, str]:
    """`crew_id`, `task_id`, `agent_id`: crewAI's own UUIDs, as far as they are there."""
    things = {"crew_id": crew, "task_id": task, "agent_id": agent}
    return {name: str(thing.id) for name, thing in things.items() if thing is not None}


def native_ids(crew: Any, task: Any, agent: Any) -> dict[str, str]:
    """The ids as crewAI writes them, with the keys that stay the same between processes."""
    keys = {"crew_key": crew, "task_key": task, "agent_key": agent}
    found = ids(crew, task, agent) | {name: str(thing.key) for name, thing in keys.items() if thing is not None}
    run = get_execution_uuid()
    return found | ({"execution_id": run} if run else {})
