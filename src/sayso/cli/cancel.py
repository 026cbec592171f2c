"""`sayso cancel`: giving a question up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import RequestId, found
from sayso.cli.output import json_option, note, print_json

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("id", type=RequestId())
@click.option("--reason", default="cancelled", show_default=True, metavar="WORDS", help="What the asker is told.")
@json_option
@on_server
def cancel(client: Client, *, id: str, reason: str, as_json: bool) -> None:
    """Give a question up; its asker learns that nobody answers.

    ID is the whole id, or enough of its beginning or end.

    \b
    Example:
      sayso cancel 3f2a91bc --reason "no longer needed"
    """
    request = client.cancel(found(client, id).request_id, reason)
    if as_json:
        print_json(request)
    else:
        note(f"cancelled {request.request_id}")
