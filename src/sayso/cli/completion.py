"""`sayso completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands, options and ids in a shell.

    \b
    Examples:
      eval "$(sayso completion bash)"
      eval "$(sayso completion zsh)"
      sayso completion fish > ~/.config/fish/completions/sayso.fish
    """
    from sayso.cli import main

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    click.echo(kind(main, {}, "sayso", "_SAYSO_COMPLETE").source())
