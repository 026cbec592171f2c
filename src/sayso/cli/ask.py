"""`sayso ask`: a question from a script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sayso.cli.shared import counts, exit_code, json_option, on_server, print_json
from sayso.model import Kind, Option, Priority, Question, Request, Source, derived_uuid

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("prompt")
@click.option("--option", "options", multiple=True, metavar="ID[=LABEL]", help="One of the answers; repeatable.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="approval for a yes or no; review for a draft.")
@click.option("--title", default="", help="One line for lists.  [default: the prompt's first line]")
@click.option("--context", "context_file", type=click.File(encoding="utf-8"), help="A file to look at; - reads stdin.")
@click.option("--schema", "schema_file", type=click.File("rb"), help="A JSON Schema: the answer is a form.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Until when.")
@click.option("--default", help="The answer that counts when nobody answers in time; JSON where there is a --schema.")
@click.option("--priority", type=click.Choice(get_args(Priority)), default="normal", show_default=True)
@click.option("--assignee", "assignees", multiple=True, help="Who is meant to answer; repeatable.")
@click.option("--execution", "execution_id", help="The run it belongs to.  [default: one of its own]")
@click.option("--id", "request_id", help="Its id: asking again under it is the same question.")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it.")
@json_option
@on_server
def ask(client: Client, *, prompt: str, wait: bool, as_json: bool, **said: Any) -> None:
    """Ask a person.

    Prints the id of the request; with --wait, the answer: its text, the id of the option, or the values as JSON.

    \b
    With --wait it ends with
      0    answered (approved, chosen, written)
      3    rejected
      124  nobody answered in time, and there is no --default
      1    anything else went wrong, or the question was cancelled

    \b
    Examples:
      sayso ask "Deploy 2.4 to production?" --kind approval --wait && ./deploy
      sayso ask "Where?" --option eu=Frankfurt --option us=Ohio --timeout 600 --default eu --wait
      git diff | sayso ask "May this go in?" --kind review --context - --wait
    """
    request = client.ask(_question(prompt, **said))
    if not wait:
        print_json(request) if as_json else click.echo(request.request_id)
        return
    outcome = _await(client, request, is_own=said["request_id"] is None)
    if as_json:
        print_json(outcome)
    elif words := _words(outcome):
        click.echo(words)
    if not counts(outcome):
        click.echo(f"nobody answered: {outcome.reason or outcome.status}", err=True)
    sys.exit(exit_code(outcome))


def _question(
    prompt: str,
    *,
    options: tuple[str, ...],
    context_file: Any,
    schema_file: Any,
    default: str | None,
    execution_id: str | None,
    request_id: str | None,
    **said: Any,
) -> Question:
    import msgspec

    run = execution_id or derived_uuid("cli", request_id or str(Path.cwd()), "" if request_id else _unique())
    try:
        schema = None if schema_file is None else msgspec.json.decode(schema_file.read())
    except msgspec.DecodeError as exc:
        raise click.BadParameter(f"is no JSON: {exc}", param_hint="--schema") from exc
    try:
        filled = default if schema is None or default is None else {"values": msgspec.json.decode(default)}
    except msgspec.DecodeError as exc:
        raise click.BadParameter(f"of a form is JSON: {exc}", param_hint="--default") from exc
    return Question(
        execution_id=run,
        prompt=prompt,
        context="" if context_file is None else context_file.read(),
        response_schema=schema,
        default=filled,
        options=tuple(Option(id=id, label=label) for id, _, label in (one.partition("=") for one in options)),
        source=Source(name="cli"),
        request_id=request_id,
        **said,
    )


def _unique() -> str:
    import uuid

    return str(uuid.uuid4())


def _await(client: Client, request: Request, *, is_own: bool) -> Request:
    """The settled request. A question whose asker goes away, and whose id nobody else knows, is cancelled."""
    from sayso.cli.show import console
    from sayso.errors import SaysoError
    from sayso.model import ASKER_GONE

    try:
        with console(stderr=True).status(f"waiting for an answer to {request.request_id}"):
            return client.settled(request.request_id)
    except KeyboardInterrupt:
        if is_own:
            try:
                client.cancel(request.request_id, ASKER_GONE)
            except SaysoError as error:
                click.echo(f"the question stays open: {error.detail}", err=True)
        sys.exit(130)


def _words(outcome: Request) -> str:
    answer = outcome.answer
    if answer is None or not counts(outcome):
        return ""
    return answer.option_ids[0] if answer.option_ids and answer.text is None else outcome.words
