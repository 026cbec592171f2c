"""stdout and stderr, whatever they are: a terminal, a pipe, a file, closed; of any encoding."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from sayso.cli.plain import json_line, line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_ENDLESS: Final = 10_000
"""Columns of what is no terminal: whoever reads it can cut for themselves."""


def write_in_any_encoding() -> None:
    """From here on no character fails to be written: what the encoding lacks becomes an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def note(text: str) -> None:
    """Says something beside the output: one line on stderr."""
    click.echo(line(text), err=True)


def print_json(value: Any) -> None:
    """One line of JSON on stdout."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(json_line(value, is_ascii=not encoding.lower().startswith("utf")))


def console(*, stderr: bool = False) -> Console:
    """One that shows no colour where NO_COLOR, or a pipe, forbids it."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def print_rows(rows: RenderableType) -> None:
    """A table on stdout, cut to the width of a terminal."""
    shown = console()
    if not shown.is_terminal:
        shown.width = _ENDLESS
    shown.print(rows)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says at a terminal, and only there, what is waited for while it is; with a spinner where one can turn."""
    if not is_terminal(sys.stderr):
        yield
    elif os.environ.get("TERM") in ("dumb", "unknown"):
        note(what)
        yield
    else:
        with console(stderr=True).status(line(what)):
            yield


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is at the other end; a stream may be closed, and then there is none."""
    return stream is not None and stream.isatty()


json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
