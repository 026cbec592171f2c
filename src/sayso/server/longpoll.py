"""Long polling: each call gets the events after its cursor, or is held until there are some."""

from __future__ import annotations

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.gateway import Batch, Place
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.server.followers import Followers
from sayso.server.permitted import Permitted
from sayso.wire import events_page


def routes(access: Access, followers: Followers) -> list[BaseRoute]:
    async def poll(request: Request) -> Response:
        execution_id = intake.execution_id(request)
        cursor, wait = intake.last_event_id(request), intake.wait(request)
        page = access_of(request, access).call(lambda gateway: whole_page(gateway, execution_id, cursor, wait))
        if wait:
            with followers.one("poll"):
                body = await intake.held(request, page)
        else:
            body = await page
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/poll/human-input", poll), Route("/poll/human-input/{execution_id}", poll)]


async def whole_page(gateway: Permitted, execution_id: str | None, cursor: str | None, wait: float) -> bytes:
    """What comes after the cursor, waited for where there is nothing yet."""
    start, page, batch = await first_page(gateway, execution_id, cursor, wait)
    return await next_page(gateway, batch.place, wait, start.cursor) if page is None else page


async def first_page(
    gateway: Permitted, execution_id: str | None, cursor: str | None, wait: float
) -> tuple[Batch, bytes | None, Batch]:
    """Where it starts, what there is already as a page, and what was read; no page where that may be waited for."""
    start = await gateway.start(execution_id, cursor)
    if start.reset:
        return start, await _fresh_page(gateway, start), start
    batch = await gateway.read(start.place)
    if start.place.open_until and batch.events and not batch.more:
        return start, events_page(batch.events, cursor=start.cursor, more=False, reset=None), batch
    if wait and not batch.events and not batch.reset and not batch.ended:
        return start, None, batch
    return start, await _written(gateway, batch, start.cursor), batch


async def next_page(gateway: Permitted, place: Place, wait: float, cursor: str | None) -> bytes:
    """What comes after `place`, whose cursor that is, waited for."""
    return await _written(gateway, await gateway.read(place, wait=wait), cursor)


async def _written(gateway: Permitted, batch: Batch, cursor: str | None) -> bytes:
    if batch.reset:
        return await _fresh_page(gateway, batch)
    return events_page(batch.events, cursor=_end(batch) or cursor, more=batch.more, reset=None)


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
