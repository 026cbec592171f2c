"""`sayso audit export`: the entries, as JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sayso.cli.connection import on_server
from sayso.cli.ids import Id
from sayso.cli.output import json_option, print_json
from sayso.cli.span import Since

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.option("--execution", type=Id(), metavar="ID", help="Of this run.")
@click.option("--since", type=Since(), metavar="TIME", help="From then on: 2d (ago), 2026-11-30 or 2026-11-30T14:00.")
@click.option("--until", type=Since(), metavar="TIME", help="Up to then.")
@json_option
@on_server
def export(
    client: Client, *, execution: str | None, since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """Write the audit as JSON lines.

    One entry a line, run after run in the order of their ids, each from its first entry to its last. However long it
    is, it is not held in memory. With --since and --until each chain is cut at its ends, never in the middle.

    \b
    Examples:
      sayso audit export > audit.jsonl
      sayso audit export --execution order-42
      sayso audit export --since 30d | jq -r '[.at, .by, .change, .request_id] | @tsv'
    """
    for entry in _within(client.audit(execution), since, until):
        print_json(entry)


def _within(
    entries: Iterable[dict[str, Any]], since: datetime | None, until: datetime | None
) -> Iterator[dict[str, Any]]:
    """Of each chain what comes from its first entry since then, and before its first entry after the end."""
    chain, has_begun, has_ended = None, False, False
    for entry in entries:
        if entry.get("execution_id") != chain:
            chain, has_begun, has_ended = entry.get("execution_id"), since is None, False
        at = _time(entry)
        has_begun = has_begun or at is None or since is None or at >= since
        has_ended = has_ended or (until is not None and at is not None and at >= until)
        if has_begun and not has_ended:
            yield entry


def _time(entry: dict[str, Any]) -> datetime | None:
    """None for an entry that is not as it was written; it is shown, whenever it was."""
    try:
        at = datetime.fromisoformat(str(entry.get("at")))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
