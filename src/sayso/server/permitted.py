"""Who may: what each use of the gateway takes, and a gateway that holds a caller to it. Knows no transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sayso import limits
from sayso.audit import Entry
from sayso.errors import Forbidden, NotFound
from sayso.gateway import NO_REQUEST, Batch, Gateway, Place
from sayso.keys import KeyMade, KeyShown, KeyWanted, Rotation, Scope, fits
from sayso.meters import Metric
from sayso.model import HTTP, Question, Request, Submission
from sayso.notifier import NotifierShown, Trial
from sayso.server.caller import Caller
from sayso.store import AuditPlace, Filter, Page
from sayso.subscription import Owner, PushShown, SubscriptionShown, SubscriptionWanted


@dataclass(frozen=True)
class Rule:
    """A use takes one of these scopes; of `own`, one is enough for requests that the caller has asked itself."""

    scopes: frozenset[Scope]
    own: frozenset[Scope] = frozenset()


def _rule(*scopes: Scope, own: Scope | None = None) -> Rule:
    return Rule(frozenset(scopes), frozenset() if own is None else frozenset({own}))


RULES: Final[Mapping[str, Rule]] = {
    "ask": _rule("ask"),
    "look": _rule("read", own="ask"),
    "list": _rule("read"),
    "follow": _rule("read"),
    "answer": _rule("answer"),
    "cancel": _rule("answer", own="ask"),
    "link": _rule("answer"),
    "keep": _rule("ask"),
    "lease": _rule("ask"),
    "keys": _rule("admin"),
    "audit": _rule("admin"),
    "metrics": _rule("metrics"),
    "notify": _rule("admin"),
    "push": _rule("read"),
}
"""Each use of the server. docs/protocol.md has the same table with the addresses."""


OF_LINK: Final = frozenset({"look", "answer"})
"""What whoever comes by an answer link may do, with its request."""


class Permitted:
    """The gateway as one caller may use it. Every use of every transport goes through here.

    Raises Forbidden where the caller's key lacks the scope, or names an execution that it may not see; NotFound where
    that would tell that there is something; Unauthorised when the key ends while a call is held.
    """

    def __init__(self, gateway: Gateway, caller: Caller) -> None:
        self._gateway = gateway
        self._caller = caller

    async def ask(self, question: Question) -> tuple[Request, bool]:
        self._check("ask", question.execution_id)
        channel = self._caller.channel or HTTP
        return await self._gateway.ask(question, by=self._caller.by, channel=channel, durable=True, capped=True)

    async def look(self, request_id: str, *, wait: float) -> Request:
        await self._check_request("look", request_id)
        async with self._held():
            return await self._gateway.settled(request_id, wait=wait)

    async def answer(
        self, request_id: str, given: Submission, *, channel: str, traceparent: str | None = None
    ) -> Request:
        await self._check_request("answer", request_id)
        channel = self._caller.channel or channel
        by = self._caller.by
        return await self._gateway.answer(request_id, given, by=by, channel=channel, traceparent=traceparent)

    async def link(self, request_id: str, owner: str, until: datetime) -> str:
        await self._check_request("link", request_id)
        return await self._gateway.link(request_id, owner, until)

    async def asked_in(self, execution_id: str, *, after: int) -> Page:
        """The requests of an execution that the caller may answer, newest first, a page at a time."""
        self._check("answer", execution_id)
        filter = Filter(execution_id=execution_id, among=self._caller.among)
        return await self._gateway.list(filter, after=after, limit=limits.PAGE, newest=True)

    async def cancel(self, request_id: str, reason: str, *, channel: str) -> Request:
        await self._check_request("cancel", request_id)
        channel = self._caller.channel or channel
        return await self._gateway.cancel(request_id, reason, by=self._caller.by, channel=channel)

    async def list(self, filter: Filter, *, after: int, limit: int, newest: bool) -> Page:
        self._check("list", filter.execution_id)
        visible = replace(filter, among=self._caller.among)
        return await self._gateway.list(visible, after=after, limit=limit, newest=newest)

    async def check_follow(self, execution_id: str | None) -> None:
        """Whether the caller may follow it, told without doing so."""
        self._check("follow", execution_id)

    def may_follow(self, execution_id: str | None) -> bool:
        """The same, as a yes or no."""
        try:
            self._check("follow", execution_id)
        except Forbidden:
            return False
        return True

    async def start(self, execution_id: str | None, last_event_id: str | None) -> Batch:
        self._check("follow", execution_id)
        return await self._gateway.start(execution_id, last_event_id, among=self._caller.among)

    async def begin(self, execution_id: str | None, last_event_id: str | None) -> Batch:
        """`start`, for a stream, which is counted."""
        batch = await self.start(execution_id, last_event_id)
        if last_event_id is not None and not batch.reset:
            self._gateway.counts.resumed()
        return batch

    async def read(self, place: Place, *, wait: float = 0.0) -> Batch:
        async with self._held():
            return await self._gateway.read(place, wait=wait)

    async def keep(self, execution_id: str, request_id: str, data: bytes) -> None:
        self._check("keep", execution_id)
        await self._gateway.keep(execution_id, request_id, data)

    async def kept(self, request_id: str) -> bytes:
        self._check("keep")
        return await self._gateway.kept(request_id, among=self._caller.among)

    async def lease(self, name: str, holder: str, seconds: float) -> None:
        self._check("lease")
        await self._gateway.lease(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        self._check("lease")
        await self._gateway.release(name, holder)

    async def create_key(self, wanted: KeyWanted) -> KeyMade:
        self._check("keys")
        return await self._gateway.keys.create(wanted)

    async def keys(self) -> Sequence[KeyShown]:
        self._check("keys")
        return await self._gateway.keys.list()

    async def rotate_key(self, id: str, how: Rotation) -> KeyMade:
        self._check("keys")
        return await self._gateway.keys.rotate(id, how)

    async def revoke_key(self, id: str) -> KeyShown:
        self._check("keys")
        return await self._gateway.keys.revoke(id)

    async def audit(self, execution_id: str | None, *, after: AuditPlace, limit: int) -> Sequence[Entry]:
        self._check("audit", execution_id)
        return await self._gateway.audit(execution_id, after=after, limit=limit)

    async def metrics(self) -> Sequence[Metric]:
        self._check("metrics")
        return await self._gateway.metrics()

    async def notifiers(self) -> Sequence[NotifierShown]:
        self._check("notify")
        return await self._gateway.notifiers.list()

    async def test_notifier(self, name: str) -> Trial:
        self._check("notify")
        return await self._gateway.notifiers.test(name)

    async def replay_notifier(self, name: str, after: str | None) -> None:
        self._check("notify")
        await self._gateway.notifiers.replay(name, after)

    async def push(self) -> PushShown:
        self._check("push")
        return await self._gateway.push.shown()

    async def subscribe(self, wanted: SubscriptionWanted) -> tuple[SubscriptionShown, bool]:
        self._check("push")
        return await self._gateway.push.subscribe(wanted, self._owner)

    async def unsubscribe(self, id: str) -> None:
        self._check("push")
        await self._gateway.push.unsubscribe(id, self._owner)

    @property
    def _owner(self) -> Owner:
        return Owner(self._caller.name, self._caller.key)

    def _held(self) -> AbstractAsyncContextManager[None]:
        return self._gateway.keys.held(self._caller.key)

    def _check(self, use: str, execution_id: str | None = None) -> None:
        rule = RULES[use]
        if self._caller.scopes.isdisjoint(rule.scopes):
            raise _lacks(rule)
        if execution_id is not None and not fits(execution_id, self._caller.among):
            raise Forbidden("this key may not see that execution")

    async def _check_request(self, use: str, request_id: str) -> None:
        """A request that is not for this caller is, to it, one that is not there."""
        rule, caller = RULES[use], self._caller
        if caller.link is not None:
            if caller.link.request_id != request_id or use not in OF_LINK:
                raise Forbidden("an answer link is for looking at one request and answering it, and nothing else")
            return
        may_all = not caller.scopes.isdisjoint(rule.scopes)
        if not may_all and caller.scopes.isdisjoint(rule.own):
            raise _lacks(rule)
        if may_all and caller.among is None:
            return
        request = await self._gateway.find(request_id)
        if request is None:
            return  # the gateway says so
        if not fits(request.execution_id, caller.among) or not (may_all or caller.has_asked(request)):
            raise NotFound(NO_REQUEST)


def _lacks(rule: Rule) -> Forbidden:
    return Forbidden(f"this key may not do that; it takes one with the scope {' or '.join(sorted(rule.scopes))}")
