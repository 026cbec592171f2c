"""`sayso doctor`: what is wrong with this set-up, and what to do about it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import click

from sayso.cli.shared import DEFAULT_URL
from sayso.errors import SaysoError

_EXTRAS = {"server": ("starlette", "uvicorn", "jsonschema-rs"), "client": ("httpx", "rich"), "crewai": ("crewai",)}


class Finding(NamedTuple):
    """One thing looked at. `is_wrong`: something must be done; None: it is only good to know."""

    is_wrong: bool | None
    what: str
    cure: str = ""


@click.command()
@click.option("--url", envvar="SAYSO_URL", default=DEFAULT_URL, show_default=True, help="The server.")
def doctor(url: str) -> None:
    """Look at the installation, the settings and the server, and say what to do.

    Ends with 1 when something is wrong.

    \b
    Example:
      sayso doctor --url http://server:8000
    """
    wrong = False
    for check in (_python, _extras, _crewai, _settings, lambda: _server(url)):
        for finding in _safe(check):
            mark = {True: "✗", False: "✓", None: "·"}[finding.is_wrong]
            click.echo(f"{mark} {finding.what}")
            if finding.cure:
                click.echo(f"    {finding.cure}")
            wrong = wrong or bool(finding.is_wrong)
    sys.exit(1 if wrong else 0)


def _safe(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except SaysoError as error:
        yield Finding(True, error.detail)


def _python() -> Iterator[Finding]:
    here = ".".join(map(str, sys.version_info[:3]))
    yield Finding(sys.version_info < (3, 11), f"Python {here}, sayso {version('sayso')}", "")


def _extras() -> Iterator[Finding]:
    for extra, packages in _EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        cure = f"pip install 'sayso[{extra}]'" if missing else ""
        yield Finding(None if missing else False, f"{extra}: {'not installed' if missing else 'installed'}", cure)


def _crewai() -> Iterator[Finding]:
    here = _version("crewai")
    if here is not None:
        numbers = tuple(int(part) for part in here.split(".")[:3] if part.isdigit())
        is_old = numbers < (1, 15, 16)
        yield Finding(is_old, f"crewAI {here}", "pip install -U 'crewai>=1.15.16'" if is_old else "")


def _settings() -> Iterator[Finding]:
    from sayso import settings

    key = settings.api_key()
    yield Finding(None if key is None else False, "a key is set" if key else "no key is set: SAYSO_API_KEY")


def _server(url: str) -> Iterator[Finding]:
    from sayso.cli.shared import client_of
    from sayso.errors import Unauthorised, Unavailable

    with client_of(url) as client:
        try:
            page = client.page(status=["pending"], limit=1)
        except Unauthorised:
            yield Finding(True, f"{url} wants another key", "set SAYSO_API_KEY to the server's key")
        except Unavailable:
            yield Finding(True, f"no server answers at {url}", f"sayso serve, or set SAYSO_URL{_port_hint(url)}")
        else:
            waits = "something waits" if page.requests else "nothing waits"
            yield Finding(False, f"{url} answers; {waits}")


def _port_hint(url: str) -> str:
    """Whether something else has the port."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=2):
            return " (something listens there, but does not answer as a sayso server does)"
    except OSError:
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
