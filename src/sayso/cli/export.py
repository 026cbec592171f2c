"""`sayso export`: everything that was asked and answered, as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from sayso.cli.connection import on_server
from sayso.cli.output import json_option, print_json
from sayso.cli.selection import Selection, selected

if TYPE_CHECKING:
    from sayso.client import Client
    from sayso.model import Request

_FIRST: Final = (
    *("created_at", "request_id", "status", "kind", "title", "prompt", "answer", "reason"),
    *("settled_at", "settled_by", "settled_channel", "asked_by", "execution_id"),
)
"""What a person looks for in a line, before everything else."""


@click.command()
@selected
@json_option
@on_server
def export(client: Client, *, selection: Selection, as_json: bool) -> None:
    """Write all requests with their answers as JSON lines.

    One object a line, in asking order, with all that GET /requests/{id} gives: what was asked, when and by whom; what
    was answered, when and by whom; each as it is when its page is read. However long it is, it is not held in memory.

    It is to be read, by people and programs. What restores a server is a copy of its store.

    The server filters by --status, --execution and --search; the rest is filtered here, after reading.

    \b
    Examples:
      sayso export > everything.jsonl
      sayso export --status answered --since 30d > answers.jsonl
      sayso export | jq -r '[.created_at, .title, .answer.decision, .answer.text] | @tsv'
    """
    for request in selection.of(client):
        print_json(_ordered(request))


def _ordered(request: Request) -> dict[str, Any]:
    import msgspec

    members = msgspec.structs.asdict(request)
    return {name: members[name] for name in _FIRST} | members
