"""Requests over plain HTTP: ask, list, look (and wait), answer, cancel."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits, tracing
from sayso.errors import Fault, Invalid
from sayso.model import ID_RULE, STATUSES, is_id
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.store import Filter
from sayso.wire import decode_cancellation, decode_question, decode_submission, encode

_CHANNEL: Final = "http"
_ORDERS: Final = ("asked", "newest")
_LAST_POSITION: Final = 2**63 - 1


def routes(access: Access) -> list[BaseRoute]:
    endpoints = _Requests(access)
    return [
        Route("/requests", endpoints.ask_or_list, methods=["GET", "POST"]),
        Route("/requests/{request_id}", endpoints.look, methods=["GET"]),
        Route("/requests/{request_id}/answer", endpoints.answer, methods=["POST"]),
        Route("/requests/{request_id}/cancel", endpoints.cancel, methods=["POST"]),
    ]


class _Requests:
    def __init__(self, access: Access) -> None:
        self._access = access

    async def ask_or_list(self, request: Request) -> Response:
        """One route for both, so that a refused method is told all that there are."""
        return await (self.ask(request) if request.method == "POST" else self.list(request))

    async def ask(self, request: Request) -> Response:
        asked = decode_question(await intake.body(request))
        question = tracing.carrying(asked, request.headers.get(tracing.TRACEPARENT))
        stored, created = await access_of(request, self._access).call(lambda gateway: gateway.ask(question))
        return _json(stored, 201 if created else 200, {"Location": f"{request.url.path}/{stored.request_id}"})

    async def list(self, request: Request) -> Response:
        query = request.query_params
        after = intake.whole_number(query, "after", default=0, least=0, most=_LAST_POSITION)
        limit = intake.whole_number(query, "limit", default=limits.LIST_PAGE, least=1, most=limits.PAGE)
        filter = _filter(request)
        newest = _is_newest_first(request)
        page = await access_of(request, self._access).call(
            lambda gateway: gateway.list(filter, after=after, limit=limit, newest=newest)
        )
        following = None if page.next is None else str(page.next)
        return _json({"requests": page.requests, "next": following, "cursor": page.head_event_id})

    async def look(self, request: Request) -> Response:
        request_id, wait = request.path_params["request_id"], intake.wait(request)
        settled = access_of(request, self._access).call(lambda gateway: gateway.look(request_id, wait=wait))
        return _json(await (intake.held(request, settled) if wait else settled))

    async def answer(self, request: Request) -> Response:
        request_id = request.path_params["request_id"]
        given, context = decode_submission(await intake.body(request)), request.headers.get(tracing.TRACEPARENT)
        return _json(
            await access_of(request, self._access).call(
                lambda gateway: gateway.answer(request_id, given, channel=_CHANNEL, traceparent=context)
            )
        )

    async def cancel(self, request: Request) -> Response:
        request_id = request.path_params["request_id"]
        reason = decode_cancellation(await intake.body(request))
        return _json(
            await access_of(request, self._access).call(
                lambda gateway: gateway.cancel(request_id, reason, channel=_CHANNEL)
            )
        )


def _filter(request: Request) -> Filter:
    """`status` may be given several times, or with commas."""
    given = [one for text in request.query_params.getlist("status") for one in text.split(",")]
    statuses = frozenset(one for one in STATUSES if one in given)
    if len(statuses) < len(set(given)):
        raise Invalid(Fault("/status", f"must be of: {', '.join(STATUSES)}"))
    execution_id = request.query_params.get("execution_id")
    if execution_id is not None and not is_id(execution_id):
        raise Invalid(Fault("/execution_id", ID_RULE))
    return Filter(status=statuses or None, execution_id=execution_id, text=request.query_params.get("q") or None)


def _is_newest_first(request: Request) -> bool:
    order = request.query_params.get("order", _ORDERS[0])
    if order not in _ORDERS:
        raise Invalid(Fault("/order", f"must be of: {', '.join(_ORDERS)}"))
    return order == _ORDERS[1]


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        encode(value), status, {"Cache-Control": "no-store"} | (headers or {}), media_type="application/json"
    )
