"""Whom the door has let in before, by the same head: they are let in again without a task, or a look at each header."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sayso.model import is_id
from sayso.server.access import CallersAccess
from sayso.server.lane.head import Head

if TYPE_CHECKING:
    from sayso.server.lane.lane import Lane

_MOST: Final = 1_024
_Name = tuple[str, bool, Any, bytes]
"""The road, whether there is TLS, the server's own address, and the headers' digest."""


class Regular(NamedTuple):
    """`more`: headers that its answers carry besides."""

    use: CallersAccess
    more: tuple[tuple[bytes, bytes], ...]


class Regulars:
    """Callers who followed an execution from its beginning, with a key or where none is needed.

    Of a head there is a digest, since it may hold a key. Where a proxy says who calls, nobody is regular.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._known: OrderedDict[_Name, Regular] = OrderedDict()

    def find(self, head: Head, transport: asyncio.Transport) -> tuple[Regular, bytes | None] | None:
        """Whoever was let in by this head, at this place, and still would be; and a handshake's key."""
        found = self._name(head, transport)
        regular = None if found is None else self._known.get(found[0])
        if found is None or regular is None:
            return None
        is_let_in = self._lane.application.lock.still_admits(regular.use.caller, self._lane.gateway.keys)
        return (regular, found[1]) if is_let_in else None

    def remember(self, head: Head, transport: asyncio.Transport, regular: Regular) -> None:
        """They were let in by this head, which is plain and has no cursor."""
        caller, found = regular.use.caller, self._name(head, transport)
        if found is None or caller.among is not None or caller.channel is not None:
            return  # what they may see, or do, is looked at each time
        if head.headers.lower().count(b"sec-websocket-key") > 1:
            return  # which of them counts is not for here
        self._known[found[0]] = regular
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def _name(self, head: Head, transport: asyncio.Transport) -> tuple[_Name, bytes | None] | None:
        """Of everything that decides whether such a call is let in, and a handshake's key; None where more decides."""
        if head.query or head.execution_id is None or not is_id(head.execution_id) or self._lane.has_proxies:
            return None
        headers, key = head.headers, None
        if head.road == "ws":
            if (found := head.key_in_base64()) is None:
                return None
            key, headers = found
        elif head.road != "events":
            return None
        is_tls = transport.get_extra_info("sslcontext") is not None
        here = transport.get_extra_info("sockname")
        return (head.road, is_tls, here, hashlib.blake2b(headers, digest_size=32).digest()), key
