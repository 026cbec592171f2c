"""A real crew asks, and a person answers in the inbox with nothing but a keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from playwright.async_api import expect

from sayso import HumanInputServer
from sayso.adapters.crewai import Rejected
from tests.crewai.scripted import ScriptedModel, a_crew
from tests.inbox.conftest import Desk


async def test_a_crew_asks_and_a_person_revises_approves_edits_and_rejects_by_keyboard_alone(
    serve: Callable[..., HumanInputServer], sit: Callable[..., asyncio.Future[Desk]]
) -> None:
    server = serve(adapters=True)
    desk = await sit(server.url)
    await desk.open()

    first = asyncio.create_task(asyncio.to_thread(a_crew(ScriptedModel(), name="Write the news").kickoff))
    await expect(desk.row("Write the news")).to_have_count(1)
    await desk.press("j", "Enter", "r")
    await desk.write("shorter")
    await desk.press("Control+Enter")
    await desk.sent()
    await expect(desk.row("round 2")).to_have_count(1)
    await desk.press("j")
    await expect(desk.page.get_by_label("Draft", exact=True)).to_contain_text("with: shorter")
    await expect(desk.page.get_by_label("Earlier rounds")).to_contain_text("shorter")
    await desk.press("a")
    await desk.sent()
    assert (await first).raw == "draft 2 with: shorter"

    second = asyncio.create_task(asyncio.to_thread(a_crew(ScriptedModel(), name="Write the weather").kickoff))
    await expect(desk.row("Write the weather")).to_have_count(1)
    await desk.press("j", "e", "Control+a")
    await desk.write("It rains.")
    await desk.press("Control+Enter")
    await desk.sent()
    assert (await second).raw == "It rains."

    third = asyncio.create_task(asyncio.to_thread(a_crew(ScriptedModel(), name="Write the sports").kickoff))
    await expect(desk.row("Write the sports")).to_have_count(1)
    await desk.press("j", "x")
    await desk.write("not today")
    await desk.press("Control+Enter")
    await desk.sent()
    (ending,) = await asyncio.gather(third, return_exceptions=True)
    assert isinstance(ending, Rejected)
    assert "not today" in str(ending)

    await desk.press("h")
    await expect(desk.rows).to_have_count(4)
    await expect(desk.row("Write the sports")).to_contain_text("rejected")
    await desk.press("j")
    await expect(desk.page.get_by_label("The answer")).to_contain_text("someone · in the inbox")
