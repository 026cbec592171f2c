"""`sayso export`: everything that was asked and answered, as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sayso.cli.shared import on_server, print_json
from sayso.model import STATUSES, Status

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Repeatable.  [default: all]")
@click.option("--execution", "execution_id", help="Only of this run.")
@on_server
def export(client: Client, *, status: tuple[Status, ...], execution_id: str | None) -> None:
    """Write every request with its answer to stdout, one JSON object a line, in asking order.

    \b
    Example:
      sayso export --status answered > answers.jsonl
    """
    for request in client.list(status=status, execution_id=execution_id):
        print_json(request)
