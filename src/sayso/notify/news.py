"""What a worker waits for between two looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sayso.gateway import Gateway


def news(gateway: Gateway, stirred: asyncio.Event) -> Callable[[float], Awaitable[object]]:
    """Waits for news of the log, or until it is `stirred`, from this moment on."""
    topic = gateway.topic(None)
    stirred.clear()

    async def wait(seconds: float) -> None:
        if gateway.has_ended_streams:
            await asyncio.Event().wait()  # until it is cancelled, which comes next
        waits = [asyncio.ensure_future(topic.news()), asyncio.ensure_future(stirred.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    return wait
