"""Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGS: Final = [
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE: Final = 15_000
"""Milliseconds after which a test gives up on what a page should show at once."""


@asynccontextmanager
async def chromium(*, bypass_csp: bool = False) -> AsyncIterator[BrowserContext]:
    """A browser without a window, and in it one person, who has never been here before."""
    async with running() as browser:
        context = await browser.new_context(bypass_csp=bypass_csp)
        context.set_default_timeout(PATIENCE)
        yield context


@asynccontextmanager
async def running() -> AsyncIterator[Browser]:
    """A browser without a window, for as many people as a test wants."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.fail("no Chromium found on PATH; scripts/test installs it on Debian, elsewhere install it yourself")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGS)
        try:
            yield browser
        finally:
            await browser.close()
