"""Which proxies are listed: their word on who calls, and over what, counts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


class Proxies:
    """Addresses and networks, as `settings.checked_proxies` has checked them."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._networks = tuple(ipaddress.ip_network(one) for one in listed)

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found in network for network in self._networks)
