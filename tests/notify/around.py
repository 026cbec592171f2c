"""What carriers find around them, where no server runs."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from sayso.clock import Clock
from sayso.model import Request
from sayso.notify.sending import Surroundings
from tests import builders


def around(
    *requests: Request,
    clock: Clock | None = None,
    public_url: str | None = "https://sayso.example",
    has_any: bool = False,
) -> Surroundings:
    """A server that has `requests`, or (`has_any`) an open one for each id, with that as its prompt; its links read
    `<request>-<owner>`."""
    known = {request.request_id: request for request in requests}

    async def get(request_id: str) -> Request | None:
        if has_any:
            return replace(builders.request(prompt=request_id), request_id=request_id)
        return known.get(request_id)

    async def link(request_id: str, owner: str, until: datetime) -> str:
        return f"{request_id}-{owner}"

    return Surroundings(clock or Clock(), get, link, public_url)
