"""`sayso keys`: who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from sayso.cli.connection import on_server
from sayso.cli.output import json_option, note, print_json, print_rows
from sayso.cli.plain import line
from sayso.cli.span import Span, span
from sayso.keys import EVERY, SCOPES

if TYPE_CHECKING:
    from rich.table import Table

    from sayso.client import Client
    from sayso.keys import KeyMade, KeyShown, Scope

_ENDED: Final = {True: "revoked", False: "expired"}


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke the keys of a server.

    Each has scopes: ask (for agents), read and answer (for people), metrics (for monitoring), admin (for these
    commands). It sees the executions that fit one of its patterns, in which * stands for any characters. The server
    needs the key in SAYSO_API_KEY, which must be its own or one with the scope admin.

    \b
    Examples:
      sayso keys create crew --scope ask --execution 'order-*' > crew.key
      sayso keys list
      sayso keys rotate crew --overlap 2h > crew.key
      sayso keys revoke crew
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    metavar="SCOPE",
    help="ask, answer, read, metrics or admin; repeatable.",
)
@click.option(
    "--execution",
    "executions",
    multiple=True,
    default=EVERY,
    metavar="PATTERN",
    help="Runs it may see, as 'order-*'; repeatable.  [default: all]",
)
@click.option("--expires", type=Span(), metavar="SPAN", help="It ends after so long.  [default: never]")
@json_option
@on_server
def create(
    client: Client,
    *,
    name: str,
    scopes: tuple[Scope, ...],
    executions: tuple[str, ...],
    expires: float | None,
    as_json: bool,
) -> None:
    """Make a key called NAME, and print its secret, which is not shown again.

    \b
    Examples:
      sayso keys create crew --scope ask --execution 'order-*' > crew.key
      sayso keys create ann --scope read --scope answer --expires 90d
      sayso keys create ops --scope admin
    """
    from sayso.client import keys as calls

    _tell(client.once(calls.create(name, scopes, executions, _after(expires))), as_json=as_json)


@keys.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that ended, too.")
@json_option
@on_server
def list_keys(client: Client, *, everything: bool, as_json: bool) -> None:
    """List the keys.

    \b
    Examples:
      sayso keys list
      sayso keys list --all --json | jq -r .name
    """
    from sayso.client import keys as calls

    found = [key for key in client.once(calls.listing()) if everything or key.live]
    if as_json:
        for key in found:
            print_json(key)
    elif found:
        print_rows(_table(found))
    else:
        note("There are no keys but the server's own.")


@keys.command()
@click.argument("key")
@click.option(
    "--overlap", type=Span(), default="1d", metavar="SPAN", show_default=True, help="So long the old secret opens."
)
@click.option("--expires", type=Span(), metavar="SPAN", help="The new one ends after so long.  [default: as the old]")
@json_option
@on_server
def rotate(client: Client, *, key: str, overlap: float, expires: float | None, as_json: bool) -> None:
    """Make a second secret for KEY, and print it; the old one ends after a while.

    KEY is a name or an id.

    \b
    Example:
      sayso keys rotate crew --overlap 2h > crew.key
    """
    from sayso.client import keys as calls

    old = _live(client, key)[-1]
    _tell(client.once(calls.rotate(old.id, overlap, _after(expires))), as_json=as_json)


@keys.command()
@click.argument("key")
@json_option
@on_server
def revoke(client: Client, *, key: str, as_json: bool) -> None:
    """End KEY at once; streams that it opened are cut within seconds.

    KEY is an id, or a name, and then every secret under it ends.

    \b
    Example:
      sayso keys revoke crew
    """
    from sayso.client import keys as calls

    for one in _live(client, key):
        gone = client.once(calls.revoke(one.id))
        if as_json:
            print_json(gone)
        else:
            note(f"revoked {gone.name} ({gone.id})")


def _live(client: Client, key: str) -> Sequence[KeyShown]:
    """The live keys of this id or name, in the order in which they were made. Raises ClickException."""
    from sayso.client import keys as calls

    found = [one for one in client.once(calls.listing()) if one.live and key in (one.id, one.name)]
    if not found:
        raise click.ClickException(f"no live key has the name or the id {line(key)!r}: sayso keys list")
    return found


def _tell(made: KeyMade, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(made.secret)
    key = made.key
    until = f" until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else ""
    note(f"{key.name} ({key.id}) may {', '.join(key.scopes)} in {', '.join(key.executions)}{until}")
    note("this is its secret; it is not shown again")


def _table(found: Sequence[KeyShown]) -> Table:
    from rich.table import Table

    now = datetime.now(UTC)
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("ID", "NAME", "SCOPES", "EXECUTIONS", "AGE", "USED", "ENDS"):
        shown.add_column(name, justify="right" if name in ("AGE", "USED", "ENDS") else "left", overflow="ellipsis")
    for key in found:
        used = f"{_ago(key.last_used_at, now)} ago" if key.last_used_at else "never"
        cells: list[Any] = [key.id, key.name, ",".join(key.scopes), ",".join(key.executions)]
        shown.add_row(*cells, _ago(key.created_at, now), used, _end(key, now))
    return shown


def _end(key: KeyShown, now: datetime) -> str:
    if not key.live:
        return _ENDED[key.revoked_at is not None]
    return f"in {span((key.expires_at - now).total_seconds())}" if key.expires_at else "never"


def _ago(moment: datetime, now: datetime) -> str:
    return span((now - moment).total_seconds())


def _after(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
