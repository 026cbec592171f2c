"""`sayso answer`: a person's answer, by flags or in a conversation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sayso.cli.connection import on_server
from sayso.cli.ending import in_words
from sayso.cli.ids import RequestId, found
from sayso.cli.output import is_terminal, json_option, note, print_json
from sayso.cli.source import File, Words, json_of
from sayso.errors import Invalid
from sayso.model import Decision, Kind, Request, Submission

if TYPE_CHECKING:
    from sayso.client import Client

_MAY_BE_BLANK: Final[tuple[Kind, ...]] = ("question", "gate")
"""Kinds that a blank text answers. Elsewhere a variable that is empty by accident must not approve anything."""


class Said(NamedTuple):
    """The answer on the command line."""

    decision: Decision | None
    option: str | None
    values: str | None
    words: str | None


@click.command()
@click.argument("id", type=RequestId())
@click.argument("text", type=Words(), required=False)
@click.option("--approve", is_flag=True, help="Take it as it is.")
@click.option("--reject", is_flag=True, help="Refuse it; TEXT is the reason.")
@click.option("--edit", is_flag=True, help="Use TEXT instead: JSON for a call, or where a schema is given.")
@click.option("--option", "options", multiple=True, metavar="ID", help="Choose this option.")
@click.option("--values", metavar="JSON", help="What a form is filled in with; TEXT does as well.")
@click.option("--file", type=File(is_said=True), metavar="FILE", help="TEXT from a file; - reads stdin.")
@click.option("--comment", default="", metavar="WORDS", help="A remark beside the answer.")
@json_option
@on_server
def answer(client: Client, *, id: str, comment: str, as_json: bool, **flags: Any) -> None:
    """Answer a question. Without an answer on the command line it shows the question and asks.

    ID is the whole id, or enough of its beginning or end. A TEXT of - is read from stdin.

    \b
    Examples:
      sayso answer 3f2a91bc
      sayso answer 3f2a91bc --approve
      sayso answer 3f2a91bc "shorter, please"
      sayso answer 3f2a91bc --edit --file better.md
      sayso answer 3f2a91bc --option eu
      sayso answer 3f2a91bc '{"city": "Esbjerg"}'
      sayso answer 3f2a91bc --reject "not this week"
    """
    said = _said(**flags)
    request = found(client, id)

    def send(given: Submission) -> Request:
        import msgspec

        seen = request.action.digest if request.action else None  # it is this call that is answered, and no other
        return client.answer(request.request_id, msgspec.structs.replace(given, comment=comment, action_digest=seen))

    if said is None:
        from sayso.cli.conversation import converse

        settled = converse(request, send)
    else:
        try:
            settled = send(_submission(request, said))
        except Invalid as invalid:
            raise click.ClickException(in_words(invalid)) from invalid
    if as_json:
        print_json(settled)
    else:
        note(f"answered {settled.request_id}: {settled.answer.decision if settled.answer else ''}")


def _said(
    *, text: str | None, approve: bool, reject: bool, edit: bool, options: tuple[str, ...], values: Any, file: Any
) -> Said | None:
    """None: nothing, so the person is asked. Raises UsageError for several answers, and where nobody can be asked."""
    flags: dict[Decision, bool] = {"approve": approve, "reject": reject, "edit": edit}
    decisions = [decision for decision, is_given in flags.items() if is_given]
    answers = [f"--{one}" for one in decisions] + ["--option"] * len(options)
    answers += [name for name, given in (("--values", values), ("a TEXT", text), ("--file", file)) if given is not None]
    if not answers:
        if is_terminal(sys.stdin):
            return None
        raise click.UsageError("say what to answer: --approve, --reject, a TEXT, --option, --values or --file -")
    words = text if file is None else file
    takes_words = decisions in (["reject"], ["edit"]) or len(options) == 1
    if len(answers) > (2 if takes_words and words is not None else 1):
        raise click.UsageError(f"{' and '.join(answers)} are several answers; remarks go into --comment")
    return Said(decisions[0] if decisions else None, options[0] if options else None, values, words)


def _submission(request: Request, said: Said) -> Submission:
    decision, option, values, words = said
    if option is not None:
        if words is not None and request.kind == "choice":
            raise click.UsageError("a choice takes no TEXT beside --option; remarks go into --comment")
        return Submission(option_ids=(option,), text=words)
    if values is not None:
        return Submission(values=json_of(values, "--values"))
    if words is not None and decision is None and request.kind == "form":
        return Submission(values=json_of(words, "TEXT"))
    if decision == "edit":
        if words is None:
            raise click.UsageError("--edit needs the TEXT, or --file")
        is_json = request.action is not None or request.response_schema is not None
        return Submission(decision="edit", edited=json_of(words, "TEXT") if is_json else words)
    if decision is not None:
        return Submission(decision=decision, text=words)
    assert words is not None  # noqa: S101 - something was said
    if not words.strip() and request.kind not in _MAY_BE_BLANK:
        raise click.UsageError("a blank TEXT is no answer to this; say what is meant, as --approve")
    return Submission(human_feedback=words)
