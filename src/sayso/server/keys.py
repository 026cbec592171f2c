"""Keys over HTTP: made, listed, rotated, revoked, by whoever has one with the scope admin."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.wire import decode_key_wanted, decode_rotation, encode


def routes(access: Access) -> list[BaseRoute]:
    async def keys(request: Request) -> Response:
        use = access_of(request, access)
        if request.method != "POST":
            return _json({"keys": await use.call(lambda gateway: gateway.keys())})
        wanted = decode_key_wanted(await intake.body(request))
        return _json(await use.call(lambda gateway: gateway.create_key(wanted)), 201)

    async def rotate(request: Request) -> Response:
        id, how = request.path_params["id"], decode_rotation(await intake.body(request))
        return _json(await access_of(request, access).call(lambda gateway: gateway.rotate_key(id, how)), 201)

    async def revoke(request: Request) -> Response:
        id = request.path_params["id"]
        return _json(await access_of(request, access).call(lambda gateway: gateway.revoke_key(id)))

    return [
        Route("/keys", keys, methods=["GET", "POST"]),
        Route("/keys/{id}/rotate", rotate, methods=["POST"]),
        Route("/keys/{id}/revoke", revoke, methods=["POST"]),
    ]


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, {"Cache-Control": "no-store"}, media_type="application/json")
