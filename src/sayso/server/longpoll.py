"""Long polling: each call gets the events after its cursor, or is held until there are some."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.gateway import Batch, Gateway
from sayso.server import intake
from sayso.server.access import Access
from sayso.store import is_whole
from sayso.wire import events_page


def routes(access: Access) -> list[BaseRoute]:
    async def poll(request: Request) -> Response:
        execution_id = intake.execution_id(request)
        cursor, wait = intake.last_event_id(request), intake.wait(request)
        body = await access.call(lambda gateway: _page(gateway, execution_id, cursor, wait))
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/poll/human-input", poll), Route("/poll/human-input/{execution_id}", poll)]


async def _page(gateway: Gateway, execution_id: str | None, cursor: str | None, wait: float) -> bytes:
    start = await gateway.start(execution_id, cursor)
    if start.reset:
        return await _fresh_page(gateway, execution_id, start)
    batch = await gateway.read(start.place)
    if start.place.open_until and batch.events and not batch.more:
        return events_page(batch.events, cursor=start.cursor, more=False, reset=None)
    if not batch.events and wait:
        batch = await gateway.read(batch.place, wait=wait)
    if batch.reset:
        return await _fresh_page(gateway, execution_id, batch)
    last = batch.events[-1].event_id if batch.events else start.cursor
    return events_page(batch.events, cursor=last, more=batch.more, reset=None)


async def _fresh_page(gateway: Gateway, execution_id: str | None, batch: Batch) -> bytes:
    """The page of a client whose cursor means nothing: what is open, and where to go on from."""
    assert batch.reset is not None  # noqa: S101 - the caller has seen it
    events = await gateway.open_events(execution_id, limit=limits.PAGE + 1)
    known = [event for event in events if event.position <= batch.place.position][: limits.PAGE]
    more = not is_whole(events, limits.PAGE + 1)
    cursor = known[-1].event_id if known and more else batch.reset.event_id
    return events_page(known, cursor=cursor, more=more, reset=batch.reset)
