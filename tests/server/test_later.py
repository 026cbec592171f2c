"""Timers that many share: each is heard once, not before its time but for a little, and not when it was called off."""

from __future__ import annotations

import asyncio

import pytest

from sayso.server.lane import later
from sayso.server.lane.later import Later


class _Waiting:
    def __init__(self) -> None:
        self.times: list[float] = []
        self._heard = asyncio.Event()

    def time_out(self) -> None:
        self.times.append(asyncio.get_running_loop().time())
        self._heard.set()

    async def heard(self) -> None:
        async with asyncio.timeout(20):
            await self._heard.wait()


@pytest.fixture(params=["shared", "own"])
def long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the waits of these tests count as long ones, which share a timer."""
    monkeypatch.setattr(later, "GRAIN", 0.1)
    monkeypatch.setattr(later, "_LONG", 0.2 if request.param == "shared" else 100.0)


@pytest.mark.usefixtures("long")
async def test_each_is_told_once_and_hardly_before_its_time() -> None:
    loop = asyncio.get_running_loop()
    timers, began = Later(loop), loop.time()
    waits = {0.25: _Waiting(), 0.3: _Waiting(), 0.55: _Waiting()}
    for seconds, who in waits.items():
        timers.after(seconds, who)
    timers.after(0.9, last := _Waiting())
    await last.heard()
    for seconds, who in waits.items():
        (at,) = who.times
        assert at - began >= seconds - 0.11


@pytest.mark.usefixtures("long")
async def test_who_was_called_off_hears_nothing_and_may_wait_again() -> None:
    timers = Later(asyncio.get_running_loop())
    once, again, other = _Waiting(), _Waiting(), _Waiting()
    for who in (once, again):
        timer = timers.after(0.25, who)
        timers.off(timer, who)
        timers.off(timer, who)
    timers.after(0.25, other)
    timers.after(0.35, again)
    timers.after(0.7, last := _Waiting())
    await last.heard()
    assert not once.times
    assert len(again.times) == len(other.times) == 1


async def test_those_of_one_time_share_a_timer_which_is_gone_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "_LONG", 0.0)
    timers = Later(asyncio.get_running_loop())
    many = [_Waiting() for _ in range(100)]
    slots = {timers.after(0.5, who) for who in many}
    assert len(slots) <= 2
    timers.after(1.0, last := _Waiting())
    await last.heard()
    assert all(len(who.times) == 1 for who in many)
    assert not timers._slots
