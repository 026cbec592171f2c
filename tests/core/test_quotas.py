"""How much one asker may have open at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sayso import limits
from sayso.errors import TooMany
from sayso.gateway import Gateway
from sayso.model import Request, Submission
from sayso.store import Filter
from sayso.store.memory import MemoryStore
from tests.builders import question
from tests.core.slow_store import quiet

_OPEN = Filter(status=frozenset({"pending"}))
WHO = {"by": "key:p", "channel": "http"}


async def _ask(gateway: Gateway, by: str = "key:a", *, capped: bool = True, **members: Any) -> Request:
    stored, _ = await gateway.ask(question(**members), by=by, durable=True, capped=capped)
    return stored


@pytest.mark.promise("CAP-11")
@pytest.mark.parametrize("ends", ["answered", "cancelled", "expired"])
async def test_who_has_too_many_open_asks_again_once_one_is_settled(monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    monkeypatch.setattr(limits, "OPEN_REQUESTS", 2)
    async with (gateway := Gateway(MemoryStore())).running():
        await quiet()
        first = await _ask(gateway, request_id="first")
        await _ask(gateway)
        with pytest.raises(TooMany, match="2 questions open"):
            await _ask(gateway)
        assert (await _ask(gateway, request_id="first")).request_id == "first"  # a repeat is none more
        await _ask(gateway, by="key:b")
        await _ask(gateway, capped=False)
        for request in (first, (await gateway.list(_OPEN)).requests[1]):
            if ends == "answered":
                await gateway.answer(request.request_id, Submission(text="yes"), **WHO)
            elif ends == "cancelled":
                await gateway.cancel(request.request_id, "", **WHO)
            else:
                await gateway.expire(request)
        await _ask(gateway)
        with pytest.raises(TooMany):
            await _ask(gateway)


@pytest.mark.promise("CAP-11")
async def test_who_has_questions_in_too_many_executions_asks_in_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_EXECUTIONS", 2)
    async with (gateway := Gateway(MemoryStore())).running():
        await quiet()
        for execution_id in ("run-1", "run-2", "run-1"):
            await _ask(gateway, execution_id=execution_id)
        with pytest.raises(TooMany, match="2 executions"):
            await _ask(gateway, execution_id="run-3")
        await _ask(gateway, execution_id="run-2")
        await _ask(gateway, by="key:b", execution_id="run-3")


async def test_what_was_open_before_the_start_and_what_others_ask_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_REQUESTS", 2)
    store = MemoryStore()
    async with (gateway := Gateway(store)).running():
        for _ in range(2):
            await _ask(gateway)
    async with (gateway := Gateway(store)).running():
        async with asyncio.timeout(5):
            await gateway._quotas.recount()
        with pytest.raises(TooMany):
            await _ask(gateway)
        other = Gateway(store)
        for request in (await gateway.list(_OPEN)).requests:
            await other.cancel(request.request_id, "", **WHO)
        await gateway._quotas.recount()
        await _ask(gateway)
