"""The command `sayso`. Each command is a file; nothing heavy is loaded before one that needs it runs."""

from __future__ import annotations

import click

from sayso.cli.answer import answer
from sayso.cli.ask import ask
from sayso.cli.audit import audit
from sayso.cli.backup import backup
from sayso.cli.cancel import cancel
from sayso.cli.completion import completion
from sayso.cli.demo import demo
from sayso.cli.doctor import doctor
from sayso.cli.export import export
from sayso.cli.inbox import inbox
from sayso.cli.keys import keys
from sayso.cli.link import link
from sayso.cli.migrate import migrate
from sayso.cli.notify import notify
from sayso.cli.output import write_in_any_encoding
from sayso.cli.resume import resume
from sayso.cli.serve import serve
from sayso.cli.watch import watch


class _InOrder(click.Group):
    """Lists its commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sayso")
def main() -> None:
    """When an agent must ask a person.

    \b
    Ask:     sayso ask "Deploy?" --kind approval --wait
    See:     sayso inbox, sayso watch
    Answer:  sayso answer ID
    Serve:   sayso serve

    All but serve, demo, backup and migrate talk to the server that --url or SAYSO_URL names (default:
    http://localhost:8000), with the key in SAYSO_API_KEY, or in the file that SAYSO_API_KEY_FILE names. What an option
    says counts more than the environment.

    \b
    Exit codes:
      0    done, or answered
      1    an error
      2    a wrong command line
      3    rejected
      124  no answer in time
      130  Ctrl-C
    """
    write_in_any_encoding()


for command in (
    ask,
    inbox,
    answer,
    watch,
    cancel,
    link,
    export,
    audit,
    backup,
    migrate,
    serve,
    keys,
    notify,
    resume,
    demo,
    doctor,
    completion,
):
    main.add_command(command)
