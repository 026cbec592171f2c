"""How many connections there are, in all and from each address. Knows no protocol: every listener may share it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from functools import lru_cache

from sayso import limits
from sayso.errors import SaysoError, TooMany, Unavailable

logger = logging.getLogger(__name__)


class Place:
    """One connection among the others. `address`: whose it is; `is_exempt`: that is this machine, or a proxy that was
    named."""

    __slots__ = ("_among", "address", "is_exempt")

    def __init__(self, among: Connections, address: str, *, is_exempt: bool) -> None:
        self.address = address
        self.is_exempt = is_exempt
        self._among: Connections | None = among

    def leave(self) -> None:
        """Gives it back. Idempotent."""
        among, self._among = self._among, None
        if among is not None:
            among.left(self.address)


class Connections:
    """`is_exempt`: addresses whose connections count in all, but not for their address, since others stand behind."""

    def __init__(self, is_exempt: Callable[[str], bool]) -> None:
        self._is_exempt = is_exempt
        self._of_address: dict[str, int] = {}
        self._all = 0
        self._room = _room()
        self._refuses = False

    def __len__(self) -> int:
        return self._all

    def enter(self, address: str) -> Place:
        """Takes a place. Raises Unavailable, or TooMany where only `address` has many."""
        is_exempt, before = self._is_exempt(address), self._of_address.get(address, 0)
        try:
            self._check(before, is_exempt)
        except SaysoError as error:
            if not self._refuses:  # one line until it is over: a flood must not flood the log
                logger.warning("connections are refused: %s", error, extra={"address": address, "open": len(self)})
            self._refuses = True
            raise
        self._refuses = False
        self._all += 1
        self._of_address[address] = before + 1
        return Place(self, address, is_exempt=is_exempt)

    def left(self, address: str) -> None:
        """One of its connections is gone."""
        self._all -= 1
        if self._of_address[address] == 1:
            del self._of_address[address]
        else:
            self._of_address[address] -= 1

    def _check(self, of_address: int, is_exempt: bool) -> None:
        if self._all >= self._room:
            raise Unavailable(f"this server has {self._room} connections, which is all that it takes")
        if not is_exempt and of_address >= limits.CONNECTIONS_PER_ADDRESS:
            raise TooMany(f"one address may have {limits.CONNECTIONS_PER_ADDRESS} connections")


@lru_cache(1_024)
def is_this_machine(address: str) -> bool:
    """Whether only this machine calls from there; so does whatever has no address, as on a Unix socket."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True


def _room() -> int:
    """As many as the caps allow and the process has descriptors for."""
    try:
        import resource  # noqa: PLC0415 - Windows has none, and no such bound
    except ImportError:
        return limits.CONNECTIONS
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return limits.CONNECTIONS
    return min(limits.CONNECTIONS, max(1, descriptors - limits.SPARE_DESCRIPTORS))
