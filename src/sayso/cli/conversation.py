"""A person at a terminal, and one request: shows it, asks, and asks again until the server takes the answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import click

from sayso.cli.ending import already, in_words
from sayso.cli.form import fill_in
from sayso.cli.output import console, note
from sayso.cli.plain import json_text
from sayso.cli.show import details
from sayso.cli.source import json_of
from sayso.errors import Invalid, Unavailable
from sayso.model import Decision, Request, Submission

_KEYS: Final[dict[str, Decision]] = {"a": "approve", "e": "edit", "r": "respond", "x": "reject"}
"""As at the inbox."""
_NAMES: Final[dict[Decision, str]] = {
    "approve": "[a]pprove",
    "edit": "[e]dit",
    "respond": "[r]espond",
    "reject": "[x] reject",
}


def converse(request: Request, send: Callable[[Submission], Request]) -> Request:
    """The settled request. Raises ClickException where it is settled already, Abort when the person leaves."""
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401 - gives what is written here the keys to move about in it
    console().print(details(request))
    if not request.is_open:
        raise click.ClickException(already(request))
    conversation = _Conversation(request)
    while True:
        try:
            return _delivered(conversation.answer(), send)
        except Invalid as invalid:
            note(f"That is not taken: {in_words(invalid)}")
        except click.BadParameter as wrong:
            note(f"That is not taken: {wrong.message}")


def _delivered(given: Submission, send: Callable[[Submission], Request]) -> Request:
    """What was written is not lost with the connection."""
    while True:
        try:
            return send(given)
        except Unavailable as error:
            note(error.detail)
            click.confirm("It is not sent. Try again?", default=True, abort=True)


class _Conversation:
    """What was written, and not taken, is there to be mended."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._values: Any = None
        self._is_json = request.action is not None or request.response_schema is not None
        self._draft = request.context if request.action is None else json_text(request.action.args)
        self._options = {str(number): option.id for number, option in enumerate(request.options, 1)}

    def answer(self) -> Submission:
        """One try at an answer. Raises BadParameter for an edit that cannot be one."""
        request = self._request
        if request.kind == "form":
            self._values = fill_in(request.response_schema or {}, self._values)
            return Submission(values=self._values)
        if request.allow == ("respond",):
            return self._respond()
        return self._decide()

    def _respond(self) -> Submission:
        if not self._options:
            return Submission(human_feedback=click.prompt("Your answer", default="", show_default=False))
        written = click.prompt("Number" if self._request.kind == "choice" else "Number, or your own words").strip()
        chosen = self._options.get(written)
        return Submission(human_feedback=written) if chosen is None else Submission(option_ids=(chosen,))

    def _decide(self) -> Submission:
        allow = self._request.allow
        options = self._options if "respond" in allow else {}
        names = [_NAMES[one] for one in allow]
        if options:
            names.insert(0, "[1]" if len(options) == 1 else f"[1-{len(options)}]")
        keys = [*options, *(key for key, decision in _KEYS.items() if decision in allow)]
        key = click.prompt("  ".join(names), type=click.Choice(keys, case_sensitive=False), show_choices=False)
        if key in options:
            return Submission(option_ids=(options[key],))
        if key == "a":
            return Submission(decision="approve")
        if key == "x":
            return Submission(decision="reject", text=click.prompt("Why", default="", show_default=False))
        if key == "e":
            return Submission(decision="edit", edited=self._edited())
        what = "What should change" if self._request.kind == "review" else "Your answer"
        return Submission(decision="respond", text=click.prompt(what))

    def _edited(self) -> Any:
        """What comes back from the editor of $EDITOR."""
        edited = click.edit(self._draft, extension=".json" if self._is_json else ".md")
        if edited is None:
            raise click.BadParameter("nothing was changed")
        self._draft = edited
        return json_of(edited, "the edit") if self._is_json else edited.rstrip("\n")
