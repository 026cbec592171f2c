"""Whether the settings fit: the key, the address, what stands between."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from sayso import settings
from sayso.cli.doctor.finding import Finding


def findings(url: str) -> Iterator[Finding]:
    yield from _misspelled()
    yield from _key()
    yield from _way(url)


def _misspelled() -> Iterator[Finding]:
    from sayso.cli import main

    known = set(settings.NAMES)
    for command in main.commands.values():
        for parameter in command.params:
            known |= {parameter.envvar} if isinstance(parameter.envvar, str) else set(parameter.envvar or ())
    for name in sorted(os.environ):
        if name.upper().startswith("SAYSO") and name not in known:
            meant = get_close_matches(name.upper(), known, 1)
            yield Finding("note", f"{name} is no setting of sayso's", f"is {meant[0]} meant?" if meant else "")


def _key() -> Iterator[Finding]:
    key = settings.api_key()
    value, file = os.environ.get("SAYSO_API_KEY", "").strip(), os.environ.get("SAYSO_API_KEY_FILE")
    if key is None:
        yield Finding("note", "no key is set: SAYSO_API_KEY, or SAYSO_API_KEY_FILE")
    elif value and file:
        yield Finding("note", "SAYSO_API_KEY is set, so SAYSO_API_KEY_FILE is not read")
    else:
        yield Finding("right", f"a key is set by {'SAYSO_API_KEY' if value else 'SAYSO_API_KEY_FILE'}")
    if file and not value and os.name == "posix":
        with suppress(OSError):
            if Path(file).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                yield Finding("note", f"others on this machine can read the key in {file}", f"chmod 600 {file}")


def _way(url: str) -> Iterator[Finding]:
    """What the calls go through, or go without."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(host):
        setting = f"{parts.scheme}_proxy" if parts.scheme in proxies else "all_proxy"
        yield Finding("note", f"calls to {host} go through a proxy, as {setting} says", f"else set NO_PROXY={host}")
    if parts.scheme == "http" and not is_here(host) and settings.api_key() is not None:
        yield Finding("note", f"the key goes to {host} unencrypted; put a server with TLS before it: https://…")


def is_here(host: str) -> bool:
    """Whether this machine alone has that name."""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost") or host.startswith("127.")
