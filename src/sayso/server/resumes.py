"""What an agent keeps here to go on from a request after it died: put once, read when it runs again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.server import intake
from sayso.server.access import Access, access_of

_MEDIA = "application/octet-stream"


def routes(access: Access) -> list[BaseRoute]:
    async def resume(request: Request) -> Response:
        request_id, use = request.path_params["request_id"], access_of(request, access)
        if request.method != "PUT":
            data = await use.call(lambda gateway: gateway.kept(request_id))
            return Response(data, headers={"Cache-Control": "no-store"}, media_type=_MEDIA)
        execution_id = request.query_params.get("execution_id", "")
        data = await intake.body(request, most=limits.RESUME)
        await use.call(lambda gateway: gateway.keep(execution_id, request_id, data))
        return Response(status_code=204)

    return [Route("/requests/{request_id}/resume", resume, methods=["GET", "PUT"])]
