"""`sayso audit`: what was done by whom, to be kept elsewhere and to be checked."""

from __future__ import annotations

import click

from sayso.cli.audit.export import export
from sayso.cli.audit.verify import verify


@click.group()
def audit() -> None:
    """Export and verify who asked, answered and cancelled what.

    Every change of a request has left an entry, and the entries of a run are a chain of hashes. Entries are never
    changed and never removed.

    \b
    Examples:
      sayso audit export > audit.jsonl
      sayso audit verify audit.jsonl
      sayso audit verify --json > heads.jsonl
      sayso audit verify --heads heads.jsonl
    """


for command in (export, verify):
    audit.add_command(command)
