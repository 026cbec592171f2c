"""Which requests a command is about: what --status, --execution and the like leave of all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar, get_args

import click

from sayso.cli.ids import Id
from sayso.cli.plain import line
from sayso.cli.span import Since
from sayso.model import STATUSES, Kind, Priority, Request, Status
from sayso.telling import asker

if TYPE_CHECKING:
    from sayso.client import Client

T = TypeVar("T")

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)


def _one_of(name: str, choices: tuple[str, ...]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    told = f"{', '.join(choices)}; repeatable."
    return click.option(f"--{name}", multiple=True, type=click.Choice(choices), metavar=name.upper(), help=told)


_OPTIONS = (
    _one_of("status", STATUSES),
    click.option("--execution", type=Id(), metavar="ID", help="Of this run."),
    click.option("--search", metavar="TEXT", help="With this in title, prompt, run or agent's name."),
    _one_of("kind", KINDS),
    _one_of("priority", PRIORITIES),
    click.option("--assignee", multiple=True, metavar="NAME", help="Meant for this person; repeatable."),
    click.option("--agent", multiple=True, metavar="NAME", help="Asked by this agent or program; repeatable."),
    click.option(
        "--since", type=Since(), metavar="TIME", help="Asked since: 2d (ago), 2026-11-30 or 2026-11-30T14:00."
    ),
)


@dataclass(frozen=True)
class Selection:
    """What is asked for; nothing given means any."""

    status: tuple[Status, ...] = ()
    execution: str | None = None
    search: str | None = None
    kind: tuple[Kind, ...] = ()
    priority: tuple[Priority, ...] = ()
    assignee: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    since: datetime | None = None

    def of(self, client: Client, *, newest: bool = False) -> Iterator[Request]:
        """The requests, in asking order or the newest first, page by page.

        The server sorts out by status, run and text; the rest is looked at here.
        """
        found = client.list(status=self.status, execution_id=self.execution, q=self.search, newest=newest)
        for request in found:
            if self._holds(request):
                yield request

    def _holds(self, request: Request) -> bool:
        return (
            (not self.kind or request.kind in self.kind)
            and (not self.priority or request.priority in self.priority)
            and (not self.assignee or not set(self.assignee).isdisjoint(request.assignees))
            and (not self.agent or line(asker(request)) in self.agent)
            and (self.since is None or request.created_at >= self.since)
        )


def selected(command: Callable[..., T]) -> Callable[..., T]:
    """Gives the command a Selection by its options."""

    @functools.wraps(command)
    def run(*args: object, **settings: object) -> T:
        given = {name: settings.pop(name) for name in (field.name for field in fields(Selection))}
        return command(*args, selection=Selection(**given), **settings)  # type: ignore[arg-type]  # as click made them

    for option in reversed(_OPTIONS):
        run = option(run)
    return run
