"""Answering: undo, edits, options, forms, several at once, and what happens when someone else was first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from sayso.digest import action_digest
from tests.inbox.conftest import Desk, Elsewhere

Ask = Callable[..., dict[str, Any]]
REVIEW = {"kind": "review", "title": "Announce it", "context": "The ferry sails.\n\nIt costs 40 kr."}
CALL = {"title": "Refund", "action": {"name": "refund", "args": {"amount": 120.5, "to": "Ea"}}}
ADDRESS = {
    "type": "object",
    "required": ["name", "day", "size", "extras", "home"],
    "properties": {
        "name": {"type": "string", "title": "Your name", "minLength": 2},
        "people": {"type": "integer", "minimum": 1, "maximum": 9},
        "weight": {"type": "number"},
        "express": {"type": "boolean"},
        "size": {"enum": ["small", "large"]},
        "day": {"type": "string", "format": "date"},
        "extras": {"type": "array", "items": {"enum": ["gift wrap", "insurance", "signature"]}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "home": {"$ref": "#/$defs/Home"},
    },
    "$defs": {
        "Home": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{4}$"}},
        }
    },
}


@pytest.mark.promise("INBOX-2")
async def test_an_answer_can_be_taken_back_until_it_is_sent(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    id = ask(**REVIEW)["request_id"]
    await desk.open(id)
    await desk.press("a")
    await expect(desk.word).to_contain_text("Approved · Announce it")
    await expect(desk.rows).to_have_count(0)
    await desk.later(4)
    assert elsewhere.look(id)["status"] == "pending"
    await desk.press("u")
    await expect(desk.row("Announce it")).to_have_count(1)
    await desk.later(20)
    assert elsewhere.look(id)["status"] == "pending"

    await desk.press("a")
    await expect(desk.rows).to_have_count(0)
    await desk.sent()
    assert elsewhere.settled(id)["answer"]["decision"] == "approve"


@pytest.mark.promise("INBOX-2")
@pytest.mark.parametrize("leave", ["close", "elsewhere", "reload"])
async def test_an_answer_is_sent_at_once_when_the_page_goes_away(
    desk: Desk, ask: Ask, elsewhere: Elsewhere, leave: str
) -> None:
    id = ask(**REVIEW)["request_id"]
    await desk.open(id)
    await desk.press("x")
    await desk.write("not so")
    await desk.press("Control+Enter")
    await expect(desk.word).to_contain_text("Rejected")
    if leave == "close":
        await desk.page.close(run_before_unload=True)
    elif leave == "elsewhere":
        await desk.page.goto("about:blank")
    else:
        await desk.page.reload()
    answer = elsewhere.settled(id)
    assert (answer["answer"]["decision"], answer["answer"]["text"]) == ("reject", "not so")
    assert answer["settled_channel"] == "inbox"


async def test_an_answer_too_large_to_outlive_the_page_is_not_held_back(
    desk: Desk, ask: Ask, elsewhere: Elsewhere
) -> None:
    id = ask(**REVIEW)["request_id"]
    await desk.open(id)
    await desk.press("e")
    text = "A long text. " * 6_000
    await desk.page.get_by_label("Your text instead of the draft").fill(text)
    await desk.press("Control+Enter")
    assert elsewhere.settled(id)["answer"]["edited"] == text


async def test_a_call_is_edited_as_json_with_its_changes_shown(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    id = ask(**CALL)["request_id"]
    await desk.open(id)
    await expect(desk.page.get_by_label("The call it wants to make")).to_contain_text("refund")
    await desk.press("e")
    field = desk.page.get_by_label("Arguments for refund")
    await expect(field).to_be_focused()
    assert json.loads(await field.input_value()) == CALL["action"]["args"]  # type: ignore[index]
    await field.fill('{"amount": 60.25, ')
    await desk.press("Control+Enter")
    await expect(desk.page.get_by_role("alert").filter(has_text="is not JSON")).to_be_visible()
    await field.fill(json.dumps({"amount": 60.25, "to": "Ea"}, indent=2))
    changes = desk.page.get_by_label("What your edit changes")
    await expect(changes.locator("del")).to_have_text("120.5")
    await expect(changes.locator("ins")).to_have_text("60.25")
    await desk.press("Control+Enter")
    await desk.sent()
    assert elsewhere.settled(id)["answer"]["edited"] == {"amount": 60.25, "to": "Ea"}


async def test_an_option_is_chosen_by_its_number(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    id = ask(options=[{"id": "ebj", "label": "Esbjerg"}, {"id": "hir", "label": "Hirtshals"}])["request_id"]
    await desk.open(id)
    await expect(desk.button("Hirtshals")).to_be_visible()
    await desk.press("2")
    await desk.sent()
    assert elsewhere.settled(id)["answer"]["option_ids"] == ["hir"]


async def test_a_form_is_made_from_its_schema_and_gives_values_of_the_right_types(
    desk: Desk, ask: Ask, elsewhere: Elsewhere
) -> None:
    id = ask(title="Delivery", response_schema=ADDRESS)["request_id"]
    await desk.open(id)
    form = desk.page.get_by_label("Your answer", exact=True)
    await desk.press("r")
    await expect(form.get_by_label("Your name")).to_be_focused()
    await form.get_by_label("Your name").fill("A")
    await form.get_by_label("People").fill("12")
    await form.get_by_label("Weight").fill("1.5")
    await form.get_by_label("Express").select_option("Yes")
    await form.get_by_label("Size").select_option("large")
    await form.get_by_label("insurance").check()
    await form.get_by_label("gift wrap").check()
    await form.get_by_role("group", name="Home").get_by_label("Zip").fill("12")
    await desk.press("Control+Enter")
    await expect(form.locator('.field:has([data-pointer="/day"])').get_by_role("alert")).to_have_text("is needed")
    await expect(form.locator('.field:has([data-pointer="/home/city"])').get_by_role("alert")).to_have_text("is needed")

    await form.get_by_label("Day").fill("2031-02-03")
    await form.get_by_label("City").fill("Esbjerg")
    await desk.press("Control+Enter")
    await desk.sent()
    await expect(desk.alert).to_contain_text("Not sent · Delivery")
    await desk.button("Show").click()
    for pointer in ("/name", "/people", "/home/zip"):
        fault = form.locator(f'.field:has([data-pointer="{pointer}"])').get_by_role("alert")
        await expect(fault).not_to_be_empty()
        await expect(form.locator(f'[data-pointer="{pointer}"]')).to_have_attribute("aria-invalid", "true")
    await expect(form.locator('[data-pointer="/day"]')).not_to_have_attribute("aria-invalid", "true")

    await form.get_by_label("Your name").fill("Anna")
    await form.get_by_label("People").fill("2")
    await form.get_by_label("Zip").fill("6700")
    await desk.press("Control+Enter")
    await desk.sent()
    assert elsewhere.settled(id)["answer"]["values"] == {
        "name": "Anna",
        "people": 2,
        "weight": 1.5,
        "express": True,
        "size": "large",
        "day": "2031-02-03",
        "extras": ["gift wrap", "insurance"],
        "home": {"city": "Esbjerg", "zip": "6700"},
    }


async def test_several_of_one_shape_are_answered_at_once(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    alike = [
        ask(title=f"Pay {number}", action={"name": "pay", "args": {"invoice": number}})["request_id"]
        for number in range(3)
    ]
    other = ask(title="Something else", prompt="What now?")["request_id"]
    await desk.open()
    await expect(desk.rows).to_have_count(4)
    await desk.press("j", "s", "j", "s", "j", "s")
    await expect(desk.heading).to_have_text("3 questions selected")
    await desk.press("j", "s")
    await expect(desk.page.get_by_text("They take different answers")).to_be_visible()
    await desk.press("a")
    await expect(desk.rows).to_have_count(4)
    await desk.press("s")
    await desk.button("Approve 3").click()
    await expect(desk.word).to_contain_text("Approved · Pay 0 and 2 others")
    await desk.sent()
    assert {elsewhere.settled(id)["answer"]["decision"] for id in alike} == {"approve"}
    assert elsewhere.look(other)["status"] == "pending"


async def test_two_browsers_answer_the_same_request_and_the_later_one_learns_who_was_first(
    sit: Callable[..., Any], ask: Ask, elsewhere: Elsewhere
) -> None:
    id = ask(**REVIEW)["request_id"]
    one, other = await sit(apart=True), await sit(apart=True)
    for desk in (one, other):
        await desk.open(id)
    await one.press("x")
    await one.write("It is not true.")
    await one.press("Control+Enter")
    await other.press("e", "Control+a")
    await other.write("Mine.")
    await other.press("Control+Enter")
    await expect(other.word).to_contain_text("Edited")
    await one.sent()
    assert elsewhere.settled(id)["answer"]["decision"] == "reject"
    await expect(other.alert).to_contain_text("Someone was first in the inbox")
    await expect(other.alert).to_contain_text("rejected: “It is not true.”")
    await other.later(6)
    await other.button("Show").click()
    await expect(other.page.get_by_label("The answer")).to_contain_text("Rejected")
    await other.page.get_by_text("What you had written").click()
    await expect(other.page.get_by_label("What you had written")).to_have_text("Mine.")
    assert elsewhere.settled(id)["answer"]["text"] == "It is not true."


async def test_an_answer_that_comes_too_late_is_rolled_back_also_when_no_event_came_first(
    desk: Desk, ask: Ask, elsewhere: Elsewhere
) -> None:
    id = ask(**REVIEW)["request_id"]
    await desk.open(id)
    await desk.page.route(f"**/requests/{id}/answer", lambda route: _settle_first(elsewhere, id, route))
    await desk.press("a")
    await desk.later(6)
    await expect(desk.alert).to_contain_text("Someone with the key was first over HTTP")
    await expect(desk.alert).to_contain_text("“by another road”")


async def _settle_first(elsewhere: Elsewhere, id: str, route: Any) -> None:
    elsewhere.answer(id, "by another road")
    await route.continue_()


@pytest.mark.promise("AUDIT-4")
@pytest.mark.parametrize(
    "press", [("a",), ("x", "Control+Enter"), ("e", "Control+Enter")], ids=["approve", "reject", "edit"]
)
async def test_an_answer_names_the_call_that_was_shown(desk: Desk, ask: Ask, press: tuple[str, ...]) -> None:
    asked = ask(**CALL)
    await desk.open(asked["request_id"])
    sent = desk.page.expect_request(f"**/requests/{asked['request_id']}/answer")
    await desk.press(*press)
    async with sent as said:
        await desk.sent()
    assert (await said.value).post_data_json["action_digest"] == asked["action"]["digest"]


async def test_answers_to_several_calls_name_each_its_own(desk: Desk, ask: Ask, elsewhere: Elsewhere) -> None:
    calls = [ask(**CALL), ask(title="Refund", action={"name": "refund", "args": {"amount": 7, "to": "Bo"}})]
    sent: list[Any] = []
    desk.page.on("request", lambda request: sent.append(request) if request.url.endswith("/answer") else None)
    await desk.open()
    await expect(desk.rows).to_have_count(2)
    await desk.press("j", "s", "j", "s", "a")
    await desk.sent()
    for call in calls:
        assert elsewhere.settled(call["request_id"])["answer"]["decision"] == "approve"
    named = {one.url.split("/")[-2]: one.post_data_json["action_digest"] for one in sent}
    assert named == {call["request_id"]: call["action"]["digest"] for call in calls}


@pytest.mark.promise("AUDIT-4")
async def test_another_call_than_was_shown_is_not_approved_and_is_shown_then(
    desk: Desk, ask: Ask, elsewhere: Elsewhere
) -> None:
    """As where the page is older than a store that was restored, or something on the way is dishonest."""
    id = ask(**CALL)["request_id"]
    shown = {"name": "refund", "args": {"amount": 1.5, "to": "Ea"}}
    shown["digest"] = action_digest("refund", shown["args"])  # type: ignore[arg-type]

    async def lie(route: Any) -> None:
        reply = await route.fetch()
        page = await reply.json()
        page["requests"] = [one | {"action": one["action"] | shown} for one in page["requests"]]
        await route.fulfill(response=reply, json=page)

    await desk.page.route("**/requests?*", lie)
    await desk.open(id)
    call = desk.page.get_by_label("The call it wants to make")
    await expect(call).to_contain_text("1.5")
    await desk.press("a")
    await desk.later(6)
    await expect(desk.alert).to_contain_text("Not sent · Refund")
    await expect(desk.alert).to_contain_text("not the one that was shown here. Look at it again.")
    assert elsewhere.look(id)["status"] == "pending"

    await desk.alert.get_by_role("button", name="Show").click()
    await expect(call).to_contain_text("120.5")
    await desk.press("a")
    await desk.sent()
    assert elsewhere.settled(id)["answer"]["decision"] == "approve"
