"""The server that a command talks to, and what it means when that does not work."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from sayso.cli.ending import told
from sayso.errors import ExtraMissing, Misconfigured, NotFound, Unauthorised, Unavailable

if TYPE_CHECKING:
    from sayso.client import Client

T = TypeVar("T")

DEFAULT_URL: Final = "http://localhost:8000"
_PATIENCE: Final = 3.0
"""Seconds that a command tries again for a server that cannot be reached: a person is waiting."""

url_option = click.option(
    "--url",
    metavar="URL",
    default=DEFAULT_URL,
    envvar="SAYSO_URL",
    show_default=True,
    show_envvar=True,
    help="The server.",
)


def on_server(command: Callable[..., T]) -> Callable[..., T]:
    """Gives the command a Client of the server that --url names."""

    @url_option
    @functools.wraps(command)
    def run(url: str, **settings: object) -> T:
        with explained(url), client_of(url) as client:
            return command(client, **settings)

    return told(run)


def client_of(url: str, *, patience: float | None = None) -> Client:
    """A client with the key of the environment. Raises Misconfigured; ExtraMissing where httpx or rich is missing."""
    try:
        import rich  # noqa: F401 - says early, and clearly, that it is missing
    except ModuleNotFoundError as exc:
        raise ExtraMissing("this command needs rich, which is not installed: pip install 'sayso[client]'") from exc
    from sayso import settings
    from sayso.client import Client

    key = settings.api_key()
    try:
        return Client(url, key, patience=_PATIENCE if patience is None else patience)
    except (ImportError, OSError, ValueError) as exc:  # as httpx has it, of what it reads in the environment
        raise Misconfigured(f"what the environment says of proxies or certificates does not work: {exc}") from exc


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Errors in it name the server and the setting to change."""
    try:
        yield
    except Unauthorised as exc:
        raise Unauthorised(f"{url} {_unwelcome()}") from exc
    except NotFound as exc:  # of an address, since requests are looked up by `found`
        raise Misconfigured(f"no sayso is at {url}: it answers, but does not know what it is asked; check it") from exc
    except Unavailable as exc:
        if exc.__cause__ is None:
            raise Unavailable(f"{url}: {exc.detail}") from exc
        why = re.sub(r"^\[[^]]*\] ", "", str(exc.__cause__)) or type(exc.__cause__).__name__
        hint = "start one (sayso serve), or name it: --url or SAYSO_URL"
        raise Unavailable(f"no server answers at {url}: {why}; {hint}") from exc.__cause__


def _unwelcome() -> str:
    """What is wrong with the key, by the name of its setting."""
    if os.environ.get("SAYSO_API_KEY", "").strip():
        return "does not take the key in SAYSO_API_KEY"
    if os.environ.get("SAYSO_API_KEY_FILE"):
        return "does not take the key in the file that SAYSO_API_KEY_FILE names"
    return "wants a key: set SAYSO_API_KEY, or SAYSO_API_KEY_FILE to the file that holds it"
