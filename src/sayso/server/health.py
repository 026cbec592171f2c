"""Whether the server is there. Needs no key, tells nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.wire import encode, timestamp


def routes() -> list[BaseRoute]:
    async def health(request: Request) -> Response:
        body = encode({"status": "healthy", "timestamp": timestamp(datetime.now(UTC))})
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/health", health)]
