"""Tickets: one stream may be opened with each, once and soon, so that no key need stand in an address."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso import limits
from sayso.server import intake
from sayso.server.access import Access, access_of
from sayso.server.caller import Caller
from sayso.server.lock import Lock
from sayso.signing import read, signed
from sayso.wire import decode_ticket_wanted, encode

_PURPOSE: Final = "ticket"
"""Also the name of the store's secret that tickets are signed with."""


class Ticket(Struct, frozen=True, kw_only=True):
    """What is signed. `execution_id` None: all that the key may see. `key`: the mark of the key it stands for."""

    id: str
    execution_id: str | None
    key: str
    channel: str | None
    until: datetime


class TicketMade(Struct, frozen=True, kw_only=True):
    """A ticket: `?ticket=` on WebSocket and SSE takes it once, until it ends."""

    ticket: str
    expires_at: datetime


class Tickets:
    """Makes tickets, and takes them once, whichever process of the store made them."""

    def __init__(self, access: Access, lock: Lock) -> None:
        self._access = access
        self._lock = lock
        self._secret: bytes | None = None

    async def made(self, caller: Caller, execution_id: str | None) -> TicketMade:
        """One that stands for the caller's key."""
        secret = await self._kept()
        until = datetime.now(UTC) + timedelta(seconds=limits.TICKET)
        ticket = Ticket(
            id=secrets.token_urlsafe(16),
            execution_id=execution_id,
            key=self._lock.mark_of(caller, secret),
            channel=caller.channel,
            until=until,
        )
        return TicketMade(ticket=signed(ticket, _PURPOSE, secret), expires_at=until)

    async def redeemed(self, text: str) -> Caller | None:
        """Who comes with the ticket, for its execution alone; None for one that was used, is over, or is none."""
        secret, now = await self._kept(), datetime.now(UTC)
        ticket = read(text, Ticket, _PURPOSE, secret)
        if ticket is None or ticket.until <= now:
            return None
        caller = await self._lock.stood_for(ticket.key, secret)
        # Only then: whoever made it must be able to come in with it.
        if caller is None or not await self._access.call(lambda gateway: gateway.keys.redeem(ticket.id, ticket.until)):
            return None
        among = caller.among if ticket.execution_id is None else (ticket.execution_id,)
        return replace(caller, among=among, channel=ticket.channel)

    async def _kept(self) -> bytes:
        if self._secret is None:
            self._secret = await self._access.call(lambda gateway: gateway.secret(_PURPOSE))
        return self._secret


def routes(access: Access, tickets: Tickets) -> list[BaseRoute]:
    async def make(request: Request) -> Response:
        execution_id, use = decode_ticket_wanted(await intake.body(request)), access_of(request, access)
        await use.call(lambda gateway: gateway.check_follow(execution_id))
        made = await tickets.made(use.caller, execution_id)
        return Response(encode(made), 201, {"Cache-Control": "no-store"}, media_type="application/json")

    return [Route("/tickets", make, methods=["POST"])]
