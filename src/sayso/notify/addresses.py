"""Which addresses deliveries may go to: those of the internet, and what the configuration allows besides. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = tuple(ipaddress.IPv6Network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48"))
"""RFC 6052 and RFC 8215: the last 32 bits are an IPv4 address."""
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_REFUSED: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "192.88.99.0/24",  # anycast of 6to4
        "168.63.129.16/32",  # a cloud's own services, at an address like any other
        "fec0::/10",  # site-local, though Python counts it as global
    )
)


def is_allowed(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether to connect there. An IPv6 address that carries an IPv4 one is what it carries, too."""
    allowed = tuple(allowed)
    return all(_is_fine(one, allowed) for one in (address, *_carried(address)))


def _is_fine(address: Address, allowed: tuple[Network, ...]) -> bool:
    if address.is_unspecified or address.is_multicast:
        return False
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if any(address in network for network in _REFUSED if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address) and any(True for _ in _carried(address)):
        return True  # it counts as what it carries
    return address.is_global and not address.is_reserved


def _carried(address: Address) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if not address.is_loopback and any(address in network for network in (*_NAT64, _COMPATIBLE)):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
