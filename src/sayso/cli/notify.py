"""`sayso notify`: who is told, and what did not arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sayso.cli.connection import on_server
from sayso.cli.output import json_option, note, print_json, print_rows
from sayso.cli.plain import line
from sayso.cli.span import span

if TYPE_CHECKING:
    from rich.table import Table

    from sayso.client import Client
    from sayso.notifier import NotifierShown


@click.group()
def notify() -> None:
    """See, test and replay the notifiers of a server.

    The file that `sayso serve --notify` names says who they are. The server needs the key in SAYSO_API_KEY, which must
    be its own or one with the scope admin.

    \b
    Examples:
      sayso notify list
      sayso notify test ops
      sayso notify replay ops
    """


@notify.command("list")
@json_option
@on_server
def list_notifiers(client: Client, *, as_json: bool) -> None:
    """List the notifiers, and what each owes.

    \b
    Examples:
      sayso notify list
      sayso notify list --json | jq 'select(.owed > 0)'
    """
    from sayso.client import notifiers as calls

    found = client.once(calls.listing())
    if as_json:
        for one in found:
            print_json(one)
    elif found:
        print_rows(_table(found))
    else:
        note("There are no notifiers; sayso serve --notify FILE has some.")


@notify.command()
@click.argument("name")
@json_option
@on_server
def test(client: Client, *, name: str, as_json: bool) -> None:
    """Deliver a test to NAME now, and say what came of it.

    \b
    Example:
      sayso notify test ops
    """
    from sayso.client import notifiers as calls

    came = client.once(calls.test(name))
    if as_json:
        print_json(came)
    elif came.delivered:
        note(f"{came.name}: {came.detail}")
    if not came.delivered:
        raise click.ClickException(f"{line(came.name)}: {line(came.detail)}")


@notify.command()
@click.argument("name")
@click.option("--after", metavar="EVENT_ID", help="Deliver all that came after this event again.")
@on_server
def replay(client: Client, *, name: str, after: str | None) -> None:
    """Have what NAME owes delivered now, also where a 410 has switched it off.

    \b
    Examples:
      sayso notify replay ops
      sayso notify replay ops --after 0197c1f2-8f1e-7e55-b5d5-2a4f0c9d8e77
    """
    from sayso.client import notifiers as calls

    client.once(calls.replay(name, after))
    note(f"{name} is at it: sayso notify list")


def _table(found: Sequence[NotifierShown]) -> Table:
    from rich.table import Table

    now = datetime.now(UTC)
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("NAME", "KIND", "TARGET", "OWED", "NEXT", "STATE"):
        shown.add_column(name, justify="right" if name in ("OWED", "NEXT") else "left", overflow="ellipsis")
    for one in found:
        first = one.failing[0] if one.failing else None
        soon = span((first.due_at - now).total_seconds()) if first else ""
        state = one.off or (first.why if first else "") or ("up to date" if one.is_up_to_date else "behind")
        shown.add_row(line(one.name), one.kind, line(one.target), str(one.owed), soon, line(state))
    return shown
