"""A run under a durable id: under which id each of its tasks asks and keeps its draft, in every process that runs it.

crewAI itself cannot go on with a task that was waiting: it begins it anew, with another draft.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import msgspec
from crewai.agents.parser import AgentFinish
from crewai.execution import get_execution_uuid

from sayso import limits
from sayso.adapters.crewai.draft import Draft
from sayso.asker import Asker, Keeper, in_loop, wait_for
from sayso.errors import Misconfigured
from sayso.model import Question, derived_uuid

logger = logging.getLogger(__name__)

_UNREVIEWED = 0
"""The round under which a task that nobody reviews keeps its output."""


class Working:
    """One working at one task, from its beginning to an answer; `draft` is what an earlier process kept of it."""

    def __init__(self, execution_id: str, task: str, occurrence: int) -> None:
        self._execution_id = execution_id
        self._names = (execution_id, task, str(occurrence))
        self.draft: Draft | None = None
        self.round = 1
        """The round that the draft was kept in."""

    def look(self, asker: Asker, *, is_reviewed: bool) -> Draft | None:
        """What was kept last. Blocks; on a loop, where that holds up everything else, only for so long."""
        keeper = _keeper(asker)
        for round in count(1) if is_reviewed else (_UNREVIEWED,):
            data = wait_for(keeper.kept(self._id(round)), most=limits.READY if in_loop() else None)
            if data is None:
                break
            self.draft, self.round = Draft.read(data), round
        return self.draft

    def named(self, question: Question, round: int) -> Question:
        """The question under the id that it has in every process."""
        return question.replace(request_id=self._id(round))

    def keep(self, asker: Asker, round: int, draft: Draft) -> Future[None]:
        return _keeper(asker).keep(self._execution_id, self._id(round), draft.written())

    def _id(self, round: int) -> str:
        return derived_uuid("crewai", "durable", *self._names, str(round))


class Round:
    """One round of a review in a durable run."""

    def __init__(self, working: Working, round: int, draft: AgentFinish, messages: list[Any]) -> None:
        self._working = working
        self._round = round
        self._draft = draft
        self._messages = messages

    def asked_before(self) -> Question | None:
        """The question of this round, as another process asked it, or was about to: to the letter, so that it is found
        although code or wording has changed since."""
        kept = self._working.draft
        return kept.question if kept is not None and self._working.round == self._round else None

    def keep(self, asker: Asker, question: Question) -> tuple[Question, Future[None] | None]:
        """The question with its id, and when it may be asked: what it takes to go on from it is kept first."""
        named = self._working.named(question, self._round)
        draft = Draft.of(self._draft, self._messages, named)
        if not draft.fits:
            logger.warning("a draft is too large to be kept: if this process ends, its question is asked anew")
            return question, None
        return named, self._working.keep(asker, self._round, draft)


class Run:
    """One run under a durable id. Equal tasks, guardrails and retries make several workings at what looks like one
    task; they are told apart by their order."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self._lock = threading.Lock()
        self._begun: dict[int, tuple[Any, Working]] = {}
        self._occurrences: dict[str, int] = {}

    def begin(self, task: Any, agent: Any) -> Working:
        """The working at `task` that begins, or that begins again because its agent failed before it had an answer."""
        with self._lock:
            if id(task) not in self._begun:
                digest = _digest(task, agent)
                occurrence = self._occurrences[digest] = self._occurrences.get(digest, 0) + 1
                self._begun[id(task)] = task, Working(self.execution_id, digest, occurrence)
            return self._begun[id(task)][1]

    def answered(self, task: Any, agent: Any) -> Working:
        """The working at `task`, which has an answer: whatever begins at the task from now on is another one."""
        working = self.begin(task, agent)
        with self._lock:
            del self._begun[id(task)]
        return working


_run: ContextVar[Run | None] = ContextVar("sayso_durable_run", default=None)


@contextmanager
def running(execution_id: str) -> Iterator[None]:
    """What is kicked off inside is one durable run."""
    token = _run.set(Run(execution_id))
    try:
        yield
    finally:
        _run.reset(token)


def current_run() -> Run | None:
    """The durable run that this code is part of."""
    run = _run.get()
    return run if run is not None and run.execution_id == get_execution_uuid() else None


def _digest(task: Any, agent: Any) -> str:
    """What makes two tasks the same in two processes: what they say, with their inputs filled in, and who does them.

    `task.key` will not do: it is made before the inputs are filled in.
    """
    said = [str(task.description), str(task.expected_output), str(getattr(agent, "role", ""))]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _keeper(asker: Asker) -> Keeper:
    if isinstance(asker, Keeper):
        return asker
    raise Misconfigured(f"a durable execution needs an asker that keeps drafts, and {type(asker).__name__} does not")
