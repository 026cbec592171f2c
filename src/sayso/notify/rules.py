"""Which events a notifier delivers, and from when on. Pure: reads no clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sayso.keys import fits
from sayso.model import Priority, Request
from sayso.wire import Event

Pattern = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~:*-]{1,128}$")]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event fits when it fits every member; None leaves that member out.

    `executions`: patterns, as keys have them. `agents`: names, as `context_data.agent` has them. `waiting`: only
    requests that wait for more than so many seconds, told of once they do.
    """

    events: tuple[Literal["human_input_required", "human_input_completed"], ...] | None = None
    executions: tuple[Pattern, ...] | None = None
    agents: tuple[str, ...] | None = None
    priorities: tuple[Priority, ...] | None = None
    waiting: Annotated[float, Meta(gt=0, le=30 * 86_400)] | None = None

    def due(self, event: Event, request: Request) -> datetime | None:
        """From when on to deliver `event`, which is about `request`; None: never, as far as is known."""
        agent = (request.context_data or {}).get("agent")
        chosen = (
            (self.events is None or event.type in self.events)
            and fits(event.execution_id, self.executions)
            and (self.agents is None or agent in self.agents)
            and (self.priorities is None or request.priority in self.priorities)
        )
        if not chosen:
            return None
        long = request.created_at + timedelta(seconds=self.waiting or 0.0)
        if self.waiting is not None and request.settled_at is not None and request.settled_at < long:
            return None
        return long


def due(rules: Iterable[Rule], event: Event, request: Request) -> datetime | None:
    """The first moment that one of the rules gives; None: none takes it."""
    return min((at for rule in rules if (at := rule.due(event, request)) is not None), default=None)
