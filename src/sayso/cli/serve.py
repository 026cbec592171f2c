"""`sayso serve` and `sayso demo`: a server of one's own."""

from __future__ import annotations

import threading
from typing import Any

import click

from sayso.cli.shared import told


@click.command()
@click.option("--host", default="localhost", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free one.")
@click.option("--store", help="sqlite:///file.db or :memory:  [default: a file of this port's own]")
@click.option("--allow-origin", "allow_origins", multiple=True, help="A web page's origin that may call; repeatable.")
@told
def serve(host: str, port: int, store: str | None, allow_origins: tuple[str, ...]) -> None:
    """Run a server of its own, for agents and people anywhere.

    The key that clients must send is read from SAYSO_API_KEY, or from the file that SAYSO_API_KEY_FILE names; never
    from the command line, where every user of the machine could read it.

    \b
    Examples:
      SAYSO_API_KEY=secret sayso serve --host 0.0.0.0
      sayso serve --port 8001 --store sqlite:///questions.db
    """
    from sayso import HumanInputServer

    server = HumanInputServer(host, port, store=store, allow_origins=allow_origins, adapters=False)
    server.start(on_listening=lambda: click.echo(f"sayso listens on {server.url}", err=True))


@click.command()
@told
def demo() -> None:
    """Start a server with three questions in it, to try the other commands on.

    Everything is gone when it ends.

    \b
    Example:
      sayso demo
    """
    from sayso import HumanInputServer, ask
    from sayso.errors import SaysoError
    from sayso.model import Action

    with HumanInputServer(port=0, api_key="demo", store=":memory:", quiet=True, adapters=False) as server:

        def wait(prompt: str, **members: Any) -> None:
            try:
                reply = ask(prompt, asker=server, **members)
                click.echo(f"Answered: {prompt!r} -> {reply.decision} {reply.text}".rstrip())
            except SaysoError as ending:
                click.echo(f"Not answered: {prompt!r}: {ending.detail}")

        questions: list[tuple[str, dict[str, Any]]] = [
            ("Which harbour comes first?", {"options": {"ebj": "Esbjerg", "hir": "Hirtshals"}}),
            ("May this go out?", {"kind": "review", "context": "**The ferry is back.** It sails on Monday."}),
            ("May the agent pay?", {"action": Action(name="pay", args={"to": "Harbour Ltd", "amount": 120})}),
        ]
        waiting = [
            threading.Thread(target=wait, args=(prompt,), kwargs=members, daemon=True) for prompt, members in questions
        ]
        for one in waiting:
            one.start()
        click.echo("Three questions wait. In another terminal:\n")
        click.echo(f"  export SAYSO_URL={server.url} SAYSO_API_KEY=demo")
        click.echo("  sayso inbox\n  sayso answer ID\n  sayso watch\n\nCtrl-C ends it.")
        for one in waiting:
            while one.is_alive():
                one.join(0.5)
