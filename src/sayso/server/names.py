"""The names under which a server is called: what of a `Host` is the host, and which hosts are this very machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def hostname(host: str) -> str:
    """The host of a `Host` header, without its port; "" for what is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean the machine that uses it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
