"""Tokens of answer links, as the server itself makes them for what it tells others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sayso import HumanInputServer


def token(server: HumanInputServer, request_id: str, *, owner: str = "cms", hours: float = 1.0) -> str:
    """One that ends in so many hours."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    running: Any = server._running
    made: str = asyncio.run(running.call(lambda gateway: gateway.links.made(request_id, owner, until)))
    return made
