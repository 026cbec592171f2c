"""`sayso backup`: a copy of a server's store, checked, while it runs or not."""

from __future__ import annotations

from pathlib import Path

import click

from sayso.cli.ending import told
from sayso.cli.output import json_option, print_json
from sayso.errors import ExtraMissing


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--store",
    metavar="URL",
    envvar="SAYSO_STORE",
    show_envvar=True,
    help="What the server was given.  [default: the file of the port]",
)
@click.option(
    "--port",
    default=8000,
    type=click.IntRange(1, 65_535),
    metavar="N",
    envvar="SAYSO_PORT",
    show_default=True,
    show_envvar=True,
    help="The server's port.",
)
@json_option
@told
def backup(file: Path, store: str | None, port: int, *, as_json: bool) -> None:
    """Copy the store of a server on this machine to FILE, and check the copy from end to end.

    The server may run meanwhile. The copy holds everything that was acknowledged before it began. FILE must not exist.

    \b
    Examples:
      sayso backup /backups/$(date +%F).db
      sayso backup questions-copy.db --store sqlite:///questions.db
    """
    try:
        from sayso import compose, settings
    except ModuleNotFoundError as exc:
        raise ExtraMissing(f"backup needs {exc.name}, which is not installed: pip install 'sayso[server]'") from exc
    copy = compose.backup(store or settings.store() or compose.default_store(port), file)
    if as_json:
        print_json({"file": str(file), **copy._asdict()})
    else:
        click.echo(
            f"{file}: {copy.requests} requests ({copy.pending} pending) of {copy.executions} executions, "
            f"{copy.events} events, {copy.size / 1024:,.0f} KiB; checked"
        )
