"""The names under which a server is called: what of a `Host` is the host, and which hosts are this very machine."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

_SEEN: Final = 1_024
"""Names of which is remembered what they are: most calls have one of a few."""


@lru_cache(_SEEN)
def hostname(host: str) -> str:
    """The host of a `Host` header, without its port; "" for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


@lru_cache(_SEEN)
def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean the machine that uses it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
