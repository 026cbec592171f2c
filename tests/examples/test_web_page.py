"""The page of the web example in a real browser, as its user sees it: a real crew asks, a person answers."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from tests.browser import PATIENCE, chromium
from tests.examples.test_examples import EXAMPLES
from tests.runtime.programs import program

FIRST = "There is news about the new ferry. It begins on Monday. Everyone is welcome to try it."
SHORTER = "There is news about the new ferry."

expect.set_options(timeout=PATIENCE)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    command = (sys.executable, str(EXAMPLES / "web" / "main.py"), "--port", "0")
    async with program(*command) as running, chromium() as browser:
        url = (await running.line("Open http")).split()[1]
        page = await browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(url)
        yield page
        assert not complaints


async def write_about(page: Page, topic: str = "the new ferry") -> None:
    await page.get_by_label("What is the notice about?").fill(topic)
    await page.get_by_role("button", name="Have it written").click()


async def test_a_person_asks_for_changes_and_approves(page: Page) -> None:
    await write_about(page)
    await expect(page.locator("#draft")).to_have_text(FIRST)
    await page.get_by_label("What should change?").fill("shorter")
    await page.get_by_role("button", name="Ask for changes").click()
    await expect(page.locator("#draft")).to_have_text(SHORTER)
    await expect(page.locator("#title")).to_have_text(re.compile(r"draft 2"))
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("#text")).to_have_text(SHORTER)
    await expect(page.locator("#question")).to_be_hidden()


async def test_a_person_puts_in_their_own_text(page: Page) -> None:
    await write_about(page)
    await page.get_by_label("What should change?").fill("The ferry is back.")
    await page.get_by_role("button", name="Use my text").click()
    await expect(page.locator("#text")).to_have_text("The ferry is back.")


async def test_a_person_stops_the_run_and_starts_another(page: Page) -> None:
    await write_about(page)
    await page.get_by_label("What should change?").fill("not now")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("status")).to_have_text(re.compile("The run ended: rejected by .*: not now"))
    await write_about(page, "the old ferry")
    await expect(page.locator("#draft")).to_have_text(re.compile("the old ferry"))


async def test_an_answer_that_says_nothing_is_refused_and_the_question_stays(page: Page) -> None:
    await write_about(page)
    await expect(page.locator("#draft")).to_have_text(FIRST)
    await page.get_by_role("button", name="Ask for changes").click()
    await expect(page.get_by_role("status")).to_have_text(re.compile("what to change"))
    await expect(page.locator("#draft")).to_be_visible()
