"""How many connections there are, in all and from each address. Knows no protocol: every listener may share it."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from sayso import limits
from sayso.errors import SaysoError, TooMany, Unavailable

logger = logging.getLogger(__name__)


class Place:
    """One connection among the others. `is_exempt`: it is of this machine, or of a proxy that was named."""

    __slots__ = ("_address", "_of_address", "is_exempt")

    def __init__(self, of_address: Counter[str], address: str, *, is_exempt: bool) -> None:
        self.is_exempt = is_exempt
        self._of_address = of_address
        self._address: str | None = address
        of_address[address] += 1

    def leave(self) -> None:
        """Gives it back. Idempotent."""
        address, self._address = self._address, None
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]


class Connections:
    """`is_exempt`: addresses whose connections count in all, but not for their address, since others stand behind."""

    def __init__(self, is_exempt: Callable[[str], bool]) -> None:
        self._is_exempt = is_exempt
        self._of_address: Counter[str] = Counter()
        self._room = _room()
        self._refuses = False

    def __len__(self) -> int:
        return self._of_address.total()

    def enter(self, address: str) -> Place:
        """Takes a place. Raises Unavailable, or TooMany where only `address` has many."""
        is_exempt = self._is_exempt(address)
        try:
            self._check(address, is_exempt)
        except SaysoError as error:
            if not self._refuses:  # one line until it is over: a flood must not flood the log
                logger.warning("connections are refused: %s", error, extra={"address": address, "open": len(self)})
            self._refuses = True
            raise
        self._refuses = False
        return Place(self._of_address, address, is_exempt=is_exempt)

    def _check(self, address: str, is_exempt: bool) -> None:
        if len(self) >= self._room:
            raise Unavailable(f"this server has {self._room} connections, which is all that it takes")
        if not is_exempt and self._of_address.get(address, 0) >= limits.CONNECTIONS_PER_ADDRESS:
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
