"""What the environment says. Read when it is needed, never at import."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sayso.errors import Misconfigured

NAMES: Final = (
    "SAYSO_API_KEY",
    "SAYSO_API_KEY_FILE",
    "SAYSO_DRAIN",
    "SAYSO_NOTIFY",
    "SAYSO_PUBLIC_URL",
    "SAYSO_RETENTION",
    "SAYSO_STORE",
    "SAYSO_STORE_FILE",
    "SAYSO_URL",
)
"""What is read here."""
_RETENTION: Final = 30.0
"""Days; long enough for every asker and every follower to have come back."""
_LEAST_RETENTION: Final = 1 / 24
"""Days: whoever asked, and lost the line just then, must find the answer when it is back."""
_MOST_DRAIN: Final = 3_600.0
"""Seconds: no load balancer takes longer to look away, and whoever waits for the end should see it."""

_URL = re.compile(r"[A-Za-z0-9._~:/\[\]@%+-]+")
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def api_key() -> str | None:
    """`SAYSO_API_KEY`, or the first line of the file that `SAYSO_API_KEY_FILE` names; None when neither is set.

    Raises Misconfigured for a file that cannot be read or is empty.
    """
    key, file = os.environ.get("SAYSO_API_KEY"), os.environ.get("SAYSO_API_KEY_FILE")
    if key and key.strip():
        return checked_key(key.strip(), "SAYSO_API_KEY")
    if not file:
        return None
    return checked_key(_first_line("SAYSO_API_KEY_FILE", file), f"SAYSO_API_KEY_FILE names {file}, whose first line")


def store() -> str | None:
    """`SAYSO_STORE`, or the first line of the file that `SAYSO_STORE_FILE` names, since a store's URL may hold a
    password; None when neither is set. Raises Misconfigured for a file that cannot be read or is empty."""
    url, file = os.environ.get("SAYSO_STORE", "").strip(), os.environ.get("SAYSO_STORE_FILE")
    if url or not file:
        return url or None
    if found := _first_line("SAYSO_STORE_FILE", file):
        return found
    raise Misconfigured(f"SAYSO_STORE_FILE names {file}, whose first line is empty; put the store's URL there")


def _first_line(setting: str, file: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as exc:
        raise Misconfigured(f"{setting} names {file}, which cannot be read") from exc
    return lines[0].strip() if lines else ""


def url() -> str | None:
    """`SAYSO_URL`: the server that this process's questions go to when none runs in it; None when it is not set."""
    return os.environ.get("SAYSO_URL", "").strip() or None


def notify() -> Path | None:
    """`SAYSO_NOTIFY`: the file that says who is told of what; None when it is not set."""
    file = os.environ.get("SAYSO_NOTIFY", "").strip()
    return Path(file).expanduser() if file else None


def public_url() -> str | None:
    """`SAYSO_PUBLIC_URL`: where people reach this server; None when it is not set. Raises Misconfigured."""
    url = os.environ.get("SAYSO_PUBLIC_URL", "").strip()
    return checked_public_url(url, "SAYSO_PUBLIC_URL") if url else None


def checked_public_url(url: str, where: str) -> str:
    """`url`, maybe with a path, without a slash at its end. Raises Misconfigured, naming `where` it stands."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not _URL.fullmatch(url) or "@" in parts.netloc:
        raise Misconfigured(f"{where} is {url!r}; write it as people type it: https://sayso.example.com[/path]")
    return url.rstrip("/")


def retention() -> timedelta | None:
    """`SAYSO_RETENTION` in days, or 30; None for `inf`: for ever. Raises Misconfigured."""
    days = os.environ.get("SAYSO_RETENTION", "").strip()
    return checked_retention(days or _RETENTION, "SAYSO_RETENTION")


def checked_retention(days: float | str, where: str) -> timedelta | None:
    """`days` as a duration; None for `inf`: for ever. Raises Misconfigured, naming `where` it stands."""
    try:
        number = float(days)
        if number == math.inf:
            return None
        if number >= _LEAST_RETENTION:
            return timedelta(days=number)
    except (ValueError, TypeError, OverflowError):
        pass
    raise Misconfigured(f"{where} is {days!r}; it is a number of days, at least an hour (0.042), or inf: for ever")


def drain() -> float:
    """`SAYSO_DRAIN` in seconds, or 0. Raises Misconfigured."""
    return checked_drain(os.environ.get("SAYSO_DRAIN", "").strip() or 0.0, "SAYSO_DRAIN")


def checked_drain(seconds: float | str, where: str) -> float:
    """`seconds` between the word to stop and the end. Raises Misconfigured, naming `where` it stands."""
    try:
        number = float(seconds)
        if 0 <= number <= _MOST_DRAIN:
            return number
    except (ValueError, TypeError, OverflowError):
        pass
    raise Misconfigured(f"{where} is {seconds!r}; it is a number of seconds from 0 to {_MOST_DRAIN:.0f}")


def checked_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Origins as a browser writes them: `https://app.example.com`, maybe with a port. Raises Misconfigured."""
    if isinstance(origins, str):
        raise Misconfigured(f"allow_origins is a list: [{origins!r}]")
    found = tuple(origin.rstrip("/").lower() for origin in origins)
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise Misconfigured(f"{origin!r} in allow_origins is no origin; write it as https://app.example.com[:port]")
    return found


def checked_proxies(proxies: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks of proxies: `10.0.0.7`, `10.0.0.0/8`. Raises Misconfigured."""
    if isinstance(proxies, str):
        raise Misconfigured(f"trusted_proxies is a list: [{proxies!r}]")
    found = tuple(proxies)
    for one in found:
        try:
            network = ipaddress.ip_network(one)
        except ValueError:
            raise Misconfigured(
                f"{one!r} in trusted_proxies is no address and no network; write it as 10.0.0.7 or 10.0.0.0/8"
            ) from None
        if network.prefixlen == 0:
            raise Misconfigured(f"{one} in trusted_proxies is everyone; name your proxies alone")
    return found


def checked_key(key: str, where: str) -> str:
    """`key`, if a client can send it in a header. Raises Misconfigured, naming `where` it stands, never the key."""
    if not key:
        raise Misconfigured(f"{where} is empty; put a secret there, or leave it out for a server of this machine alone")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise Misconfigured(f"{where} holds a key that no client can send; use ASCII letters, digits and signs only")
    return key
