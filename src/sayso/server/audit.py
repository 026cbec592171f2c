"""The audit over HTTP: JSON lines, a page at a time, in the order in which they are verified."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.errors import Fault, Invalid
from sayso.model import ID_RULE, is_id
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.store import AuditPlace

_MEDIA = "application/jsonl"


def routes(access: Access) -> list[BaseRoute]:
    async def audit(request: Request) -> Response:
        execution_id, after = request.query_params.get("execution_id"), _after(request)
        if execution_id is not None and not is_id(execution_id):
            raise Invalid(Fault("/execution_id", ID_RULE))
        limit = intake.whole_number(request.query_params, "limit", default=limits.PAGE, least=1, most=limits.PAGE)
        entries = await access_of(request, access).call(
            lambda gateway: gateway.audit(execution_id, after=after, limit=limit)
        )
        body = b"".join(entry.line + b"\n" for entry in entries)
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=_MEDIA)

    return [Route("/audit", audit, methods=["GET"])]


def _after(request: Request) -> AuditPlace:
    """`EXECUTION,NUMBER` of the last entry of the page before. Raises Invalid."""
    text = request.query_params.get("after")
    if text is None:
        return AuditPlace()
    execution_id, _, number = text.partition(",")
    if not (is_id(execution_id) and number.isascii() and number.isdigit() and len(number) < 17):
        raise Invalid(Fault("/after", "must be EXECUTION,NUMBER: of the last entry of the page before"))
    return AuditPlace(execution_id, int(number))
