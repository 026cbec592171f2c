"""A device that is told by push, in Chromium: the switch in the inbox, what is notified, and answers from there.

Chromium without a window reaches no push service: what takes the place of that alone is one of the tests' own, and what
it got is handed to the service worker by the browser's own means (ServiceWorker.deliverPushMessage).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, CDPSession, Worker, expect

from sayso import HumanInputServer
from sayso.notify import push as ours
from tests.inbox.conftest import Desk, Elsewhere
from tests.notify.push_service import Phone, PushService, pushing

Serve = Callable[..., HumanInputServer]

_AT_OUR_SERVICE = """(wanted => {
    let there = null;
    const plain = text => atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = text => Uint8Array.from(plain(text), one => one.charCodeAt(0));
    PushManager.prototype.getSubscription = async () => there;
    PushManager.prototype.subscribe = async options => there = {
        options: { applicationServerKey: bytes(options.applicationServerKey).buffer },
        toJSON: () => wanted,
        unsubscribe: async () => (there = null, true),
    };
})"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(ours, "Push", partial(ours.Push, allow=["127.0.0.0/8"]))
    with pushing(tmp_path) as one:
        yield one
    assert one.faults == []


@pytest.fixture
def server(service: PushService, serve: Serve) -> HumanInputServer:
    return serve()


class Pocket:
    """A phone with the inbox on it, closed or not, and what its push service has for it."""

    def __init__(self, desk: Desk, service: PushService, phone: Phone) -> None:
        self.desk = desk
        self.service = service
        self.phone = phone
        self._delivered = 0

    async def ready(self, session: CDPSession) -> None:
        self._session = session
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def heard(told: dict[str, Any]) -> None:
            for one in told["registrations"]:
                if one["scopeURL"].endswith("/inbox/") and not found.done():
                    found.set_result(one["registrationId"])

        session.on("ServiceWorker.workerRegistrationUpdated", heard)
        await session.send("ServiceWorker.enable")
        self._registration = await asyncio.wait_for(found, 15)

    async def close(self) -> None:
        """Puts the inbox away; its service worker is what is left."""
        context = self.desk.page.context
        elsewhere = await context.new_page()
        await self.ready(await context.new_cdp_session(elsewhere))
        await self.desk.page.close()

    async def receive(self) -> list[dict[str, Any]]:
        """Hands over the next message, and gives what is notified once that is so."""
        await asyncio.to_thread(self.service.until, lambda: len(self.service.got) > self._delivered)
        got = self.service.got[self._delivered]
        self._delivered += 1
        return await self.hand_over(got.message)

    async def hand_over(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        worker = self.worker
        await worker.evaluate("() => { self.heard = new Promise(done => { self.done = done; }); }")
        await worker.evaluate(
            """() => {
                if (self.real) return;
                self.real = ServiceWorkerRegistration.prototype.showNotification;
                ServiceWorkerRegistration.prototype.showNotification = async function (...given) {
                    await self.real.apply(this, given);
                    self.done();
                };
            }"""
        )
        told = {"origin": self.desk.url, "registrationId": self._registration, "data": json.dumps(message)}
        await self._session.send("ServiceWorker.deliverPushMessage", told)
        await asyncio.wait_for(worker.evaluate("() => self.heard"), 20)
        return await self.shown()

    async def answers(self, id: str) -> dict[str, Any]:
        """What the buttons of that notification would send."""
        found: dict[str, Any] = await self.worker.evaluate(
            "async tag => (await registration.getNotifications({ tag }))[0].data.answers", id
        )
        return found

    async def shown(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.worker.evaluate(
            """async () => (await registration.getNotifications()).map(({ title, body, tag, silent, actions }) =>
                ({ title, body, tag, silent, actions: actions.map(({ title }) => title) }))"""
        )
        return found

    async def press(self, id: str, label: str | None) -> list[dict[str, Any]]:
        """A button of the notification about that request, or (None) the notification; then what is notified."""
        await self.worker.evaluate(
            """async ([tag, label]) => {
                const [notification] = await registration.getNotifications({ tag });
                const action = label === null ? "" : notification.actions.find(({ title }) => title === label).action;
                const event = new NotificationEvent("notificationclick", { notification, action });
                const works = [];
                event.waitUntil = work => works.push(work);
                self.dispatchEvent(event);
                await Promise.all(works);
            }""",
            [id, label],
        )
        return await self.shown()

    @property
    def worker(self) -> Worker:
        (worker,) = self.desk.page.context.service_workers
        return worker


@pytest_asyncio.fixture(loop_scope="session")
async def pocket(desk: Desk, browser: BrowserContext, service: PushService) -> AsyncIterator[Pocket]:
    """Signed in, with the switch on."""
    phone = service.phone("ada")
    await browser.grant_permissions(["notifications"])
    await desk.page.add_init_script(f"{_AT_OUR_SERVICE}({json.dumps(phone.wanted)})")
    await desk.open()
    await desk.button("Menu").click()
    await desk.button("Notify this device").click()
    await expect(desk.button("This device is notified")).to_be_visible()
    pocket = Pocket(desk, service, phone)
    await pocket.ready(await browser.new_cdp_session(desk.page))
    yield pocket


CALL = {
    "kind": "approval",
    "prompt": "Refund it?",
    "action": {"name": "refund", "args": {"order": "A-1", "amount": 120}},
}


async def test_an_approval_from_the_notification_settles_the_request_once(pocket: Pocket, elsewhere: Elsewhere) -> None:
    await pocket.close()
    id = elsewhere.ask(title="Refund A-1", context_data={"agent": "Clerk"}, **CALL)
    assert id
    (shown,) = await pocket.receive()
    assert shown == {
        **{"title": "Refund A-1", "tag": id, "silent": False, "actions": ["Approve", "Reject"]},
        "body": 'Clerk\nRefund it?\nrefund({"order":"A-1","amount":120})',
    }
    (shown,) = await pocket.press(id, "Approve")
    assert (shown["title"], shown["body"], shown["actions"]) == ("Refund A-1", "You approved", [])
    settled = elsewhere.settled(id)
    assert (settled["answer"]["decision"], settled["settled_by"], settled["settled_channel"]) == (
        *("approve", "session:default", "inbox"),
    )
    (shown,) = await pocket.receive()  # that it is settled
    assert (shown["body"], shown["silent"]) == ("You approved", True)


async def test_whoever_looks_at_the_inbox_is_told_without_a_sound(pocket: Pocket, elsewhere: Elsewhere) -> None:
    elsewhere.ask(**CALL)
    (shown,) = await pocket.receive()
    assert (shown["silent"], shown["actions"]) == (True, ["Approve", "Reject"])


async def test_what_a_button_sends_is_about_the_call_that_is_shown(pocket: Pocket, elsewhere: Elsewhere) -> None:
    id = elsewhere.ask(title="Refund A-1", **CALL)
    assert id
    await pocket.receive()
    answers = await pocket.answers(id)
    assert {name: one["decision"] for name, one in answers.items()} == {"approve": "approve", "reject": "reject"}
    assert {one["action_digest"] for one in answers.values()} == {elsewhere.look(id)["action"]["digest"]}
    await pocket.press(id, "Reject")
    assert elsewhere.settled(id)["answer"]["decision"] == "reject"


@pytest.mark.promise("PUSH-7")
async def test_whoever_is_second_is_told_who_was_first(pocket: Pocket, elsewhere: Elsewhere) -> None:
    id = elsewhere.ask(kind="review", prompt="Post it?", title="Post", context="Ferry at nine.")
    assert id
    (shown,) = await pocket.receive()
    assert shown["actions"] == ["Approve", "Reject"]
    elsewhere.answer(id, "Say ten.")
    (shown,) = await pocket.press(id, "Approve")
    assert shown["body"] == "Not counted. Responded by someone with the key over HTTP"
    assert (shown["actions"], elsewhere.look(id)["answer"]["text"]) == ([], "Say ten.")


async def test_one_of_two_options_is_chosen_from_the_notification(pocket: Pocket, elsewhere: Elsewhere) -> None:
    options = [{"id": "a", "label": "Now"}, {"id": "b", "label": "Tonight", "description": "when it is quiet"}]
    id = elsewhere.ask(kind="choice", prompt="Deploy when?", options=options)
    assert id
    (shown,) = await pocket.receive()
    assert (shown["actions"], shown["body"]) == (["Now", "Tonight"], "http\nTonight: when it is quiet")
    (shown,) = await pocket.press(id, "Tonight")
    assert shown["body"] == "You responded: Tonight"
    assert elsewhere.settled(id)["answer"]["option_ids"] == ["b"]


@pytest.mark.promise("PUSH-7")
@pytest.mark.parametrize(
    "question",
    [
        CALL | {"action": {"name": "refund", "args": {"why": "x" * 300}}},
        CALL | {"context": "x" * 300},
        CALL | {"context": "\n".join("abcdefgh")},
        CALL | {"prompt": "Read this first. " * 20},
        CALL | {"reason_flags": {"ambiguity": True}},
        {"kind": "form", "response_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"kind": "question", "prompt": "What is its name?"},
        {"kind": "choice", "options": [{"id": id, "label": id} for id in "abc"]},
        {"kind": "choice", "options": [{"id": "a", "label": "x" * 30}, {"id": "b", "label": "b"}]},
    ],
    ids=["arguments", "context", "lines", "prompt", "ambiguous", "form", "question", "three options", "long option"],
)
async def test_what_cannot_be_read_whole_or_takes_words_is_answered_in_the_inbox(
    question: dict[str, Any], pocket: Pocket, elsewhere: Elsewhere
) -> None:
    id = elsewhere.ask(**({"title": "A title"} | question))
    assert id
    (shown,) = await pocket.receive()
    assert (shown["title"], shown["actions"]) == ("A title", [])
    assert await pocket.press(id, None) == []
    await expect(pocket.desk.heading).to_have_text("A title")
    assert elsewhere.look(id)["status"] == "pending"


@pytest.mark.promise("PUSH-7")
async def test_who_is_not_signed_in_sees_the_title_alone_and_answers_nothing(
    pocket: Pocket, elsewhere: Elsewhere, browser: BrowserContext
) -> None:
    first = elsewhere.ask(title="First", **CALL)
    assert first
    await pocket.receive()
    await browser.clear_cookies()
    second = elsewhere.ask(title="Second", **CALL)
    by_tag = {one["tag"]: one for one in await pocket.receive()}
    assert (by_tag[second]["body"], by_tag[second]["actions"]) == ("Open the inbox to see it", [])
    by_tag = {one["tag"]: one for one in await pocket.press(first, "Approve")}
    assert (by_tag[first]["body"], by_tag[first]["actions"]) == ("Sign in to answer", [])
    assert {one["status"] for one in elsewhere.listed()} == {"pending"}


async def test_what_was_answered_elsewhere_is_said_quietly_in_its_place(pocket: Pocket, elsewhere: Elsewhere) -> None:
    id = elsewhere.ask(title="Refund A-1", **CALL)
    assert id
    await pocket.receive()
    elsewhere.answer(id, "")
    (shown,) = await pocket.receive()
    assert shown == {
        **{"title": "Refund A-1", "tag": id, "silent": True, "actions": []},
        "body": "Approved by someone with the key over HTTP",
    }


async def test_an_answer_that_did_not_get_through_can_be_given_again(
    pocket: Pocket, elsewhere: Elsewhere, server: HumanInputServer
) -> None:
    id = elsewhere.ask(title="Refund A-1", **CALL)
    assert id
    await pocket.receive()
    before = await pocket.answers(id)
    server.stop()
    (shown,) = await pocket.press(id, "Approve")
    assert shown["body"].startswith("Not sent: the server cannot be reached")
    assert shown["actions"] == ["Approve", "Reject"]
    assert await pocket.answers(id) == before


def devices(tmp_path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{tmp_path / '0.db'}?mode=ro", uri=True)) as db:
        return [id for (id,) in db.execute("SELECT id FROM subscriptions")]


@pytest.mark.parametrize("way", ["This device is notified", "Sign out"])
async def test_a_device_is_renewed_when_the_page_comes_back_and_ends_with_the_switch(
    way: str, pocket: Pocket, tmp_path: Path
) -> None:
    (id,) = devices(tmp_path)
    async with pocket.desk.page.expect_response(
        lambda response: response.url.endswith("/push") and response.request.method == "POST"
    ) as renewed:
        await pocket.desk.page.reload()
    assert (await renewed.value).status == 200
    assert devices(tmp_path) == [id]
    await pocket.desk.live.wait_for()
    await pocket.desk.button("Menu").click()
    await expect(pocket.desk.button("This device is notified")).to_be_visible()
    async with pocket.desk.page.expect_response(f"**/push/{id}") as ended:
        await pocket.desk.button(way).click()
    assert (await ended.value).status == 204
    assert devices(tmp_path) == []


async def test_where_no_push_can_be_had_the_page_says_so_and_notifies_while_it_is_open(
    desk: Desk, browser: BrowserContext
) -> None:
    """A person of these tests is one that Chromium takes for incognito, so it has no push."""
    await browser.grant_permissions(["notifications"])
    await desk.open()
    await desk.button("Menu").click()
    await desk.button("Notify this device").click()
    await expect(desk.word).to_contain_text("You are notified while this page is open")
    await expect(desk.button("Notifications are on")).to_be_visible()
    assert all("Push API" in complaint for complaint in desk.complaints)  # Chromium's own word on it
    desk.complaints.clear()


async def test_who_refuses_notifications_is_told_where_to_allow_them(desk: Desk) -> None:
    await desk.open()
    await desk.button("Menu").click()
    await desk.button("Notify this device").click()
    await expect(desk.alert).to_contain_text("does not allow notifications")
    await expect(desk.alert).to_contain_text("there it can be allowed")


async def test_the_inbox_can_be_installed(desk: Desk, browser: BrowserContext) -> None:
    """As Chromium judges it."""
    await desk.open()
    session = await browser.new_cdp_session(desk.page)
    manifest = await session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    found = await session.send("Page.getInstallabilityErrors")
    assert [one["errorId"] for one in found["installabilityErrors"]] in ([], ["in-incognito"])
