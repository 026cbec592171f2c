"""Where a call comes from: by which address, under which host's name, from which page, and through what."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from sayso.errors import Forbidden
from sayso.server.names import hostname, is_loopback

_FORWARDED: Final = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""What a proxy on this machine adds to a call from elsewhere."""


class Origins:
    """The server's own, and those that it was told to let in."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._allowed)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises Forbidden."""
        self._check_host(scope, headers)
        self._check_origin(scope, headers)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        """On a loopback address only a loopback name is meant; another name is a page that rebinds its DNS to us."""
        server = scope.get("server")
        if server is None or not is_loopback(server[0]):
            return
        host = headers.get("host", "").lower()
        if not is_loopback(hostname(host)) and host not in self._hosts:
            raise Forbidden(
                "this server listens on this machine only and was called by another name; behind a proxy, "
                "name the public address: allow_origins=['https://…']"
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """A page of another origin can send anything that a form can; its Origin header tells on it."""
        origin = headers.get("origin", "").rstrip("/").lower()
        if origin and origin not in self._allowed | own_origins(scope, headers):
            raise Forbidden("pages of this origin are not let in; name it to the server: allow_origins=['https://…']")


def own_origins(scope: Scope, headers: Headers) -> frozenset[str]:
    """What a page of this server's own calls its origin. Without TLS here there may be a proxy that has it; with it, a
    page that came without is another's."""
    schemes = ("https",) if scope.get("scheme") in {"https", "wss"} else ("http", "https")
    return frozenset(f"{scheme}://{headers.get('host', '').lower()}" for scheme in schemes)


def is_from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Whether another machine may have made the call: by an address that others reach, or through a proxy."""
    return _is_reachable(scope) or not _FORWARDED.isdisjoint(headers.keys())


def _is_reachable(scope: Scope) -> bool:
    """Whether the call came in by an address that other machines reach."""
    return _others_reach((scope.get("server") or ("",))[0])


@lru_cache(1_024)
def _others_reach(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a Unix socket, or a test client: no address at all
