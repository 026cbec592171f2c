"""`sayso answer`: a person's answer, by flags or in a conversation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from sayso.cli.shared import found, json_option, on_server, print_json
from sayso.errors import AlreadySettled, Invalid
from sayso.model import Request, Submission

if TYPE_CHECKING:
    from sayso.client import Client


@click.command()
@click.argument("id")
@click.argument("text", required=False)
@click.option("--approve", "decision", flag_value="approve", help="Take it as it is.")
@click.option("--reject", "decision", flag_value="reject", help="Refuse it; TEXT is the reason.")
@click.option("--edit", "decision", flag_value="edit", help="Use TEXT (or JSON, for a call or a form) instead.")
@click.option("--option", "option_id", metavar="ID", help="Choose this option.")
@click.option("--values", metavar="JSON", help="What a form is filled in with.")
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="TEXT from a file; - reads stdin.")
@click.option("--comment", default="", help="A remark beside the answer.")
@json_option
@on_server
def answer(
    client: Client,
    *,
    id: str,
    text: str | None,
    decision: Any,
    option_id: str | None,
    values: str | None,
    file: TextIO | None,
    comment: str,
    as_json: bool,
) -> None:
    """Answer a question. Without an answer on the command line it shows the question and asks.

    ID is the whole id, or enough of its beginning or end.

    \b
    Examples:
      sayso answer 3f2a91bc
      sayso answer 3f2a91bc --approve
      sayso answer 3f2a91bc "shorter, please"
      sayso answer 3f2a91bc --edit --file better.md
      sayso answer 3f2a91bc --option eu
      sayso answer 3f2a91bc --values '{"city": "Esbjerg"}'
      sayso answer 3f2a91bc --reject "not this week"
    """
    request = found(client, id)
    words = file.read() if file is not None else text
    if words is None and decision is None and option_id is None and values is None:
        given = _converse(request)
    else:
        given = _given(request, words, decision, option_id, values)
    if comment:
        import msgspec

        given = msgspec.structs.replace(given, comment=comment)
    try:
        settled = client.answer(request.request_id, given)
    except AlreadySettled as late:
        settled = late.request
        by, words = settled.settled_by, settled.words
        raise click.ClickException(
            f"{by} was first: {settled.answer.decision if settled.answer else settled.status}"
            + (f" {words!r}" if words else "")
        ) from late
    except Invalid as invalid:
        raise click.ClickException("; ".join(fault.detail for fault in invalid.faults)) from invalid
    if as_json:
        print_json(settled)
    else:
        click.echo(f"answered {settled.request_id}: {settled.answer.decision if settled.answer else ''}", err=True)


def _given(request: Request, words: str | None, decision: Any, option_id: str | None, values: str | None) -> Submission:
    if option_id is not None:
        return Submission(option_ids=(option_id,), text=words)
    if values is not None:
        return Submission(values=_json(values, "--values"))
    if decision == "edit":
        if words is None:
            raise click.UsageError("--edit needs the TEXT, or --file")
        is_json = request.action is not None or request.response_schema is not None
        return Submission(decision="edit", edited=_json(words, "TEXT") if is_json else words)
    if decision == "approve":
        return Submission(decision="approve")
    if decision == "reject":
        return Submission(decision="reject", text=words)
    return Submission(human_feedback=words)


def _json(text: str, hint: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise click.BadParameter(f"is no JSON: {exc}", param_hint=hint) from exc


def _converse(request: Request) -> Submission:
    """Shows the request and asks. Raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError("say what to answer: --approve, --reject, a TEXT, --option, --values or --file -")
    from sayso.cli.show import console, details

    console().print(details(request))
    if not request.is_open:
        raise click.ClickException(f"it is {request.status} already")
    if request.kind == "form":
        return Submission(values=_fill_in(request.response_schema or {}))
    if request.options:
        ids = {str(number): option.id for number, option in enumerate(request.options, 1)}
        for number, option in enumerate(request.options, 1):
            click.echo(f"  {number}  {option.label or option.id}")
        written = click.prompt("Number, or your own words" if request.kind != "choice" else "Number")
        chosen = ids.get(written.strip())
        return Submission(human_feedback=written) if chosen is None else Submission(option_ids=(chosen,))
    return _decide(request)


def _decide(request: Request) -> Submission:
    keys = {one[0] if one != "respond" else "w": one for one in request.allow}
    if request.allow == ("respond",):
        return Submission(human_feedback=click.prompt("Your answer", default="", show_default=False))
    names = {"a": "[a]pprove", "e": "[e]dit", "w": "[w]rite", "r": "[r]eject"}
    key = click.prompt("  ".join(names[key] for key in keys), type=click.Choice(list(keys)), show_choices=False)
    if keys[key] == "approve":
        return Submission(decision="approve")
    if keys[key] == "reject":
        return Submission(decision="reject", text=click.prompt("Why", default="", show_default=False))
    if keys[key] == "edit":
        return Submission(decision="edit", edited=_edited(request))
    return Submission(decision="respond", text=click.prompt("What should change"))


def _edited(request: Request) -> Any:
    """What comes back from the editor of $EDITOR."""
    import msgspec

    if request.action is not None:
        draft = msgspec.json.format(msgspec.json.encode(request.action.args)).decode()
    else:
        draft = request.context
    edited = click.edit(draft, extension=".json" if request.action or request.response_schema else ".md")
    if edited is None:
        raise click.Abort
    return _json(edited, "the edit") if request.action or request.response_schema else edited.rstrip("\n")


def _fill_in(schema: dict[str, Any]) -> dict[str, Any]:
    """Asks for each member of a flat form; a nested one is written as JSON."""
    values = {}
    required = schema.get("required", [])
    for name, about in schema.get("properties", {}).items():
        kind = about.get("type")
        hint = about.get("description") or about.get("title") or name
        if "enum" in about:
            written: Any = click.prompt(f"{hint} {about['enum']}", default="", show_default=False)
        else:
            written = click.prompt(f"{hint} ({kind or 'JSON'})", default="", show_default=False)
        if written == "" and name not in required:
            continue
        values[name] = written if kind == "string" or "enum" in about else _json(written, name)
    return values
