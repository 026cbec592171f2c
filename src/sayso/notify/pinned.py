"""Connections to addresses that were checked: a name is looked up once, every address is looked at, and what was looked
at is connected to. The name stays what TLS and `Host` speak of."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpcore

from sayso.notify.addresses import Network, is_allowed
from sayso.notify.sending import NotDelivered

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name; raises OSError."""

_LOOKING_UP: Final = ThreadPoolExecutor(4, thread_name_prefix="sayso-names")
"""Threads of its own: a resolver that hangs must keep nothing else from its turn. None is started before it is used."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """What the system says, also of spellings such as 0x7f.1."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(
        _LOOKING_UP, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
    return [str(address[0]) for *_, address in found]


class Pinned(httpcore.AsyncNetworkBackend):
    """What httpcore connects with. Raises NotDelivered before anything is sent where any address is not allowed: a name
    that also means this machine is nobody's webhook."""

    def __init__(self, allowed: Iterable[Network] = (), resolve: Resolve = resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = dict.fromkeys(await self._resolve(host, port))
        except (OSError, UnicodeError):
            raise NotDelivered("the name of the host is not known") from None
        for one in found:
            address = ipaddress.ip_address(one.partition("%")[0])
            if "%" in one or not is_allowed(address, self._allowed):
                raise NotDelivered(f"{address} is no address of the internet; 'allow' names networks that are allowed")
        failure: Exception = NotDelivered("the name of the host has no address")
        for one in found:
            try:
                return await self._network.connect_tcp(one, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
