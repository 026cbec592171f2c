"""Devices that are told by push, over HTTP: what one needs, and how it comes and goes, with the scope read."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.wire import decode_subscription, encode


def routes(access: Access) -> list[BaseRoute]:
    async def push(request: Request) -> Response:
        use = access_of(request, access)
        if request.method != "POST":
            return _json(await use.call(lambda gateway: gateway.push()))
        wanted = decode_subscription(await intake.body(request))
        device, is_new = await use.call(lambda gateway: gateway.subscribe(wanted))
        return _json(device, 201 if is_new else 200)

    async def end(request: Request) -> Response:
        id = request.path_params["id"]
        await access_of(request, access).call(lambda gateway: gateway.unsubscribe(id))
        return Response(status_code=204)

    return [Route("/push", push, methods=["GET", "POST"]), Route("/push/{id}", end, methods=["DELETE"])]


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, {"Cache-Control": "no-store"}, media_type="application/json")
