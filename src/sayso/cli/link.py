"""`sayso link`: one question for somebody who has no key."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import RequestId, found
from sayso.cli.output import json_option, note, print_json
from sayso.cli.span import Span

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("id", type=RequestId())
@click.option("--to", "owner", required=True, metavar="WHO", help="Whose it is: an e-mail address, say.")
@click.option("--expires", type=Span(), default="1d", metavar="SPAN", show_default=True, help="It ends after so long.")
@json_option
@on_server
def link(client: Client, *, id: str, owner: str, expires: float, as_json: bool) -> None:
    """Print a link that answers one question, once, without a key.

    ID is the whole id, or enough of its beginning or end. Whoever opens the link can answer, in the name of WHO. Where
    people reach the server, it is told by sayso serve --public-url; else the link begins as --url does.

    \b
    Example:
      sayso link 3f2a91bc --to anna@example.com --expires 2h
    """
    import msgspec

    from sayso.client import links as calls

    made = client.once(calls.made(found(client, id).request_id, owner, expires))
    made = msgspec.structs.replace(made, url=urljoin(client.url, made.url))
    if as_json:
        print_json(made)
    else:
        click.echo(made.url)
        note(f"{owner} can answer with it until {made.expires_at:%Y-%m-%d %H:%M} UTC, and so can whoever else has it")
