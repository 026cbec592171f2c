"""`sayso migrate`: everything in a SQLite store goes to PostgreSQL, for many servers on one database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from sayso.cli.ending import told
from sayso.cli.output import is_terminal, json_option, note, print_json
from sayso.errors import ExtraMissing

if TYPE_CHECKING:
    from sayso.store.moving import Told

_LINES: Final = 10
"""Lines about a long way, where no terminal shows it."""
_ANEW: Final = "\r\x1b[K"
"""Has a terminal write its line anew."""


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="[TARGET]", required=False)
@json_option
@told
def migrate(source: str, target: str | None, *, as_json: bool) -> None:
    """Move everything in a SQLite store to PostgreSQL.

    SOURCE is the store; no server may have it open, and it is left as it is. TARGET is an empty database. Events keep
    their ids and places: whoever followed the old server goes on at the new ones, without a gap or a repeat.

    The copy is compared with the store before the command says that it is done. Whatever breaks it off leaves the
    database as it was; then run it again.

    A password on the command line can be read by every user of the machine. Leave TARGET out, and put the URL into the
    file that SAYSO_STORE_FILE names, as for the servers; or leave the password out, and use PGPASSWORD or ~/.pgpass.

    \b
    Example:
      sayso migrate sqlite:///questions.db postgresql://sayso@db.example.com/sayso
    """
    try:
        from sayso import compose, settings
    except ModuleNotFoundError as exc:
        raise ExtraMissing(
            f"migrate needs {exc.name}, which is not installed: pip install 'sayso[server,postgres]'"
        ) from exc
    target = target or settings.store()
    if target is None:
        raise click.UsageError("say where to, as TARGET, or in SAYSO_STORE or the file that SAYSO_STORE_FILE names")
    with _progress() as progress:
        moved = compose.migrate(source, target, progress)
    if as_json:
        print_json({"source": source, **moved._asdict()})
        return
    found = (
        f"{moved.requests} requests ({moved.pending} pending) of {moved.executions} executions, {moved.events} events"
    )
    click.echo(f"{found}: {'moved before' if moved.already else 'moved'}; checked")
    click.echo("Now start the servers with --store and the URL of the database.")
    click.echo(f"Keep {source} as a backup; start no server on it any more.")


@contextmanager
def _progress() -> Iterator[Told]:
    """Says on stderr how far it has come: in one line that changes, at a terminal; elsewhere in a few."""
    is_live = is_terminal(sys.stderr) and os.environ.get("TERM") not in ("dumb", "unknown")
    said = None

    def show(what: str, done: int, total: int) -> None:
        nonlocal said
        text = f"{what}: {done:,} of {total:,} rows" if total else what
        part = what, _LINES * done // total if total else 0
        if is_live:
            click.echo(f"{_ANEW}{text}", nl=False, err=True)
        elif part != said:
            note(text)
        said = part

    try:
        yield show
    finally:
        if is_live and said:
            click.echo(_ANEW, nl=False, err=True)
