"""`sayso inbox`: what waits, and what became of the rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import RequestId, found
from sayso.cli.output import console, json_option, note, print_json, print_rows
from sayso.cli.selection import Selection, selected

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("id", type=RequestId(), required=False)
@click.option("--all", "everything", is_flag=True, help="Of any status.  [default: pending]")
@selected
@click.option("--newest", is_flag=True, help="The newest first.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, metavar="N", show_default=True, help="So many at the most."
)
@json_option
@on_server
def inbox(
    client: Client, *, id: str | None, selection: Selection, everything: bool, newest: bool, limit: int, as_json: bool
) -> None:
    """List what waits for an answer, oldest first.

    With an ID it shows that request, and what became of it. The ID in the list is the end of the whole one, and enough
    for the other commands. The server filters by --status, --execution and --search; the rest is filtered here, after
    reading.

    \b
    Examples:
      sayso inbox
      sayso inbox 3f2a91bc
      sayso inbox --priority urgent --priority high --assignee ada
      sayso inbox --all --newest --limit 20
      sayso inbox --all --execution order-42
      sayso inbox --json | jq -r .request_id
    """
    if everything and selection.status:
        raise click.UsageError("--all means any --status; leave one of them out")
    if id is not None:
        if everything or selection != Selection():
            raise click.UsageError("an ID names one request; leave out what selects several")
        _show(client, id, as_json=as_json)
        return
    if not everything and not selection.status:
        selection = replace(selection, status=("pending",))
    requests = list(islice(selection.of(client, newest=newest), limit + 1))
    more, requests = len(requests) > limit, requests[:limit]
    if as_json:
        for request in requests:
            print_json(request)
    elif requests:
        from sayso.cli.show import table

        print_rows(table(requests))
    else:
        note("Nothing waits." if selection == Selection(status=("pending",)) else "There is nothing like that.")
    if more:
        note(f"There are more than these: --limit {2 * limit}")


def _show(client: Client, id: str, *, as_json: bool) -> None:
    request = found(client, id, is_settled_too=True)
    if as_json:
        print_json(request)
        return
    from sayso.cli.show import details

    console().print(details(request))
