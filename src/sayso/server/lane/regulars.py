"""Whom the door has let in before, by the same head: they are let in again without a task, or a look at each header."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sayso.model import is_id
from sayso.server.access import CallersAccess
from sayso.server.lane.head import Head

if TYPE_CHECKING:
    from sayso.server.lane.lane import Lane

_MOST: Final = 1_024


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
        self._known: OrderedDict[bytes, Regular] = OrderedDict()

    def find(self, head: Head, facts: Mapping[str, Any]) -> Regular | None:
        """Whoever was let in by this head, at this place, and still would be."""
        name = self._name(head, facts)
        regular = None if name is None else self._known.get(name)
        if regular is None or not self._lane.application.lock.still_admits(regular.use.caller, self._lane.gateway.keys):
            return None
        return regular

    def remember(self, head: Head, facts: Mapping[str, Any], regular: Regular) -> None:
        """They were let in by this head, which has no cursor."""
        caller, name = regular.use.caller, self._name(head, facts)
        if name is None or caller.among is not None or caller.channel is not None:
            return  # what they may see, or do, is looked at each time
        self._known[name] = regular
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def _name(self, head: Head, facts: Mapping[str, Any]) -> bytes | None:
        """Of everything that decides whether such a call is let in; None where more decides."""
        if head.query or head.execution_id is None or not is_id(head.execution_id) or self._lane.has_proxies:
            return None
        headers = head.headers
        if head.road == "ws":
            if (key := head.key) is None:
                return None
            headers = headers[: key.start(1)] + headers[key.end(1) :]
        elif head.road != "events":
            return None
        place = f"{head.road} {facts['scheme']} {facts['server']} ".encode()
        return hashlib.blake2b(place + headers, digest_size=32).digest()
