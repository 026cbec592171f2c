"""`sayso inbox` and `sayso cancel`: what waits, and giving it up."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from sayso.cli.shared import found, json_option, on_server, print_json
from sayso.model import STATUSES, Status

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Repeatable.  [default: pending]")
@click.option("--all", "everything", is_flag=True, help="Settled ones, too.")
@click.option("--execution", "execution_id", help="Only of this run.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@json_option
@on_server
def inbox(
    client: Client, *, status: tuple[Status, ...], everything: bool, execution_id: str | None, limit: int, as_json: bool
) -> None:
    """List what waits for an answer, oldest first.

    The ID shown is the end of the whole one, and enough for the other commands.

    \b
    Examples:
      sayso inbox
      sayso inbox --all --execution order-42
      sayso inbox --json | jq -r .request_id
    """
    wanted = () if everything else status or ("pending",)
    requests = list(islice(client.list(status=wanted, execution_id=execution_id), limit))
    if as_json:
        for request in requests:
            print_json(request)
        return
    from sayso.cli.show import console, table

    if requests:
        console().print(table(requests))
    else:
        click.echo("Nothing waits." if wanted == ("pending",) else "There is nothing.", err=True)


@click.command()
@click.argument("id")
@click.option("--reason", default="cancelled", show_default=True, help="What the asker is told.")
@json_option
@on_server
def cancel(client: Client, *, id: str, reason: str, as_json: bool) -> None:
    """Give a question up: the asker learns that nobody answers.

    \b
    Example:
      sayso cancel 3f2a91bc --reason "no longer needed"
    """
    request = client.cancel(found(client, id).request_id, reason)
    if as_json:
        print_json(request)
    else:
        click.echo(f"cancelled {request.request_id}", err=True)
