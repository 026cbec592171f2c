"""Leases over HTTP: one of many processes does a piece of work, and another takes over when it dies."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.wire import decode_lease


def routes(access: Access) -> list[BaseRoute]:
    async def lease(request: Request) -> Response:
        name, use = request.path_params["name"], access_of(request, access)
        if request.method == "DELETE":
            holder = request.query_params.get("holder", "")
            await use.call(lambda gateway: gateway.release(name, holder))
        else:
            wanted = decode_lease(await intake.body(request))
            await use.call(lambda gateway: gateway.lease(name, wanted.holder, wanted.seconds))
        return Response(status_code=204)

    return [Route("/leases/{name}", lease, methods=["PUT", "DELETE"])]
