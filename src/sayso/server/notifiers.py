"""Notifiers over HTTP: how they stand, a test, and delivering again, for whoever has the scope admin."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.wire import decode_replay, encode


def routes(access: Access) -> list[BaseRoute]:
    async def listed(request: Request) -> Response:
        return _json({"notifiers": await access_of(request, access).call(lambda gateway: gateway.notifiers())})

    async def test(request: Request) -> Response:
        name = request.path_params["name"]
        return _json(await access_of(request, access).call(lambda gateway: gateway.test_notifier(name)))

    async def replay(request: Request) -> Response:
        name, how = request.path_params["name"], decode_replay(await intake.body(request))
        await access_of(request, access).call(lambda gateway: gateway.replay_notifier(name, how.after))
        return Response(status_code=204)

    return [
        Route("/notifiers", listed),
        Route("/notifiers/{name}/test", test, methods=["POST"]),
        Route("/notifiers/{name}/replay", replay, methods=["POST"]),
    ]


def _json(value: Any) -> Response:
    return Response(encode(value), headers={"Cache-Control": "no-store"}, media_type="application/json")
