"""The inbox in a real browser, in front of a real server: what a person sees and presses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from sayso import HumanInputServer
from tests.browser import PATIENCE, running
from tests.conftest import KEY

expect.set_options(timeout=PATIENCE)


class Desk:
    """One person's browser tab with the inbox in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)

    def _listen(self, message: ConsoleMessage) -> None:
        """A policy that was broken says so on the console, as an error."""
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def open(self, request_id: str | None = None, *, key: str | None = KEY) -> None:
        """Opens the page, signs in where that is asked, and waits until it is live."""
        await self.page.goto(f"{self.url}/#/requests/{request_id}" if request_id else f"{self.url}/")
        if key is not None:
            await self.page.get_by_label("Key", exact=True).or_(self.live).wait_for()
            if not await self.live.is_visible():
                await self.page.get_by_label("Key", exact=True).fill(key)
                await self.page.keyboard.press("Enter")
        await self.live.wait_for()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)

    async def write(self, text: str) -> None:
        await self.page.keyboard.insert_text(text)

    @property
    def live(self) -> Locator:
        return self.page.get_by_text("Live", exact=True).locator("visible=true")

    @property
    def offline(self) -> Locator:
        return self.page.get_by_text("Offline", exact=True).locator("visible=true")

    @property
    def heading(self) -> Locator:
        """The title of what is open."""
        return self.page.get_by_role("article").get_by_role("heading", level=2)

    @property
    def rows(self) -> Locator:
        return self.page.get_by_role("navigation").get_by_role("listitem")

    def row(self, title: str) -> Locator:
        return self.rows.filter(has_text=title)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    @property
    def alert(self) -> Locator:
        return self.page.get_by_label("Messages").get_by_role("alert")

    @property
    def word(self) -> Locator:
        return self.page.get_by_label("Messages").get_by_role("status")

    async def later(self, seconds: float) -> None:
        """Moves this browser's clock on."""
        await self.page.clock.fast_forward(int(seconds * 1000))

    async def sent(self) -> None:
        """Lets the time pass in which an answer can be taken back."""
        await expect(self.button("Undo")).not_to_have_count(0)
        await self.later(6)
        await expect(self.button("Undo")).to_have_count(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here share a loop, since they share a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chrome() -> AsyncIterator[Browser]:
    """One browser for all tests: starting it takes longer than most of them."""
    async with running() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chrome: Browser) -> AsyncIterator[BrowserContext]:
    """A person who has never been here before."""
    context = await chrome.new_context()
    context.set_default_timeout(PATIENCE)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sit(chrome: Browser, browser: BrowserContext, server: HumanInputServer) -> AsyncIterator[Callable[[], Any]]:
    """Gives desks, as many as a test wants, in one browser or (`apart`) each in its own; none of them may complain."""
    desks: list[Desk] = []
    others: list[BrowserContext] = []

    async def down(url: str | None = None, *, apart: bool = False) -> Desk:
        context = browser
        if apart:
            others.append(context := await chrome.new_context())
            context.set_default_timeout(PATIENCE)
        if apart or not desks:
            await context.clock.install()
        desks.append(desk := Desk(await context.new_page(), url or server.url))
        return desk

    yield down
    for context in others:
        await context.close()
    assert [complaint for desk in desks for complaint in desk.complaints] == []


@pytest_asyncio.fixture(loop_scope="session")
async def desk(sit: Callable[[], Any]) -> Desk:
    found: Desk = await sit()
    return found


class Elsewhere:
    """What agents and people do without the inbox, over plain HTTP."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    def ask(self, **members: Any) -> str | None:
        """The id of what was asked; None where the server does not take it."""
        response = self._http.post("/requests", json={"execution_id": "run-1", "prompt": "Ship it?"} | members)
        return str(response.json()["request_id"]) if response.status_code == 201 else None

    def answer(self, id: str, text: str) -> None:
        assert self._http.post(f"/requests/{id}/answer", json={"human_feedback": text}).status_code == 200

    def cancel(self, id: str, reason: str) -> None:
        assert self._http.post(f"/requests/{id}/cancel", json={"reason": reason}).status_code == 200

    def look(self, id: str) -> dict[str, Any]:
        request: dict[str, Any] = self._http.get(f"/requests/{id}").json()
        return request

    def listed(self) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = self._http.get("/requests").json()["requests"]
        return requests

    def settled(self, id: str) -> dict[str, Any]:
        """The request once it is settled."""
        request: dict[str, Any] = self._http.get(f"/requests/{id}", params={"wait": 20}).json()
        assert request["status"] != "pending", request
        return request

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def elsewhere(server: HumanInputServer) -> Iterator[Elsewhere]:
    found = Elsewhere(server.url)
    yield found
    found.close()
