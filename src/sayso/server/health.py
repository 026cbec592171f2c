"""Whether the server is there, and whether it can take questions. Needs no key, tells nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.errors import SaysoError, Unready
from sayso.server.access import Access
from sayso.server.problems import problem_response
from sayso.wire import encode, timestamp

_PATIENCE: Final = 3.0
"""Seconds that a store may take to open (where a mounted app is asked first) before it counts as not open."""


def routes(access: Access) -> list[BaseRoute]:
    async def health(request: Request) -> Response:
        return _state("healthy")

    async def ready(request: Request) -> Response:
        # No error leaves this route: it is asked every few seconds, and each would be logged with its traceback.
        try:
            async with asyncio.timeout(_PATIENCE):
                await access.call(lambda gateway: gateway.check_ready())
        except Unready as unready:
            return problem_response(unready)
        except (SaysoError, TimeoutError):
            return problem_response(Unready("starting", "The store is not open; this node's log says why."))
        return _state("ready")

    return [Route("/health", health), Route("/ready", ready)]


def _state(status: str) -> Response:
    body = encode({"status": status, "timestamp": timestamp(datetime.now(UTC))})
    return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")
