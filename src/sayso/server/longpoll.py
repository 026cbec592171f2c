"""Long polling: each call gets the events after its cursor, or is held until there are some."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.gateway import Batch
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.server.permitted import Permitted
from sayso.wire import events_page


def routes(access: Access) -> list[BaseRoute]:
    async def poll(request: Request) -> Response:
        execution_id = intake.execution_id(request)
        cursor, wait = intake.last_event_id(request), intake.wait(request)
        page = access_of(request, access).call(lambda gateway: _page(gateway, execution_id, cursor, wait))
        body = await (intake.held(request, page) if wait else page)
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/poll/human-input", poll), Route("/poll/human-input/{execution_id}", poll)]


async def _page(gateway: Permitted, execution_id: str | None, cursor: str | None, wait: float) -> bytes:
    start = await gateway.start(execution_id, cursor)
    if start.reset:
        return await _fresh_page(gateway, start)
    batch = await gateway.read(start.place)
    if start.place.open_until and batch.events and not batch.more:
        return events_page(batch.events, cursor=start.cursor, more=False, reset=None)
    if not batch.events and wait:
        batch = await gateway.read(batch.place, wait=wait)
    if batch.reset:
        return await _fresh_page(gateway, batch)
    return events_page(batch.events, cursor=_end(batch) or start.cursor, more=batch.more, reset=None)


async def _fresh_page(gateway: Permitted, batch: Batch) -> bytes:
    """The page of a client whose cursor means nothing: what is open, and where to go on from."""
    assert batch.reset is not None  # noqa: S101 - the caller has seen it
    if not batch.place.position:
        return events_page((), cursor=batch.reset.event_id, more=False, reset=batch.reset)
    open = await gateway.read(replace(batch.place, position=0, open_until=batch.place.position))
    cursor = _end(open) if open.more else batch.reset.event_id
    return events_page(open.events, cursor=cursor, more=open.more, reset=batch.reset)


def _end(batch: Batch) -> str | None:
    """The cursor after what was read: an event that was read may not be shown."""
    return batch.cursor or (batch.events[-1].event_id if batch.events else None)
