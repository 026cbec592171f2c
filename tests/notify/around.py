"""What carriers find around them, where no server runs."""

from __future__ import annotations

from datetime import datetime

from sayso.clock import Clock
from sayso.model import Request
from sayso.notify.sending import Surroundings


def around(
    *requests: Request, clock: Clock | None = None, public_url: str | None = "https://sayso.example"
) -> Surroundings:
    """A server that has `requests`, whose links read `<request>-<owner>`."""
    known = {request.request_id: request for request in requests}

    async def get(request_id: str) -> Request | None:
        return known.get(request_id)

    async def link(request_id: str, owner: str, until: datetime) -> str:
        return f"{request_id}-{owner}"

    return Surroundings(clock or Clock(), get, link, public_url)
