"""Whether the server is there, is one, lets us in, and tells things at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from sayso import settings
from sayso.cli.connection import client_of, explained
from sayso.cli.doctor import store
from sayso.cli.doctor.environment import is_here
from sayso.cli.doctor.finding import Finding
from sayso.errors import SaysoError, Unavailable

_SKEW: Final = 5.0
"""Seconds by which two clocks may differ before a person is misled by ages and times left."""
_AT_ONCE: Final = 3.0
"""Seconds within which the first bytes of a stream must be here; the server sends some as soon as it is asked."""


def findings(url: str) -> Iterator[Finding]:
    with client_of(url) as client:  # says first what is missing for it
        try:
            with explained(url):
                page = client.page(status=["pending"], limit=1)
        except Unavailable as error:
            yield Finding("wrong", error.detail, _taken(url))
            yield from store.findings(url)
            return
        except SaysoError as error:
            yield Finding("wrong", error.detail)
            return
    yield Finding("right", f"{url} answers; {'something waits' if page.requests else 'nothing waits'}")
    yield from _ways(url)


def _ways(url: str) -> Iterator[Finding]:
    from sayso.client.probe import Probe

    with Probe(url, settings.api_key()) as probe:
        yield _clock(probe.clock())
        if probe.streams(_AT_ONCE):
            yield Finding("right", "events arrive at once")
        else:
            what = "something between here and the server holds streams back; followers take to polling"
            yield Finding("wrong", what, "for nginx: proxy_buffering off; and proxy_read_timeout above 5s")
        status = probe.websocket()
        if status == 101:
            yield Finding("right", "WebSockets get through")
        else:
            what = f"WebSockets do not get through: HTTP status {status}; the commands need none, pages may"
            yield Finding("note", what, "for nginx: proxy_http_version 1.1; and the headers Upgrade and Connection")


def _clock(skew: float) -> Finding:
    if abs(skew) <= _SKEW:
        return Finding("right", "its clock agrees with this one")
    what = (
        f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this one: ages and times left mislead"
    )
    return Finding("wrong", what, "set both clocks by the network: timedatectl set-ntp true")


def _taken(url: str) -> str:
    """What to do where something else has the port."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=2):
            hint = ": sayso serve --port 8001" if is_here(parts.hostname or "") else ""
            return f"something listens on port {port}, but does not answer as a sayso server does{hint}"
    except (OSError, ValueError):
        return ""
