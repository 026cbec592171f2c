"""The page stays true: live, through a restart, in many tabs, and for whoever comes by a link."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from sayso import HumanInputServer
from sayso.server import sse
from tests.conftest import KEY
from tests.inbox.conftest import Desk, Elsewhere

Ask = Callable[..., dict[str, Any]]
Sit = Callable[..., Any]


async def test_what_is_asked_and_settled_elsewhere_appears_at_once(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    await desk.open()
    await expect(desk.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    id = ask(title="Ship it?", timeout=3600, priority="urgent")["request_id"]
    await expect(desk.row("Ship it?")).to_contain_text("59 min left")
    await expect(desk.row("Ship it?").get_by_label("urgent priority")).to_be_visible()
    await expect(desk.page).to_have_title("(1) sayso inbox")
    await desk.row("Ship it?").click()
    elsewhere.answer(id, "not on a Friday")
    await expect(desk.page.get_by_label("The answer")).to_contain_text("not on a Friday")
    await expect(desk.rows).to_have_count(0)
    await expect(desk.page).to_have_title("sayso inbox")


async def test_a_restart_of_the_server_is_seen_and_healed_without_a_reload(
    serve: Callable[..., HumanInputServer], sit: Sit, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    first = serve(store=store)
    port = int(first.url.rpartition(":")[2])
    agents = Elsewhere(first.url)
    stays, done = (agents.ask(title=title) for title in ("stays", "answered meanwhile"))
    assert stays and done
    desk = await sit(first.url)
    await desk.open()
    await desk.page.evaluate("() => { window.same = true }")
    await desk.row("stays").click()
    await desk.press("r")
    await desk.write("half a senten")
    await expect(desk.rows).to_have_count(2)

    first.stop()
    await expect(desk.offline).to_be_visible()
    serve(store=store, port=port)
    agents.answer(done, "yes")
    agents.ask(title="asked meanwhile")

    await expect(desk.live).to_be_visible(timeout=30_000)
    await expect(desk.row("asked meanwhile")).to_have_count(1)
    await expect(desk.row("answered meanwhile")).to_have_count(0)
    await expect(desk.row("stays")).to_have_count(1)
    assert await desk.page.evaluate("() => window.same")
    await desk.write("ce")
    await desk.press("Control+Enter")
    await desk.sent()
    assert agents.settled(stays)["answer"]["text"] == "half a sentence"
    agents.close()


async def test_an_answer_given_while_the_server_is_away_is_kept_and_told(
    serve: Callable[..., HumanInputServer], sit: Sit
) -> None:
    server = serve()
    agents = Elsewhere(server.url)
    id = agents.ask(title="Well?")
    agents.close()
    desk = await sit(server.url)
    await desk.open(id)
    server.stop()
    await desk.press("r")
    await desk.write("well")
    await desk.press("Control+Enter")
    await desk.sent()
    for _ in range(5):  # each try of the client's
        await desk.later(20)
    await expect(desk.alert).to_contain_text("The server could not be reached. What you wrote is still here.")
    await desk.button("Show").click()
    await expect(desk.page.get_by_label("Your answer").get_by_role("textbox")).to_have_value("well")


async def test_more_tabs_than_a_browser_opens_connections_share_one_stream(
    sit: Sit, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[object] = []
    begin = sse._blocks
    monkeypatch.setattr(sse, "_blocks", lambda *given: streams.append(given) or begin(*given))
    ask(title="Before you all")
    desks = [await sit() for _ in range(8)]
    for desk in desks:
        await desk.open()
    assert len(streams) == 1
    ask(title="For all of you")
    for desk in desks:
        await expect(desk.row("For all of you")).to_have_count(1)


async def test_a_browser_without_shared_workers_hears_the_stream_as_well(sit: Sit, ask: Ask) -> None:
    desk = await sit()
    await desk.page.add_init_script("delete globalThis.SharedWorker")
    await desk.open()
    ask(title="Heard")
    await expect(desk.row("Heard")).to_have_count(1)


async def test_when_the_key_changes_the_page_asks_for_the_new_one_and_keeps_what_was_written(
    serve: Callable[..., HumanInputServer], sit: Sit, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'kept.db'}"
    first = serve(store=store)
    port = int(first.url.rpartition(":")[2])
    agents = Elsewhere(first.url)
    id = agents.ask(title="Well?")
    agents.close()
    desk = await sit(first.url)
    await desk.open(id)
    await desk.press("r")
    await desk.write("as I said")
    first.stop()
    serve(store=store, port=port, api_key="another-key")
    field = desk.page.get_by_label("Key", exact=True)
    await expect(field).to_be_visible(timeout=30_000)
    await field.fill("wrong")
    await desk.press("Enter")
    await expect(desk.page.get_by_text("That is not the key of this server.")).to_be_visible()
    await field.fill("another-key")
    await desk.press("Enter")
    await desk.live.wait_for()
    await expect(desk.page.get_by_label("Your answer").get_by_role("textbox")).to_have_value("as I said")


async def test_signing_out_asks_for_the_key_again(desk: Desk) -> None:
    await desk.open()
    await desk.button("Menu").click()
    await desk.button("Sign out").click()
    await expect(desk.page.get_by_label("Key", exact=True)).to_be_visible()
    await desk.page.reload()
    await expect(desk.page.get_by_label("Key", exact=True)).to_be_visible()


async def test_a_link_opens_what_it_names_whatever_became_of_it(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    id = ask(title="Long ago")["request_id"]
    elsewhere.answer(id, "yes")
    await desk.open(id)
    await expect(desk.heading).to_have_text("Long ago")
    await expect(desk.page.get_by_label("The answer")).to_contain_text("someone with the key · over HTTP")
    await desk.open("unknown")
    await expect(desk.page.get_by_text("There is no such question")).to_be_visible()


async def test_history_tells_who_answered_what_and_how_and_can_be_searched(
    desk: Desk, ask: Ask, elsewhere: Elsewhere
) -> None:
    for number in range(130):
        agent = {"agent": "Planner" if number % 10 else "Bookkeeper"}
        id = ask(title=f"Question {number}", context_data=agent, execution_id=f"run-{number % 3}")["request_id"]
        elsewhere.answer(id, f"answer {number}")
    given_up = ask(title="Forgotten")["request_id"]
    elsewhere.cancel(given_up, "no longer needed")
    await desk.open()
    await desk.press("h")
    await expect(desk.rows.first).to_contain_text("was given up")
    await desk.page.locator(".list").evaluate("list => { list.scrollTop = list.scrollHeight }")
    await expect(desk.row("Question 31")).to_have_count(1)
    await desk.page.locator(".list").evaluate("list => { list.scrollTop = list.scrollHeight }")
    await expect(desk.row("Question 0")).to_have_count(1)
    await desk.press("/")
    await desk.write('"question 7" agent:planner')
    await desk.later(1)
    await expect(desk.row("Question 77")).to_have_count(1)
    await expect(desk.rows).to_have_count(10)
    await desk.page.get_by_label("Search").fill("agent:bookkeeper run:run-0")
    await desk.later(1)
    await expect(desk.rows).to_have_count(5)
    await desk.page.get_by_label("Search").fill("")
    await desk.button("Filters").click()
    await desk.page.get_by_label("Status").select_option("cancelled")
    await desk.later(1)
    await expect(desk.rows).to_have_count(1)
    await desk.rows.first.click()
    await expect(desk.page.get_by_label("The answer")).to_contain_text("Given up: no longer needed")


async def test_what_waits_can_be_filtered_by_agent_execution_and_age(desk: Desk, ask: Ask) -> None:
    ask(title="One", context_data={"agent": "Planner"}, execution_id="trip")
    ask(title="Two", context_data={"agent": "Bookkeeper"}, execution_id="year")
    ask(title="Three", context_data={"agent": "Bookkeeper"}, execution_id="trip", prompt="about ferries")
    await desk.open()
    await desk.button("Filters").click()
    filters = desk.page.locator("#filters")
    await filters.get_by_label("Agent").select_option("Bookkeeper")
    await expect(desk.rows).to_have_count(2)
    await filters.get_by_label("Execution").select_option("trip")
    await expect(desk.rows).to_have_count(1)
    await desk.page.get_by_label("Search").fill("ferries")
    await expect(desk.row("Three")).to_have_count(1)
    await desk.page.get_by_label("Search").fill("older:1h")
    await expect(desk.page.get_by_text("Nothing fits this search")).to_be_visible()
    await desk.later(2 * 3600)
    await expect(desk.rows).to_have_count(3)


async def test_the_link_and_the_command_that_are_copied_do_what_they_say(
    desk: Desk, ask: Ask, elsewhere: Elsewhere, server: HumanInputServer
) -> None:
    await desk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    request = ask(title="Copy me", options=[{"id": "it's; fine"}, {"id": "no"}])
    await desk.open(request["request_id"])
    await desk.press("l")
    await expect(desk.word).to_contain_text("Link copied")
    assert await desk.page.evaluate("navigator.clipboard.readText()") == (
        f"{server.url}/#/requests/{request['request_id']}"
    )
    await desk.press("c")
    await expect(desk.word).to_contain_text("Command copied")
    command = await desk.page.evaluate("navigator.clipboard.readText()")
    await asyncio.to_thread(
        subprocess.run, ["sh", "-c", f"{command} --silent --fail"], env={"SAYSO_API_KEY": KEY, "PATH": "/usr/bin:/bin"}
    )
    assert elsewhere.settled(request["request_id"])["answer"]["option_ids"] == ["it's; fine"]


async def test_the_first_visitor_can_try_it_with_a_sample(desk: Desk, elsewhere: Elsewhere) -> None:
    await desk.open()
    await expect(desk.page.get_by_text("human_input=True")).to_be_visible()
    await desk.button("Send a sample").click()
    await expect(desk.heading).to_have_text("Announce the new ferry")
    await desk.press("a")
    await desk.sent()
    (listed,) = elsewhere.listed()
    sample = elsewhere.settled(listed["request_id"])  # what the page has sent is on its way
    assert (sample["status"], sample["asked_by"]) == ("answered", "session:default")


async def test_a_person_who_looks_elsewhere_is_notified_once_when_they_want_it(sit: Sit, ask: Ask) -> None:
    desk = await sit()
    await desk.page.context.grant_permissions(["notifications"])
    await desk.page.add_init_script(
        """(() => {
            window.told = [];
            delete window.PushManager;
            const Real = Notification;
            window.Notification = class extends Real {
                constructor(title, options) { super(title, options); window.told.push([title, options.tag]); }
            };
            Object.defineProperty(document, "hasFocus", { value: () => false });
        })()"""
    )
    await desk.open()
    await desk.button("Menu").click()
    await desk.button("Notify this device").click()
    await expect(desk.button("Notifications are on")).to_be_visible()
    id = ask(title="Look \u202ehere")["request_id"]
    await expect(desk.rows).to_have_count(1)
    assert await desk.page.evaluate("window.told") == [["Look [RLO]here", id]]


async def test_the_keys_are_told_and_can_be_turned_off(desk: Desk, ask: Ask) -> None:
    ask(kind="review", title="One")
    await desk.open()
    await desk.press("j", "?")
    dialog = desk.page.get_by_role("dialog")
    for says in ("Approve", "Undo, within 5 s", "Search"):
        await expect(dialog.get_by_text(says)).to_be_visible()
    await dialog.get_by_label("Single keys act").uncheck()
    await desk.press("Escape", "a")
    await expect(desk.rows).to_have_count(1)
    await desk.page.reload()
    await desk.live.wait_for()
    await desk.press("j", "a")
    await expect(desk.rows).to_have_count(1)
    await expect(desk.page.get_by_label("Messages")).to_have_text("")


async def test_a_thousand_waiting_questions_are_a_short_page(desk: Desk, elsewhere: Elsewhere) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: elsewhere.ask(prompt=f"Question {number:04}?"), range(1000)))
    await desk.open()
    await expect(desk.button("Waiting")).to_contain_text("1,000")
    assert await desk.rows.count() < 60
    for _ in range(40):
        await desk.press("j")
    title = str(await desk.heading.text_content())
    await expect(desk.row(title)).to_be_in_viewport()
    await expect(desk.rows.filter(has_text=title)).to_have_attribute("aria-posinset", "40")
    await desk.press("k")
    await expect(desk.heading).not_to_have_text(title)
    await desk.page.locator(".list").evaluate("list => { list.scrollTop = list.scrollHeight }")
    await expect(desk.rows.last).to_have_attribute("aria-posinset", "1000")
    await expect(desk.rows.last).to_be_in_viewport()
    assert await desk.rows.count() < 60
    await desk.page.get_by_label("Search").fill("0500")
    await expect(desk.rows).to_have_count(1)
