"""`sayso ask`: a question from a script."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any, Final

import click

from sayso.cli.connection import on_server
from sayso.cli.ending import counts, exit_code
from sayso.cli.giving_up import cancelled_on_leaving
from sayso.cli.ids import Id
from sayso.cli.output import is_terminal, json_option, note, print_json, waiting
from sayso.cli.plain import plain
from sayso.cli.selection import KINDS, PRIORITIES
from sayso.cli.source import File, Words, json_of
from sayso.cli.span import Span
from sayso.errors import Fault, Invalid
from sayso.model import Kind, Option, Question, Request, Source, derived_uuid

if TYPE_CHECKING:
    from sayso.client import Client

_DECISIONS: Final = ("approve", "reject")
_DECIDED: Final = ("approval", "review", "gate")
"""Kinds that a --default can decide."""
_NAMES: Final = {
    "prompt": "PROMPT",
    "options": "--option",
    "response_schema": "--schema",
    "assignees": "--assignee",
    "execution_id": "--execution",
    "request_id": "--id",
}
"""How the members of a question are written here, where not as --member."""


@click.command()
@click.argument("prompt", type=Words())
@click.option("--option", "options", multiple=True, metavar="ID[=LABEL]", help="One of the answers; repeatable.")
@click.option("--kind", type=click.Choice(KINDS), metavar="KIND", help=f"{', '.join(KINDS)}.  [default: as it fits]")
@click.option("--title", default="", metavar="WORDS", help="One line for lists.  [default: the prompt's first line]")
@click.option("--context", type=File(), metavar="FILE", help="A text to look at; - reads stdin.")
@click.option("--schema", type=File(), metavar="FILE", help="A JSON Schema: the answer is a form; - reads stdin.")
@click.option("--timeout", type=Span(), metavar="TIME", help="How long it may wait: 90 (seconds), 10m, 2h, 1d.")
@click.option(
    "--default",
    metavar="ANSWER",
    help="What counts when nobody answers in time: approve or reject for an approval or a review, an ID of the "
    "options, JSON with --schema, else a text.",
)
@click.option(
    "--priority",
    type=click.Choice(PRIORITIES),
    default="normal",
    metavar="PRIORITY",
    help=f"{', '.join(PRIORITIES)}.  [default: normal]",
)
@click.option("--assignee", "assignees", multiple=True, metavar="NAME", help="Who is meant to answer; repeatable.")
@click.option("--execution", type=Id(), metavar="ID", help="The run it belongs to.  [default: one of its own]")
@click.option("--id", "request_id", type=Id(), metavar="ID", help="Its id: asking again under it is the same question.")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it.")
@json_option
@on_server
def ask(client: Client, *, prompt: str, wait: bool, as_json: bool, **said: Any) -> None:
    """Ask a person, and wait for the answer with --wait.

    A PROMPT of - is read from stdin. Prints the id of the request; with --wait, the answer: its text, the ID of the
    option, or the values as JSON. Ctrl-C cancels the question, unless it has an --id under which it can be asked again.

    \b
    With --wait it ends with
      0    answered: approved, chosen, written
      3    rejected
      124  nobody answered in time, and there is no --default
      1    an error, or the question was cancelled

    \b
    Examples:
      sayso ask "Deploy 2.4 to production?" --kind approval --wait && ./deploy
      sayso ask "Where?" --option eu=Frankfurt --option us=Ohio --wait
      sayso ask "Go on?" --kind approval --timeout 10m --default reject --wait
      git diff | sayso ask "May this go in?" --kind review --context - --wait
    """
    question = _question(prompt, **said)
    with cancelled_on_leaving(client, question, is_own=said["request_id"] is None) as asking:
        request = _asked(client, question)
        asking.is_stored = True
        if not wait:
            print_json(request) if as_json else click.echo(request.request_id)
            return
        with waiting(f"waiting for an answer to {request.request_id}"):
            outcome = client.settled(request.request_id)
    if as_json:
        print_json(outcome)
    elif words := _words(outcome):
        click.echo(plain(words) if is_terminal(sys.stdout) else words, color=True)  # True: a program gets all of it
    if not counts(outcome):
        note(f"nobody answered: {outcome.reason or outcome.status}")
    sys.exit(exit_code(outcome))


def _question(
    prompt: str,
    *,
    options: tuple[str, ...],
    context: str | None,
    schema: str | None,
    default: str | None,
    execution: str | None,
    request_id: str | None,
    **said: Any,
) -> Question:
    return Question(
        execution_id=execution or (derived_uuid("cli", request_id, "") if request_id else str(uuid.uuid4())),
        prompt=prompt,
        context=context or "",
        response_schema=None if schema is None else json_of(schema, "--schema"),
        default=_default(default, said["kind"], is_form=schema is not None),
        options=tuple(Option(id=id, label=label) for id, _, label in (one.partition("=") for one in options)),
        source=Source(name="cli"),
        request_id=request_id or str(uuid.uuid4()),
        **said,
    )


def _default(text: str | None, kind: Kind | None, *, is_form: bool) -> str | dict[str, Any] | None:
    if text is None:
        return None
    if is_form:
        return {"values": json_of(text, "--default")}
    return {"decision": text} if kind in _DECIDED and text in _DECISIONS else text


def _asked(client: Client, question: Question) -> Request:
    """The stored request. Raises Invalid that names options instead of members."""
    try:
        return client.ask(question)
    except Invalid as invalid:
        raise Invalid(*(Fault(_name(fault.pointer), fault.detail) for fault in invalid.faults)) from invalid


def _name(pointer: str) -> str:
    """How the command line writes what `pointer` points to."""
    _, _, path = pointer.partition("/")
    member = path.partition("/")[0]
    return _NAMES.get(member, f"--{member}") if member else ""


def _words(outcome: Request) -> str:
    answer = outcome.answer
    if answer is None or not counts(outcome):
        return ""
    return answer.option_ids[0] if answer.option_ids and answer.text is None else outcome.words
