"""`sayso watch`: what is asked and answered, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sayso.cli.shared import json_option, on_server, print_json

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("execution_id", required=False)
@click.option("--after", help="Go on after this event_id.")
@json_option
@on_server
def watch(client: Client, *, execution_id: str | None, after: str | None, as_json: bool) -> None:
    """Follow all runs, or one, until Ctrl-C. A lost connection is made again, and nothing is missed.

    \b
    Examples:
      sayso watch
      sayso watch order-42 --json
    """
    from sayso.cli.show import console, event
    from sayso.model import InputCompleted, InputRequired

    shown = console()
    for told in client.follow(execution_id, after=after):
        if as_json:
            print_json(told)
        elif isinstance(told, InputRequired | InputCompleted):
            shown.print(event(told), soft_wrap=True)
        else:
            shown.print(f"--- {told.reason}: what is open now ---")
            for request in told.requests or client.list(status=["pending"], execution_id=execution_id):
                shown.print(event(InputRequired.of(request)), soft_wrap=True)
