"""The inbox is for everyone: WCAG 2.2 AA by axe-core, in light, in dark and on a phone, in every state of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from sayso import HumanInputServer
from tests.browser import PATIENCE
from tests.conftest import KEY
from tests.inbox.conftest import Desk, Elsewhere
from tests.inbox.test_answering import ADDRESS, CALL, REVIEW

_AXE = Path(__file__).parents[2] / "clients/inbox/node_modules/axe-core/axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
Scheme = Literal["light", "dark"]
LOOKS: dict[str, tuple[Scheme, int, int]] = {
    "light": ("light", 1280, 800),
    "dark": ("dark", 1280, 800),
    "phone": ("light", 320, 640),
}
MARKDOWN = (
    "# Title\n\nText with `code`, **strong** and [a link](https://a.example).\n\n- [x] done\n- [ ] open\n\n"
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n> quoted\n\n<b>html</b> \u202eseen\u202c"
)


_BEYOND = """() => [...document.querySelector("sayso-inbox").shadowRoot.querySelectorAll("*")]
    .filter((one) => one.checkVisibility() && !one.closest("pre, .table, .visually-hidden"))
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.getBoundingClientRect().left < -1)
    .map((one) => `${one.tagName}.${one.className}: ${one.getBoundingClientRect().right}`)"""
"""What reaches over the sides of the window, where nobody can scroll to it."""


async def violations(page: Page) -> list[str]:
    """What axe finds, with where it is."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.add_script_tag(path=_AXE)
    found: dict[str, Any] = await page.evaluate("rules => axe.run({ runOnly: rules })", _RULES)
    assert {"color-contrast", "label", "target-size"} & {one["id"] for one in found["passes"]}, "axe looked at nothing"
    return [
        f"{one['id']}: {node['target']}: {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest_asyncio.fixture(loop_scope="session")
async def seen(request: pytest.FixtureRequest, chrome: Browser, server: HumanInputServer) -> AsyncIterator[Desk]:
    """A desk that axe may look at, in the look that the test names."""
    scheme, width, height = LOOKS[getattr(request, "param", "light")]
    size: Any = {"width": width, "height": height}
    context = await chrome.new_context(bypass_csp=True, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    await context.clock.install()
    yield Desk(await context.new_page(), server.url)
    await context.close()


@pytest.mark.parametrize("seen", LOOKS, indirect=True)
async def test_no_state_of_the_page_breaks_a_rule(seen: Desk, elsewhere: Elsewhere) -> None:
    found: dict[str, list[str]] = {}
    phone = (seen.page.viewport_size or {"width": 0})["width"] < 760

    async def look(state: str) -> None:
        assert await seen.page.evaluate(_BEYOND) == [], state
        found[state] = await violations(seen.page)

    await seen.page.goto(seen.url)
    await seen.page.get_by_label("Key", exact=True).wait_for()
    await look("sign in")
    await seen.open()
    await look("empty")

    first = elsewhere.ask(kind="review", title="Announce it", context="Old.", prompt=MARKDOWN)
    assert first
    elsewhere.answer(first, "newer")
    review = REVIEW | {"prompt": MARKDOWN, "context": MARKDOWN, "round": 2, "previous": first}
    ids = {
        "review": elsewhere.ask(**review, priority="urgent", timeout=200, reason_flags={"ambiguity": True}),
        "call": elsewhere.ask(**CALL, priority="high"),
        "choice": elsewhere.ask(options=[{"id": "a", "description": "why"}, {"id": "b", "style": "danger"}]),
        "form": elsewhere.ask(response_schema=ADDRESS),
        "question": elsewhere.ask(priority="low", timeout=9000),
    }
    await expect(seen.rows).to_have_count(5)
    await look("list")
    for name, id in ids.items():
        await seen.open(id)
        await expect(seen.heading).to_be_visible()
        await look(name)
    await seen.open(ids["review"])
    for view in ("Read", "Source"):
        await seen.button(view).click()
        await look(f"draft: {view}")
    await seen.press("x")
    await look("reject")
    await seen.open(ids["call"])
    await seen.press("e")
    await seen.page.get_by_label("Arguments for refund").fill('{"amount": 1}')
    await look("edit with changes")
    await seen.open(ids["form"])
    await seen.press("r")
    await seen.press("Control+Enter")
    await expect(seen.page.get_by_text("is needed").first).to_be_visible()
    await look("form with faults")
    await seen.open(ids["choice"])
    await seen.press("2")
    await expect(seen.word).not_to_be_empty()
    await look("an answer that is held back")
    await seen.press("u")
    await seen.press("?")
    await look("keys")
    await seen.press("Escape")
    await seen.open(ids["question"])
    if phone:
        await seen.button("Back to the list").click()
    await seen.button("Filters").click()
    await look("filters")
    await seen.button("Filters").click()
    await seen.button("Menu").click()
    await look("menu")
    await seen.press("Escape", "s")
    await look("selected")
    await seen.press("Escape")
    await seen.open(ids["question"])
    await seen.press("r")
    await seen.write("mine")
    await seen.press("Control+Enter")
    assert ids["question"]
    elsewhere.answer(ids["question"], "theirs")
    await expect(seen.alert).to_contain_text("was first")
    await look("someone else was first")
    await seen.button("Show").click()
    await look("settled")
    if phone:
        await seen.button("Back to the list").click()
    await seen.button("History").click()
    await expect(seen.rows.first).to_be_visible()
    await look("history")
    assert len(found) > 15
    assert {state: broken for state, broken in found.items() if broken} == {}


async def test_the_look_finds_what_is_wrong(seen: Desk) -> None:
    """The control: a label that says nothing, and grey on grey, inside the very element."""
    await seen.open(key=KEY)
    await seen.page.evaluate(
        """() => {
            const box = document.createElement("div");
            box.style = "position: fixed; inset: 0 auto auto 0; z-index: 99";
            box.innerHTML = '<button></button><p style="color:#bbb;background:#ccc">grey</p>';
            document.querySelector("sayso-inbox").shadowRoot.append(box);
        }"""
    )
    broken = " ".join(await violations(seen.page))
    assert "button-name" in broken
    assert "color-contrast" in broken


async def test_it_can_be_used_at_320_pixels(seen: Desk, elsewhere: Elsewhere) -> None:
    await seen.page.set_viewport_size({"width": 320, "height": 560})
    id = elsewhere.ask(**REVIEW)
    await seen.open()
    await seen.row("Announce it").click()
    await expect(seen.heading).to_be_visible()
    await expect(seen.rows).to_have_count(0)
    await seen.page.go_back()
    await expect(seen.row("Announce it")).to_be_visible()
    await seen.row("Announce it").click()
    for width in (320, 700):
        await seen.page.set_viewport_size({"width": width, "height": 560})
        box = await seen.page.get_by_role("article").bounding_box()
        assert box is not None
        assert (box["x"], box["width"]) == (0, width)
    await seen.button("Reject").click()
    await seen.page.get_by_label("Why?").fill("no")
    await seen.page.locator(".writing").get_by_role("button", name="Reject").click()
    await seen.sent()
    assert id
    assert elsewhere.settled(id)["answer"]["text"] == "no"


async def test_reduced_motion_moves_nothing(seen: Desk, elsewhere: Elsewhere) -> None:
    await seen.open(elsewhere.ask(**REVIEW))
    await seen.press("a")
    await expect(seen.word).to_contain_text("Approved")
    moving = await seen.page.evaluate(
        """() => [...document.querySelector("sayso-inbox").shadowRoot.querySelectorAll("*")].map(getComputedStyle)
            .filter((style) => style.animationName !== "none" || style.transitionDuration !== "0s").length"""
    )
    assert moving == 0
