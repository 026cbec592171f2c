"""Agents' text is hostile: nothing of it runs, loads, sends, or passes for the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, Request, Route, expect

from sayso import HumanInputServer
from tests.inbox.conftest import Desk, Elsewhere
from tests.inbox.hostile import PAYLOADS

Ask = Callable[..., dict[str, Any]]
_PLAIN = ["DIV", "SPAN", "P", "H3", "H4", "H5", "H6", "UL", "OL", "LI", "BLOCKQUOTE", "STRONG", "EM", "DEL", "BR", "HR"]
_SET = ["A", "CODE", "PRE", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "FIGURE", "FIGCAPTION"]


class Trap:
    """Hears every script of a payload's that runs, and every request to anywhere but the server."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.outside: list[str] = []
        self.enough = asyncio.Event()
        """Set when eight different ones have run, and eight have gone out."""

    async def set(self, context: BrowserContext, own: str) -> None:
        await context.expose_function("ran", lambda what="": self._hear(self.ran, str(what)))
        await context.add_init_script("window.alert = window.ran")

        async def catch(route: Route, request: Request) -> None:
            if request.url.startswith(own):
                await route.continue_()
            else:
                self._hear(self.outside, request.url)
                await route.abort()

        await context.route("**/*", catch)
        context.on("page", lambda page: page.on("popup", lambda popup: self.outside.append(popup.url)))

    def _hear(self, where: list[str], what: str) -> None:
        where.append(what)
        if len(set(self.ran)) >= 8 and len(set(self.outside)) >= 8:
            self.enough.set()


@pytest_asyncio.fixture(loop_scope="session")
async def trap(browser: BrowserContext, server: HumanInputServer) -> AsyncIterator[Trap]:
    trap = Trap()
    await trap.set(browser, server.url)
    yield trap


async def test_the_trap_hears_what_runs_and_what_goes_out(trap: Trap, browser: BrowserContext) -> None:
    """The control: set as HTML in a page without a policy, a good part of the payloads does what it is meant to."""
    page = await browser.new_page()
    await page.evaluate(
        """payloads => payloads.forEach((payload) => {
            const frame = document.createElement("iframe");
            frame.srcdoc = `<!doctype html><body>${payload}`;
            document.body.append(frame);
        })""",
        PAYLOADS[:31],
    )
    async with asyncio.timeout(30):
        await trap.enough.wait()


def _spread(payload: str) -> list[dict[str, Any]]:
    """The payload in every place where an agent can put text."""
    cut = payload.encode()[:900].decode(errors="ignore")
    short = cut[:180]
    common = {"prompt": payload, "title": short, "context": payload, "metadata": {short or "a": payload}}
    agent = {"agent": short, "task": short, short: payload}
    option = {"id": "a", "label": cut, "description": cut}
    schema = {
        "type": "object",
        "title": cut,
        "properties": {
            short: {"type": "string", "title": cut, "description": cut, "default": cut},
            "one": {"enum": [cut, "b"]},
            "many": {"type": "array", "items": {"enum": [cut]}},
            "group": {"type": "object", "title": cut, "properties": {short: {"type": "boolean"}}},
        },
    }
    return [
        {"kind": "review", "context_data": agent, **common},
        {"action": {"name": cut, "args": {short: payload, "nested": {"a": [payload]}}}, "assignees": [cut], **common},
        {"options": [option], "source": {"name": cut, "native": {short: payload}}, **common},
        {"response_schema": schema, **common},
    ]


@pytest.mark.promise("INBOX-1")
async def test_nothing_that_an_agent_writes_runs_or_goes_out(trap: Trap, desk: Desk, elsewhere: Elsewhere) -> None:
    assert len(PAYLOADS) >= 40
    ids = []
    for number, payload in enumerate(PAYLOADS):
        for members in _spread(payload):
            id = elsewhere.ask(execution_id=f"run-{number}", **members)
            if id is not None:  # NUL and the like are refused in some places
                ids.append(id)
    assert len(ids) > 4 * 40
    await desk.open()
    settled = ids[:4]
    for id in settled:
        elsewhere.cancel(id, PAYLOADS[2])
    for id in (*ids, *settled):
        await desk.page.evaluate("id => { location.hash = `#/requests/${id}` }", id)
        await expect(desk.page.locator(f'.detail .tools, [data-row="{id}"]').first).to_be_visible()
        await desk.page.get_by_text("Details", exact=True).evaluate("summary => { summary.parentElement.open = true }")
        assert await _strangers(desk.page) == []
    await desk.press("h", "j", "Enter")
    await expect(desk.heading).to_be_visible()
    assert trap.ran == []
    assert trap.outside == []


async def _strangers(page: Page) -> list[str]:
    """Elements in an agent's prose that have no place there, and links that lead where none may."""
    found: list[str] = await page.evaluate(
        """allowed => {
            const root = document.querySelector("sayso-inbox").shadowRoot;
            const all = [...root.querySelectorAll(".prose *")];
            const strange = all.filter((one) => !allowed.includes(one.tagName)).map((one) => one.tagName);
            const links = all.filter((one) => one.tagName === "A");
            const bad = links.filter((one) => !one.href.startsWith("https:") || !one.rel.includes("noopener"));
            const attributes = all.flatMap((one) => [...one.attributes].map(({ name }) => name));
            const acting = attributes.filter((name) => name.startsWith("on") || ["style", "src", "id"].includes(name));
            return [...strange, ...bad.map((one) => one.outerHTML), ...acting];
        }""",
        [*_PLAIN, *_SET],
    )
    return found


async def test_what_would_not_be_seen_is_shown_by_name(desk: Desk, ask: Ask) -> None:
    id = ask(prompt="Send to \u202ecba\u202c? \u200bYes\ufeff", title="a\u202eb", context_data={"agent": "\u200fX"})[
        "request_id"
    ]
    await desk.open(id)
    said = desk.page.get_by_label("From", exact=False).first
    for name in ("RLO", "PDF", "ZWSP", "BOM"):
        await expect(said.get_by_text(name, exact=True)).to_be_visible()
    await expect(desk.heading).to_have_text("a[RLO]b")
    await expect(desk.row("a[RLO]b")).to_contain_text("[RLM]X")


async def test_a_link_says_where_it_leads_and_only_https_can_be_followed(desk: Desk, ask: Ask) -> None:
    prompt = (
        "[your bank](https://evil.example/bank) [plain](http://evil.example/) [script](javascript:alert(1)) "
        "[letters](https://\u0430\u0440\u0440\u04cf\u0435.com/) [user](https://bank.example@evil.example/)"
    )
    await desk.open(ask(prompt=prompt)["request_id"])
    said = desk.page.locator(".said")
    await expect(said.get_by_role("link")).to_have_count(2)
    link = said.get_by_role("link", name="your bank")
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert await link.get_attribute("target") == "_blank"
    await expect(said.get_by_text("evil.example", exact=True)).to_be_visible()
    await expect(said.get_by_text("xn--80ak6aa92e.com", exact=True)).to_be_visible()


async def test_an_agent_cannot_draw_the_pages_own_controls(desk: Desk, ask: Ask) -> None:
    prompt = '<button class="decision approve">Approve</button>\n\n<section aria-label="Your answer">x</section>'
    await desk.open(ask(kind="review", prompt=prompt, context=prompt)["request_id"])
    await expect(desk.page.get_by_role("button", name="Approve")).to_have_count(1)
    await expect(desk.page.get_by_label("Your answer", exact=True)).to_have_count(1)
    await expect(desk.page.locator(".said").get_by_text("<button")).to_be_visible()


@pytest.mark.promise("SESSION-1")
async def test_the_key_is_nowhere_in_the_page(desk: Desk) -> None:
    from tests.conftest import KEY

    await desk.open()
    kept = await desk.page.evaluate(
        "() => JSON.stringify([document.documentElement.outerHTML, location.href, {...localStorage}, "
        "{...sessionStorage}, document.cookie, document.querySelector('sayso-inbox').shadowRoot.innerHTML])"
    )
    assert KEY not in kept
    assert "sayso_" not in kept
