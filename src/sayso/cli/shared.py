"""What the commands share: the server they talk to, how errors are told, and how they end."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from sayso.errors import ExtraMissing, NotFound, SaysoError

if TYPE_CHECKING:
    from sayso.client import Client
    from sayso.model import Request

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_URL: Final = "http://localhost:8000"
REJECTED: Final = 3
NO_ANSWER: Final = 124
"""Exit codes beside 0 (answered), 1 (an error) and 2 (a wrong command line); 124 as `timeout` has it."""
_PATIENCE: Final = 3.0
"""Seconds that a command tries again for a server that cannot be reached: a person is waiting."""


def told(command: Callable[P, T]) -> Callable[P, T]:
    """An error of sayso's ends the command with its sentence and exit code 1, Ctrl-C with 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except SaysoError as error:
            raise click.ClickException(error.detail) from error
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except BrokenPipeError:  # the reader of a pipe has seen enough
            sys.stderr.close()
            raise SystemExit(0) from None

    return run


def on_server(command: Callable[..., T]) -> Callable[..., T]:
    """Gives the command a Client of the server that --url names."""

    @click.option("--url", default=DEFAULT_URL, envvar="SAYSO_URL", show_default=True, help="The server.")
    @functools.wraps(command)
    def run(url: str, **settings: Any) -> T:
        with client_of(url) as client:
            return command(client, **settings)

    return told(run)


def client_of(url: str) -> Client:
    """A client with the key of the environment. Raises Misconfigured; ExtraMissing where httpx or rich is missing."""
    try:
        import rich  # noqa: F401
    except ModuleNotFoundError as exc:
        raise ExtraMissing("this command needs rich, which is not installed: pip install 'sayso[client]'") from exc
    from sayso import settings
    from sayso.client import Client

    return Client(url, settings.api_key(), patience=_PATIENCE)


def found(client: Client, id: str) -> Request:
    """The request that `id`, or the beginning or the end of one that waits, names. Raises NotFound."""
    if not id:
        raise NotFound("no id was given; sayso inbox shows what waits")
    try:
        return client.get(id)
    except NotFound:
        close = [
            one
            for one in client.list(status=["pending"])
            if one.request_id.startswith(id) or one.request_id.endswith(id)
        ]
    if len(close) != 1:
        raise NotFound(
            f"{len(close)} open requests begin or end with {id!r}; write more of the id"
            if close
            else f"no open request begins or ends with {id!r}; it may be answered already: sayso inbox --all"
        )
    return close[0]


def counts(outcome: Request) -> bool:
    """Whether there is an answer: a person's, or the default that the asker gave. Nobody's silence rejects anything."""
    return outcome.answer is not None and (outcome.status == "answered" or outcome.default is not None)


def exit_code(outcome: Request) -> int:
    """How a command that waits for an answer ends."""
    if not counts(outcome):
        return NO_ANSWER if outcome.reason == "deadline" or outcome.status == "expired" else 1
    assert outcome.answer is not None  # noqa: S101 - it counts
    return REJECTED if outcome.answer.decision == "reject" else 0


def print_json(told: Any) -> None:
    """One line of JSON."""
    from sayso.wire import encode

    click.echo(encode(told).decode())


json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one object a line.")
