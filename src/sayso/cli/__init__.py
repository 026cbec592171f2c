"""The command `sayso`. Each command is a file; nothing heavy is loaded before one that needs it runs."""

from __future__ import annotations

import click

from sayso.cli.answer import answer
from sayso.cli.ask import ask
from sayso.cli.completion import completion
from sayso.cli.doctor import doctor
from sayso.cli.export import export
from sayso.cli.inbox import cancel, inbox
from sayso.cli.resume import resume
from sayso.cli.serve import demo, serve
from sayso.cli.watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SAYSO"})
@click.version_option(package_name="sayso")
def main() -> None:
    """When an agent must ask a person.

    \b
    A server:            sayso serve
    What waits for you:  sayso inbox, sayso watch
    Answer it:           sayso answer ID
    Ask from a script:   sayso ask "Deploy?" --kind approval --wait

    All but serve talk to the server that --url or SAYSO_URL names (default: http://localhost:8000), with the key in
    SAYSO_API_KEY, or in the file that SAYSO_API_KEY_FILE names.
    """


for command in (serve, demo, ask, inbox, answer, cancel, watch, resume, export, doctor, completion):
    main.add_command(command)
