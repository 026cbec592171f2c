"""Binds the addresses a server listens on, before anything else is started, so that a taken port is a clear error."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import ExitStack, suppress

from sayso import limits
from sayso.errors import Misconfigured, PortTaken

_TRIES = 10
BACKLOG = 1024
"""Connections the kernel holds for us while the loop is busy."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address `host` has (localhost: IPv4 and IPv6), all on one port; 0 picks a free one.

    Raises PortTaken, or Misconfigured for a host that is not this machine's.
    """
    for _ in range(_TRIES if port == 0 else 0):  # free on one address does not mean free on the other
        with suppress(PortTaken):
            return _bind_all(host, port)
    return _bind_all(host, port)


def _bind_all(host: str, port: int) -> list[socket.socket]:
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, address in _addresses(host, port):
            taken = sockets[0].getsockname()[1] if sockets else address[1]
            # Named by its protocol: only then asyncio turns Nagle's algorithm off, with which answers take 40 ms.
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            try:
                _listen(listener, family, (address[0], taken))
            except OSError as exc:
                if sockets and exc.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    continue  # localhost is named for IPv6, but this machine has none
                raise _explained(exc, host, port) from exc
            sockets.append(listener)
        opened.pop_all()
        return sockets


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Raises Misconfigured for a name that nobody knows."""
    return all(ipaddress.ip_address(address[0].partition("%")[0]).is_loopback for _, address in _addresses(host, 0))


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    if not 0 <= port <= 65_535:
        raise Misconfigured(f"port {port} is none: choose one from 0 (any free one) to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise Misconfigured(f"cannot listen on host {host!r}: nobody knows it; try host='localhost'") from exc
    known = {(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found}
    return sorted(known)  # IPv4 first


def _listen(listener: socket.socket, family: socket.AddressFamily, address: tuple[str, int]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    _bound(listener)
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.setblocking(False)


def _bound(listener: socket.socket) -> None:
    """What the kernel keeps for a peer that takes nothing, and for how long it tries; connections inherit it.

    Where a system has no such option, the deadlines of the protocols are left.
    """
    patience = round((limits.SEND + limits.STOP) * 1_000)
    for option, value in (("TCP_NOTSENT_LOWAT", limits.UNSENT), ("TCP_USER_TIMEOUT", patience)):
        with suppress(OSError, AttributeError):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _explained(exc: OSError, host: str, port: int) -> Misconfigured:
    if exc.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} on {host} is taken by another program: stop that one, or choose another port "
            "(port=0 picks a free one)"
        )
    return Misconfigured(f"cannot listen on {host}:{port}: {exc.strerror}")
