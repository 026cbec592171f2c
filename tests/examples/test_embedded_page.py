"""The inbox as an element of somebody else's page, in a real browser."""

from __future__ import annotations

import sys

from playwright.async_api import expect

from tests.browser import PATIENCE, chromium
from tests.examples.test_examples import EXAMPLES
from tests.runtime.programs import program

expect.set_options(timeout=PATIENCE)


async def test_a_person_answers_in_the_element_and_the_page_around_it_is_left_alone() -> None:
    command = (sys.executable, str(EXAMPLES / "embedded" / "main.py"), "--port", "0")
    async with program(*command) as running, chromium() as browser:
        url = (await running.line("Open http")).split()[1]
        page = await browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        await page.goto(url)
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        row = page.get_by_role("navigation").get_by_role("listitem")
        await expect(row).to_contain_text("Which harbour comes first?")

        await page.keyboard.press("j")  # not in the element: nothing of its business
        await expect(page.get_by_role("article")).to_have_count(0)
        await row.click()
        gold = "rgb(255, 215, 0)"
        await expect(page.get_by_role("button", name="Hirtshals")).not_to_have_css("background-color", gold)
        await page.get_by_role("button", name="Hirtshals").click()
        assert "Hirtshals" in await running.line("Answered")
        await expect(page).to_have_url(f"{url}/")
        await expect(page).to_have_title("Ferry desk")
        assert complaints == []
