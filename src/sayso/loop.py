"""Which event loop the server runs on: uvloop's where there is one, which does the same work in half the time."""

from __future__ import annotations

import asyncio

try:
    from uvloop import new_event_loop
except ImportError:  # Windows, or an installation without it
    from asyncio import new_event_loop  # type: ignore[assignment]


def new_loop(*, tls: bool) -> asyncio.AbstractEventLoop:
    """One that nobody runs yet.

    `tls`: it will put TLS on connections that it has accepted, which uvloop has begun to read by then.
    """
    return asyncio.new_event_loop() if tls else new_event_loop()
