"""`sayso watch`: what is asked and answered, live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import Id
from sayso.cli.output import console, json_option, note, print_json
from sayso.errors import Unavailable

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("execution", type=Id(), required=False)
@click.option("--after", metavar="EVENT_ID", help="Go on after this event.")
@json_option
@on_server
def watch(client: Client, *, execution: str | None, after: str | None, as_json: bool) -> None:
    """Follow what is asked and answered, live, until Ctrl-C.

    Of all runs it tells what is open, and then what comes; of one EXECUTION everything from its beginning. A lost
    connection is made again, and nothing is missed.

    \b
    Examples:
      sayso watch
      sayso watch order-42 --json
    """
    from sayso.cli.show import event
    from sayso.model import InputCompleted, InputRequired

    try:
        client.page(limit=1)
    except Unavailable as error:  # whoever waits for a server to come should know
        note(f"{client.url}: {error.detail}; trying on")
    shown = console()
    for told in client.follow(execution, after=after):
        if as_json:
            print_json(told)
        elif isinstance(told, InputRequired | InputCompleted):
            shown.print(event(told), soft_wrap=True)
        else:
            shown.print(f"--- {told.reason}: what is open now ---")
            for request in told.requests or client.list(status=["pending"], execution_id=execution):
                shown.print(event(InputRequired.of(request)), soft_wrap=True)
