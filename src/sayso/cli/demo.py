"""`sayso demo`: a server to try the other commands on."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Final

import click

from sayso.cli.ending import told
from sayso.cli.output import json_option, print_json
from sayso.cli.plain import line

if TYPE_CHECKING:
    from sayso.model import Question, Request

_KEY: Final = "demo"
_TICK: Final = 0.5
"""Seconds after which Ctrl-C is noticed, on systems where a wait does not notice it by itself."""


@click.command()
@json_option
@told
def demo(*, as_json: bool) -> None:
    """Run a server with three questions in it, to try things on.

    It picks a free port, and ends when all are answered, or with Ctrl-C; nothing is kept.

    \b
    Example:
      sayso demo
    """
    from sayso import HumanInputServer

    with HumanInputServer(port=0, api_key=_KEY, store=":memory:", quiet=True, adapters=False) as server:
        waiting: set[Future[Request]] = set()
        for question in _questions():
            asked = server.submit(question)
            asked.stored.result()
            waiting.add(asked.settled)
        if as_json:
            print_json({"url": server.url, "api_key": _KEY})
        else:
            click.echo("Three questions wait. In another terminal:\n")
            click.echo(f"  export SAYSO_URL={server.url} SAYSO_API_KEY={_KEY}")
            click.echo("  sayso inbox\n  sayso answer ID\n  sayso watch\n")
            click.echo(f"Or open {server.url} and sign in with the key {_KEY}. Ctrl-C ends it.")
        while waiting:
            done, waiting = wait(waiting, _TICK, FIRST_COMPLETED)
            for one in done:
                _tell(one.result(), as_json=as_json)


def _questions() -> tuple[Question, ...]:
    from sayso.model import Action, Option, Question, Source

    harbours = (Option(id="ebj", label="Esbjerg"), Option(id="hir", label="Hirtshals"))
    draft = "**The ferry is back.** From Monday it sails at 7:00, 12:00 and 17:30.\n\nBikes go free until spring."
    pay = Action(name="pay", args={"to": "Harbour Ltd", "amount": 120})
    agent = Source(name="demo")
    return (
        Question(execution_id="demo", prompt="Which harbour comes first?", options=harbours, source=agent),
        Question(execution_id="demo", prompt="May this go out?", kind="review", context=draft, source=agent),
        Question(execution_id="demo", prompt="May the agent pay?", action=pay, priority="high", source=agent),
    )


def _tell(outcome: Request, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
    elif outcome.answer is None:
        click.echo(f"Not answered: {outcome.title!r}: {line(outcome.reason)}")
    else:
        words = "" if outcome.words == outcome.answer.decision else line(outcome.words)
        click.echo(f"Answered: {outcome.title!r} -> {outcome.answer.decision} {words}".rstrip())
