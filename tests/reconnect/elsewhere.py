"""Followers that run in Node and in Chromium."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from playwright.async_api import Error as PlaywrightError

from tests.browser import chromium
from tests.conftest import KEY
from tests.reconnect.following import Message, Stream
from tests.runtime.programs import program

_NODE: Final = Path(__file__).parent / "node"

EVENT_SOURCE: Final = """([path, key]) => {
    const source = new EventSource(`/events${path}?token=${key}`);
    source.onmessage = (message) => told(message.data);
}"""
WEB_SOCKET: Final = """([path, key]) => {
    let cursor = "";
    function connect() {
        const socket = new WebSocket(`ws://${location.host}/ws${path}?token=${key}${cursor}`);
        socket.onmessage = (message) => {
            cursor = `&last_event_id=${JSON.parse(message.data).event_id}`;
            told(message.data);
        };
        socket.onclose = () => setTimeout(connect, 100);
    }
    connect();
}"""


def in_node(script: str) -> Callable[[Stream], AsyncIterator[Message]]:
    """The follower in this file; its package comes with `npm ci`, which scripts/test runs."""

    async def follow(stream: Stream) -> AsyncIterator[Message]:
        assert (_NODE / "node_modules").is_dir(), "scripts/test installs the packages of tests/reconnect/node"
        execution = [] if stream.execution_id is None else [stream.execution_id]
        async with program("node", str(_NODE / script), stream.url, KEY, *execution) as running:
            while True:
                yield json.loads(await running.line("{", within=None))

    return follow


def in_chromium(script: str) -> Callable[[Stream], AsyncIterator[Message]]:
    """The follower in a page of the server's own origin."""

    async def follow(stream: Stream) -> AsyncIterator[Message]:
        told: asyncio.Queue[str] = asyncio.Queue()
        async with chromium(bypass_csp=True) as browser:  # what the server answers is no page from which to call
            page = await browser.new_page()
            await page.expose_function("told", told.put_nowait)
            while page.url == "about:blank" or page.url.startswith("chrome-error:"):
                with suppress(PlaywrightError):  # it was cut
                    await page.goto(f"{stream.url}/health")
            await page.evaluate(script, [stream.path, KEY])
            while True:
                yield json.loads(await told.get())

    return follow
