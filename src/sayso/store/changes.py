"""The hints a store gives after each commit. Lives on the store's loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sayso import limits
from sayso.store import Hear, Hint
from sayso.wire import Event

logger = logging.getLogger(__name__)


class Changes:
    """Carries what a store has to say to whoever listens."""

    def __init__(self) -> None:
        self.hear: Hear | None = None

    def append(self, events: Sequence[Event]) -> None:
        """New events, which come after all that were told here before."""
        if len(events) == 1:
            self._tell({events[0].execution_id: events})
            return
        executions: dict[str, list[Event] | None] = {}
        size = 0
        for event in events:
            size += len(event.data)
            if size > limits.BATCH:  # whoever follows had better read it at its own pace
                executions[event.execution_id] = None
            elif event.execution_id not in executions:
                executions[event.execution_id] = [event]
            elif (told := executions[event.execution_id]) is not None:
                told.append(event)
        self._tell(executions)

    def add(self, *executions: str) -> None:
        """They have new events, which are not at hand."""
        self._tell(dict.fromkeys(executions))

    def add_any(self) -> None:
        """It is not known what became of a write."""
        self._tell(None)

    def _tell(self, hint: Hint | None) -> None:
        if self.hear is None or (hint is not None and not hint):
            return
        try:
            self.hear(hint)
        except Exception:  # what is stored is stored, whoever hears of it
            logger.exception("a hint was lost; followers read when they look next")
