"""`sayso answer`: a person's answer, by flags or in a conversation."""

from __future__ import annotations

import sys
from functools import partial
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
    said = [name for name, it in (("--option", option_id), ("--values", values), (f"--{decision}", decision)) if it]
    if words is not None and (values is not None or decision == "approve"):
        said.append("a TEXT")
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)} are several answers; remarks go into --comment")
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
    from sayso.cli.show import console, details, line

    console().print(details(request))
    if not request.is_open:
        raise click.ClickException(f"it is {request.status} already")
    if request.kind == "form":
        return Submission(values=_fill_in(request.response_schema or {}))
    if request.options:
        ids = {str(number): option.id for number, option in enumerate(request.options, 1)}
        for number, option in enumerate(request.options, 1):
            click.echo(f"  {number}  {line(option.label or option.id)}")
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
    from sayso.cli.show import line

    values = {}
    required = schema.get("required", [])
    for name, about in schema.get("properties", {}).items():
        told = about if isinstance(about, dict) else {}
        hint = line(str(told.get("description") or told.get("title") or name))
        choices = told.get("enum")
        kind = " | ".join(map(_shown, choices)) if choices else told.get("type", "JSON")
        written = click.prompt(f"{hint} ({kind})", default="", show_default=False, value_proc=partial(_member, told))
        if written != "" or name in required:
            values[name] = written
    return values


def _member(about: dict[str, Any], text: str) -> Any:
    """What was written for one member. Raises BadParameter, after which it is asked for again."""
    import msgspec

    if text == "" or about.get("type") == "string":
        return text
    for choice in about.get("enum", ()):
        if text == _shown(choice):
            return choice
    if "enum" in about:
        raise click.BadParameter("is none of these")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise click.BadParameter(f"must be JSON here: {exc}") from exc


def _shown(choice: Any) -> str:
    from sayso.cli.show import line
    from sayso.wire import encode

    return line(choice if isinstance(choice, str) else encode(choice).decode())
