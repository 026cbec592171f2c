"""The command `sayso`."""

from __future__ import annotations

import click

from sayso.errors import SaysoError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SAYSO"})
@click.version_option(package_name="sayso")
def main() -> None:
    """When an agent must ask a person."""


@main.command()
@click.option("--host", default="localhost", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free one.")
@click.option("--store", help="sqlite:///file.db or :memory:  [default: a file of this port's own]")
@click.option("--allow-origin", "allow_origins", multiple=True, help="A web page's origin that may call; repeatable.")
def serve(host: str, port: int, store: str | None, allow_origins: tuple[str, ...]) -> None:
    """Run a server of its own, for agents and people anywhere.

    The key that clients must send is read from SAYSO_API_KEY, or from the file that SAYSO_API_KEY_FILE names; never
    from the command line, where every user of the machine could read it.

    \b
    Examples:
      SAYSO_API_KEY=secret sayso serve --host 0.0.0.0
      sayso serve --port 8001 --store sqlite:///questions.db
    """
    try:
        from sayso import HumanInputServer

        server = HumanInputServer(host, port, store=store, allow_origins=allow_origins, adapters=False)
        server.start(on_listening=lambda: click.echo(f"sayso listens on {server.url}", err=True))
    except SaysoError as error:
        raise click.ClickException(error.detail) from error
