"""The page of an answer link in a real browser, without JavaScript: what a person sees, writes and presses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from sayso import HumanInputServer
from tests.browser import PATIENCE
from tests.conftest import KEY
from tests.inbox.hostile import PAYLOADS
from tests.inbox.test_accessible import LOOKS, violations
from tests.inbox.test_answering import ADDRESS, CALL, REVIEW
from tests.inbox.test_hostile import Trap, _spread
from tests.links.conftest import OWNER
from tests.server.keyholder import call

pytestmark = pytest.mark.asyncio(loop_scope="session")
Ask = Callable[..., dict[str, Any]]
Link = Callable[..., str]
expect.set_options(timeout=PATIENCE)


@pytest_asyncio.fixture(loop_scope="session")
async def page(chrome: Browser) -> AsyncIterator[Page]:
    """A browser that runs no script, with nobody's cookies."""
    context = await chrome.new_context(java_script_enabled=False, viewport={"width": 360, "height": 640})
    context.set_default_timeout(PATIENCE)
    yield await context.new_page()
    await context.close()


class Case(NamedTuple):
    button: str
    asked: dict[str, Any]
    answer: dict[str, Any]
    label: str = ""
    words: str = ""


REGIONS = [{"id": "eu", "label": "Europe"}, {"id": "us"}]


@pytest.mark.promise("LINK-2")
@pytest.mark.parametrize(
    "case",
    [
        Case("Approve as it is", REVIEW, {"decision": "approve"}),
        Case("Ask for changes", REVIEW, {"text": "shorter\nplease"}, "What to change", "shorter\nplease"),
        Case("Reject", REVIEW, {"decision": "reject", "text": "no"}, "What to change", "no"),
        Case("Approve", CALL, {"decision": "approve"}),
        Case("Reject", CALL, {"decision": "reject", "text": "not him"}, "A remark, or why not", "not him"),
        Case("Send the reply", {"kind": "gate"}, {"decision": "respond", "text": "later"}, "Your reply", "later"),
        Case("Europe", {"options": REGIONS}, {"option_ids": ["eu"], "comment": "x"}, "A remark", "x"),
        Case("Europe", {"kind": "review", "options": REGIONS}, {"option_ids": ["eu"], "text": None}),
        Case("Send", {}, {"decision": "respond", "text": "blue \U0001f6a2"}, "Your answer", "blue \U0001f6a2"),
        Case("Send", {"response_schema": {"type": "array"}}, {"values": [1]}, "Your answer, as JSON", "[1]"),
    ],
)
async def test_each_kind_is_answered(page: Page, ask: Ask, link: Link, server: HumanInputServer, case: Case) -> None:
    id = ask(**case.asked)["request_id"]
    await page.goto(link(id))
    if case.words:
        await page.get_by_label(case.label).fill(case.words)
    await page.get_by_role("button", name=case.button).click()
    await expect(page.get_by_role("heading", name="Your answer was taken")).to_be_visible()
    settled = call("GET", f"{server.url}/requests/{id}", KEY).json()
    assert settled["settled_by"] == f"link:{OWNER}"
    assert {name: settled["answer"][name] for name in case.answer} == case.answer
    await page.goto(page.url)
    await expect(page.get_by_role("heading", name="This question is settled")).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(0)


@pytest.mark.promise("LINK-4")
async def test_a_form_is_filled_in_and_what_is_wrong_stands_where_it_is(
    page: Page, ask: Ask, link: Link, server: HumanInputServer
) -> None:
    id = ask(response_schema=ADDRESS)["request_id"]
    await page.goto(link(id))
    await page.get_by_label("Your name").fill("E")
    await page.get_by_label("people").fill("three")
    await page.get_by_label("size").select_option("large")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_contain_text("people: must be a number")
    await expect(page.get_by_label("people")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("people")).to_have_value("three")
    await expect(page.get_by_label("Your name")).to_have_value("E")
    await page.get_by_label("Your name").fill("Ea")
    await page.get_by_label("people").fill("3")
    await page.get_by_label("express").select_option("No")
    await page.get_by_label("day").fill("2031-05-04")
    await page.get_by_label("extras").fill('["insurance"]')
    await page.get_by_label("home").fill('{"city": "Esbjerg"}')
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("heading", name="Your answer was taken")).to_be_visible()
    assert call("GET", f"{server.url}/requests/{id}", KEY).json()["answer"]["values"] == {
        "name": "Ea",
        "people": 3,
        "express": False,
        "size": "large",
        "day": "2031-05-04",
        "extras": ["insurance"],
        "home": {"city": "Esbjerg"},
    }


async def test_a_draft_and_a_call_can_be_changed(page: Page, ask: Ask, link: Link, server: HumanInputServer) -> None:
    for asked, begins, changed, edited in (
        (REVIEW | {"context": "\n  The ferry\nsails."}, "\n  The ferry\nsails.", "It sails.", "It sails."),
        (CALL, '{\n  "amount": 120.5,\n  "to": "Ea"\n}', '{"amount": 1, "to": "Ea"}', {"amount": 1, "to": "Ea"}),
    ):
        id = ask(**asked)["request_id"]
        await page.goto(link(id))
        await page.get_by_text("Change the").click()
        field = page.get_by_label("Use this instead")
        await expect(field).to_have_value(begins)
        await field.fill("")
        await page.get_by_role("button", name="Use my version").click()
        await expect(page.get_by_role("alert")).to_contain_text("must be")
        await field.fill(changed)
        await page.get_by_role("button", name="Use my version").click()
        await expect(page.get_by_role("heading", name="Your answer was taken")).to_be_visible()
        assert call("GET", f"{server.url}/requests/{id}", KEY).json()["answer"]["edited"] == edited


@pytest.mark.promise("LINK-5")
async def test_nothing_that_an_agent_writes_runs_loads_or_draws_a_control(
    chrome: Browser, ask: Ask, link: Link, server: HumanInputServer
) -> None:
    """With scripts allowed by the browser, and the policy passed over: the page itself has nothing that could act."""
    context = await chrome.new_context(bypass_csp=True)
    context.set_default_timeout(PATIENCE)
    trap = Trap()
    await trap.set(context, server.url)
    page, seen = await context.new_page(), 0
    for payload in PAYLOADS:
        for members in _spread(payload):
            response = call("POST", f"{server.url}/requests", KEY, json={"execution_id": "run-1"} | members)
            if response.status_code != 201:  # NUL and the like are refused in some places
                continue
            request = response.json()
            await page.goto(link(request["request_id"]))
            assert await page.evaluate(_STRANGERS) == [], payload
            seen += 1
    assert seen > 4 * 40
    assert (trap.ran, trap.outside) == ([], [])
    await context.close()


_STRANGERS = """() => [...document.querySelectorAll("*")].filter((one) =>
    ["SCRIPT", "IMG", "IFRAME", "OBJECT", "EMBED", "LINK", "BASE", "A", "IMAGE"].includes(one.tagName.toUpperCase())
    || [...one.attributes].some(({ name }) => /^(on.*|style|src|href|action)$/.test(name))
    || (one.tagName === "BUTTON" && !one.closest("main > form"))
    || (one.tagName === "FORM" && one.parentElement.tagName !== "MAIN")
).map((one) => one.outerHTML)"""


async def test_the_control_knows_a_page_in_which_a_text_has_become_html(chrome: Browser) -> None:
    page = await chrome.new_page()
    for bad in ("<p style='x'>", "<a href=//evil.invalid>x</a>", "<button>Approve</button>", "<script></script>"):
        await page.set_content(f"<main>{bad}<form><button>Send</button></form></main>")
        assert len(await page.evaluate(_STRANGERS)) == 1
    await page.close()


@pytest.mark.promise("LINK-5")
async def test_what_would_not_be_seen_is_shown_by_name(page: Page, ask: Ask, link: Link) -> None:
    request = ask(
        prompt="Send to \u202ecba\u202c? \u200bYes\U000e0041", title="a\u202eb", context_data={"agent": "\u200fX"}
    )
    await page.goto(link(request["request_id"]))
    await expect(page.locator(".prompt")).to_have_text("Send to RLOcbaPDF? ZWSPYesU+E0041")
    await expect(page.locator(".prompt .unseen")).to_have_count(4)
    await expect(page.get_by_role("heading", level=1)).to_have_text("a[RLO]b")
    await expect(page.locator(".facts").first).to_contain_text("[RLM]X")


@pytest.mark.parametrize("look", LOOKS)
async def test_no_state_of_the_page_breaks_a_rule_or_the_sides_of_a_phone(
    chrome: Browser, ask: Ask, link: Link, look: str
) -> None:
    scheme, width, height = LOOKS[look]
    size: Any = {"width": width, "height": height}
    context = await chrome.new_context(bypass_csp=True, color_scheme=scheme, viewport=size)
    page = await context.new_page()
    long = {"prompt": "x" * 500, "execution_id": "y" * 128, "title": "z" * 150, "priority": "urgent", "timeout": 9000}
    urls = [
        link(ask(**asked)["request_id"])
        for asked in (
            REVIEW,
            CALL | long,
            {"options": [{"id": "w" * 90, "description": "why"}]},
            {"response_schema": ADDRESS},
        )
    ]
    found: dict[str, list[str]] = {}

    async def check(state: str) -> None:
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), state
        found[state] = await violations(page)

    for url in urls:
        await page.goto(url)
        await check(url)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Send").click()
    await check("wrong")
    await page.goto(urls[0])
    async with page.expect_navigation():
        await page.get_by_role("button", name="Approve").click()
    await check("taken")
    await page.goto(urls[0])
    await check("settled")
    await page.goto(urls[0][:-1])
    await check("none")
    assert found == {state: [] for state in found}
    await context.close()
