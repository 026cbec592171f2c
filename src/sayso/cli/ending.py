"""How a command ends: its exit code, and what it says when something went wrong."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import click

from sayso.cli.output import is_terminal
from sayso.cli.plain import line
from sayso.errors import AlreadySettled, Invalid, SaysoError

if TYPE_CHECKING:
    from sayso.model import Request

P = ParamSpec("P")
T = TypeVar("T")

REJECTED: Final = 3
NO_ANSWER: Final = 124
INTERRUPTED: Final = 130
"""Exit codes beside 0 (answered), 1 (an error), 2 (a wrong command line): 124 as `timeout` has it, 130 as shells do."""


def told(command: Callable[P, T]) -> Callable[P, T]:
    """An error of sayso's, or of the system's, ends the command with one sentence and 1; Ctrl-C ends it with 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except SaysoError as error:
            raise click.ClickException(said(error)) from error
        except KeyboardInterrupt:
            if is_terminal(sys.stderr):
                click.echo(err=True)  # the shell's next prompt begins a line
            raise SystemExit(INTERRUPTED) from None
        except UnicodeEncodeError as error:  # an argument in another encoding than this place's
            raise click.ClickException("what was written is no text that UTF-8 can hold") from error
        except BrokenPipeError:  # the reader of a pipe has seen enough
            _drop_stdout()
            raise SystemExit(0) from None
        except OSError as error:
            _drop_stdout()
            raise click.ClickException(line(error.strerror or str(error))) from error

    return run


def said(error: SaysoError) -> str:
    """An error in words, on one line."""
    if isinstance(error, AlreadySettled):
        return already(error.request)
    if isinstance(error, Invalid):
        return line("; ".join(f"{fault.pointer.lstrip('/') or 'it'}: {fault.detail}" for fault in error.faults))
    return line(error.detail)


def in_words(invalid: Invalid) -> str:
    """What is wrong with the one thing that was said."""
    return line("; ".join(fault.detail for fault in invalid.faults))


def already(request: Request) -> str:
    """What became of a request before we came."""
    if request.reason == "deadline":
        return "its time is over: nobody answered it"
    if request.answer is None:
        return f"{line(request.settled_by or 'someone')} cancelled it: {line(request.reason)}"
    words = "" if request.words in ("", request.answer.decision) else f" {line(request.words)!r}"
    return f"{line(request.settled_by or 'someone')} was first: {request.answer.decision}{words}"


def counts(outcome: Request) -> bool:
    """Whether there is an answer: a person's, or the default that the asker gave. Nobody's silence rejects anything."""
    return outcome.answer is not None and (outcome.status == "answered" or outcome.default is not None)


def exit_code(outcome: Request) -> int:
    """How a command that waits for an answer ends."""
    if not counts(outcome):
        return NO_ANSWER if outcome.reason == "deadline" or outcome.status == "expired" else 1
    assert outcome.answer is not None  # noqa: S101 - it counts
    return REJECTED if outcome.answer.decision == "reject" else 0


def _drop_stdout() -> None:
    """Whatever is still to be written has nowhere to go, and Python would complain of it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
