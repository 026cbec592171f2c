"""`sayso doctor`: what is wrong with this set-up, and what to do about it. It changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click

from sayso.cli.connection import url_option
from sayso.cli.doctor.finding import Finding, State
from sayso.cli.ending import said, told
from sayso.cli.output import json_option, print_json
from sayso.cli.plain import line
from sayso.errors import SaysoError

_MARKS: Final[dict[State, tuple[str, str, str]]] = {
    "right": ("✓", "ok", "green"),
    "wrong": ("✗", "!!", "red"),
    "note": ("·", "--", "yellow"),
}
"""How a state is marked: in Unicode, elsewhere, and in which colour."""


@click.command()
@url_option
@json_option
@told
def doctor(url: str, *, as_json: bool) -> None:
    """Say what is wrong with this set-up, and what to do.

    Looks for parts that are missing or too old (crewAI among them), settings that are misspelled or cannot be read, a
    server that is not there, is another program or takes another key, a proxy that holds streams back, a clock that
    differs, and a store that another process has open.

    Changes nothing. Ends with 1 when something is wrong.

    \b
    Example:
      sayso doctor --url http://server:8000
    """
    from sayso.cli.doctor import environment, installation, server

    found: list[Finding] = []
    for check in (installation.findings, lambda: environment.findings(url), lambda: server.findings(url)):
        for finding in _safely(check):
            if finding not in found:  # what cannot be read is found wherever it is needed
                found.append(finding)
                print_json(finding) if as_json else _tell(finding)
    sys.exit(1 if any(finding.state == "wrong" for finding in found) else 0)


def _tell(finding: Finding) -> None:
    click.echo(f"{_mark(finding.state)} {line(finding.what)}")
    if finding.cure:
        click.echo(f"    {line(finding.cure)}")


def _safely(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except SaysoError as error:
        yield Finding("wrong", said(error))


def _mark(state: State) -> str:
    mark, ascii_mark, colour = _MARKS[state]
    try:
        mark.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        mark = ascii_mark
    return mark if os.environ.get("NO_COLOR") else click.style(mark, fg=colour)
