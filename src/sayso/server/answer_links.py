"""Answer links over HTTP: handed out by whoever may answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.answer_link import ANSWER
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.wire import LinkMade, decode_link_wanted, encode


def routes(access: Access, public_url: str | None) -> list[BaseRoute]:
    """`public_url`: where people reach this server. A `Host` says nothing of that: whoever calls can write one."""

    async def make(request: Request) -> Response:
        request_id, wanted = request.path_params["request_id"], decode_link_wanted(await intake.body(request))
        until = datetime.now(UTC) + timedelta(seconds=wanted.expires_in)
        token = await access_of(request, access).call(lambda gateway: gateway.link(request_id, wanted.owner, until))
        server = quote(request.scope.get("root_path", "")) if public_url is None else public_url
        made = LinkMade(url=f"{server}{ANSWER}?token={token}", token=token, expires_at=until)
        return Response(encode(made), 201, {"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/requests/{request_id}/links", make, methods=["POST"])]
