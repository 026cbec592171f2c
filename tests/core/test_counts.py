"""What a gateway counts of its questions: each change once, whoever else tried."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sayso.errors import AlreadySettled
from sayso.gateway import Gateway
from sayso.meters import Spread
from sayso.model import Submission
from sayso.store.memory import MemoryStore
from tests.builders import question
from tests.core.clock import SetClock
from tests.core.slow_store import JitterStore


async def _counted(gateway: Gateway, name: str) -> dict[tuple[str, ...], Any]:
    """What is not zero."""
    (metric,) = [one for one in await gateway.metrics() if one.name == name]
    return {values: value for values, value in metric.samples if value}


@pytest.mark.promise("METRIC-1")
@pytest.mark.parametrize("seed", range(10))
async def test_of_many_who_answer_at_once_one_is_counted(seed: int) -> None:
    async with (gateway := Gateway(JitterStore(seed))).running():
        asked = await asyncio.gather(
            *(gateway.ask(question(request_id="mine"), by="key:a", durable=True) for _ in range(5))
        )
        assert sum(created for _, created in asked) == 1
        answers = [
            gateway.answer("mine", Submission(text=str(number)), by="key:a", channel="http") for number in range(20)
        ]
        ended = await asyncio.gather(*answers, return_exceptions=True)
        assert sum(isinstance(one, AlreadySettled) for one in ended) == 19
        assert await _counted(gateway, "sayso_questions_asked") == {("question", "http"): 1}
        assert await _counted(gateway, "sayso_questions_settled") == {("question", "answered"): 1}


async def test_the_time_to_an_answer_is_that_from_the_question() -> None:
    clock = SetClock()
    async with (gateway := Gateway(MemoryStore(), clock)).running():
        for seconds in (59, 61):
            stored, _ = await gateway.ask(question(), by="key:a", durable=True)
            clock.advance(seconds)
            await gateway.answer(stored.request_id, Submission(text="yes"), by="key:b", channel="inbox")
        later, _ = await gateway.ask(question(), by="key:a", durable=True)
        clock.set_wall(-1)  # somebody puts the machine's clock back
        await gateway.answer(later.request_id, Submission(text="yes"), by="key:b", channel="inbox")
        given_up, _ = await gateway.ask(question(), by="key:a", durable=True)
        await gateway.abandon(given_up.request_id)
        spread = (await _counted(gateway, "sayso_answer_seconds"))[("question", "inbox")]
        assert isinstance(spread, Spread)
        assert dict(zip(spread.bounds, spread.counts, strict=False)) == {
            **dict.fromkeys(spread.bounds, 0),
            1.0: 1,
            60.0: 1,
            300.0: 1,
        }
        assert (spread.sum, sum(spread.counts)) == (120.0, 3)
        assert await _counted(gateway, "sayso_questions_settled") == {
            ("question", "answered"): 3,
            ("question", "cancelled"): 1,
        }
