"""Calls that race with the end of the loop they go to: each of them is told something."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import Future, wait
from itertools import count

import pytest

from sayso.crossing import Crossing
from sayso.errors import NotReady

ROUNDS = range(10)


async def at_once() -> int:
    return 1


async def never() -> int:
    return await asyncio.get_running_loop().create_future()


def run_until(stopping: asyncio.Event, loop: asyncio.AbstractEventLoop, crossing: Crossing) -> threading.Thread:
    """The loop at work in a thread, as a runtime has it, until `stopping` is set."""

    async def serve() -> None:
        await stopping.wait()
        await crossing.finish()
        await crossing.finish(last=True)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())
        crossing.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("round", ROUNDS)
def test_of_many_calls_that_race_with_the_end_every_one_is_done_afterwards(round: int) -> None:
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    crossing, futures = Crossing(loop), list[Future[int]]()
    thread = run_until(stopping, loop, crossing)
    line_up = threading.Barrier(5)

    def call() -> None:
        line_up.wait(10)
        for number in count(1):
            futures.append(mine := crossing.send(at_once))
            if number % 50 == 0:  # nobody asks for ever without a look at what comes back
                wait([mine], 10)
            if mine.done() and mine.exception() is not None:
                return

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for caller in callers:
        caller.start()
    line_up.wait(10)
    crossing.send(at_once).result(10)
    loop.call_soon_threadsafe(stopping.set)
    for one in (thread, *callers):
        one.join(10)
        assert not one.is_alive()
    assert wait(futures, 10).not_done == set()
    assert {type(one.exception()) for one in futures} <= {type(None), NotReady}
    gc.collect()  # work that was begun and never awaited would be told here


def test_what_gets_stuck_in_a_loop_that_has_ended_is_refused() -> None:
    loop = asyncio.new_event_loop()
    crossing = Crossing(loop)
    stuck = crossing.send(never)
    loop.close()
    assert not stuck.done()
    crossing.close()
    assert isinstance(stuck.exception(0), NotReady)


def test_a_call_that_comes_between_the_end_of_the_loop_and_the_close_is_refused() -> None:
    loop = asyncio.new_event_loop()
    crossing = Crossing(loop)
    loop.close()
    late = crossing.send(at_once)
    crossing.close()
    assert isinstance(late.exception(0), NotReady)


def test_a_closed_crossing_refuses_at_once() -> None:
    loop = asyncio.new_event_loop()
    crossing = Crossing(loop)
    loop.close()
    crossing.close()
    assert isinstance(crossing.send(at_once).exception(0), NotReady)


async def test_cancelling_the_future_cancels_the_work() -> None:
    crossing, begun = Crossing(asyncio.get_running_loop()), asyncio.Event()

    async def work() -> int:
        begun.set()
        return await never()

    future = crossing.send(work)
    async with asyncio.timeout(5):
        await begun.wait()
        assert future.cancel()
        await crossing.finish()
        await crossing.finish(last=True)
    crossing.close()
