"""Askers, and the people who answer them, cancel, or let them wait until it is too late."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection

from tests.soak.following import ROADS, connected, follow, is_last, path_of, seen_from_now
from tests.soak.world import END, PATIENCE, Case, Message, World

_KIB: Final = 1024
_TEXT: Final = "The ferry leaves at nine. Später? 日本 🚢\r\nBring a coat, since it is windy out there. "
_SCHEMA: Final = {
    "type": "object",
    "required": ["lines"],
    "properties": {"lines": {"type": "integer", "minimum": 0}, "note": {"type": "string"}},
}
_FATES: Final = {
    "by WebSocket": 25,
    "by HTTP": 25,
    "at the inbox": 10,
    "by rivals": 10,
    "repeated": 7,
    "cancelled": 6,
    "withdrawn": 4,
    "expired": 8,
    "late": 5,
}
_MAY_BE: Final = {
    "cancelled": {"cancelled"},
    "withdrawn": {"cancelled"},
    "expired": {"expired", "cancelled"},
    "late": {"answered", "expired", "cancelled"},
}
"""How a request of such a fate ends; all others are answered."""


def _question(world: World) -> tuple[Message, Message]:
    """One of each kind in turn, and an answer to it."""
    text = f"{uuid.uuid4()} {_TEXT * world.chance.randint(1, 20)}"
    amount = world.chance.randint(1, 1_000)
    action = {"name": "refund", "args": {"amount": amount, "to": text[:80]}}
    options = [{"id": f"option-{number}", "label": f"Number {number}"} for number in range(4)]
    kinds: list[tuple[Message, Message]] = [
        ({}, {"human_feedback": text}),
        ({"context": text}, {"text": text}),
        ({"kind": "review", "context": text}, {"decision": "edit", "edited": text[::-1]}),
        ({"kind": "review", "context": text, "round": 2}, {"decision": "respond", "text": text, "comment": text}),
        ({"action": action}, {"decision": "approve"}),
        ({"action": action}, {"decision": "edit", "edited": {"amount": amount + 1, "to": "nobody"}}),
        ({"kind": "gate"}, {"decision": "reject", "comment": text}),
        ({"options": options}, {"option_ids": [f"option-{amount % 4}"]}),
        ({"response_schema": _SCHEMA}, {"values": {"lines": amount, "note": text}}),
    ]
    members, answer = kinds[world.counts["asks"] % len(kinds)]
    return {"prompt": text, "metadata": {"amount": amount}} | members, answer


async def ask_some(world: World) -> None:
    """An execution with a few questions, one after the other, and, most times, with some who follow it."""
    execution_id, count = world.new_execution(), world.chance.randint(1, 5)
    async with asyncio.TaskGroup() as tasks:
        for road in world.chance.sample(ROADS, world.chance.choice((0, 0, 1, 1, 2))):
            breaks = world.chance.choice((None, 2.0))
            tasks.create_task(world.watched(follow(world, road, execution_id, breaks)))
        try:
            for _ in range(count):
                await ask_one(world, execution_id)
        finally:  # what comes next says to those who follow that this was all
            await ask_one(world, execution_id, last=True)
    world.executions[execution_id] = 2 * count + 2
    world.counts["executions"] += 1


async def ask_much(world: World) -> None:
    """An execution with long drafts, all of them waiting at once, for those who read slowly."""
    execution_id = world.new_execution()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            draft = {"context": (_TEXT * 1_200)[: 96 * _KIB]}
            tasks.create_task(ask_one(world, execution_id, fate="by HTTP", **draft))
    world.executions[execution_id] = 20
    world.long = execution_id


async def ask_one(world: World, execution_id: str, *, last: bool = False, fate: str = "", **members: Any) -> None:
    """Asks, waits, and sees that it got what it should."""
    body, answer = _question(world) if not last else ({"prompt": END}, {"human_feedback": END})
    fate = fate or ("by HTTP" if last else world.chance.choices(list(_FATES), list(_FATES.values()))[0])
    body |= {"execution_id": execution_id, "request_id": str(uuid.uuid4())} | members
    if fate in ("expired", "late"):
        body |= {
            "timeout": 1.5,
            "on_timeout": world.chance.choice(("cancel", "reject")) if "action" in body else "cancel",
        }
    request_id = body["request_id"]
    if world.chance.random() < 0.05:
        await world.call(
            *("PUT", f"/requests/{request_id}/resume", 204),
            params={"execution_id": execution_id},
            content=_TEXT.encode() * 100,
            key="crew",
        )
    case = world.cases[request_id] = Case(request_id, fate, answer, asked_at=time.monotonic())
    world.counts["asks"] += 1
    await world.call("POST", "/requests", 201, json=body, key="crew")
    if world.chance.random() < 0.05:
        await world.call("POST", "/requests", 200, json=body, key="crew")
    if fate == "withdrawn":
        await world.rest(world.between(0, 1))
        await world.call("POST", f"/requests/{request_id}/cancel", 200, json={}, key="crew")
    async with asyncio.timeout(PATIENCE):
        settled = await _settled(world, request_id)
    heard_at = time.monotonic()
    assert settled["status"] in _MAY_BE.get(fate, {"answered"}), (fate, settled["status"], settled)
    world.counts[settled["status"]] += 1
    if settled["status"] == "answered":
        answer_id = settled["answer"]["answer_id"]
        assert answer_id in case.sent, (fate, settled["answer"])
        _check_same(settled["answer"], case.sent[answer_id])
        case.won.add(answer_id)
        if fate in ("by WebSocket", "by HTTP", "by rivals", "at the inbox"):
            world.settled_after.append(heard_at - case.answered_at)
    world.leave(case)


async def _settled(world: World, request_id: str) -> Message:
    while True:
        wait = {"wait": str(world.chance.randint(1, 30))}
        request: Message = (await world.call("GET", f"/requests/{request_id}", 200, params=wait, key="crew")).json()
        if request["status"] != "pending":
            return request


def _check_same(answer: Message, sent: Message) -> None:
    """Whether an answer is what was sent."""
    if "human_feedback" in sent:
        assert answer["text"] == sent["human_feedback"]
    for name in ("text", "option_ids", "values", "edited", "decision"):
        assert name not in sent or answer[name] == sent[name], (name, answer, sent)


class Clerk:
    """Follows everything, without a break, and sees to it that each question meets its fate."""

    def __init__(self, world: World, tasks: asyncio.TaskGroup) -> None:
        self._world = world
        self._tasks = tasks
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self.is_there = asyncio.Event()
        """Nothing is missed that is asked from now on."""

    async def work(self) -> None:
        world = self._world
        seen = await seen_from_now(world)
        self.is_there.set()
        async with connected(world, path_of("websocket", None), seen.cursor) as socket:
            while True:
                async with asyncio.timeout(PATIENCE):
                    message: Message = json.loads(await socket.recv())
                heard_at = time.monotonic()
                if message["type"] in ("answer_accepted", "error"):
                    self._replies.pop(message["answer_id"]).set_result(message)
                    continue
                seen.note(message)
                if message["type"] == "human_input_required" and (case := world.cases.get(message["request_id"])):
                    world.told_after.append(heard_at - case.asked_at)
                    self._tasks.create_task(world.watched(self._attend(case, socket)))
                if is_last(message, None):
                    seen.check(world.executions)
                    return

    async def _attend(self, case: Case, socket: ClientConnection) -> None:
        world, fate = self._world, case.fate
        if fate == "late":
            await asyncio.sleep(world.between(1.45, 1.55))
        else:
            await world.rest(world.between(0.05, 3))
        case.answered_at = time.monotonic()
        path = f"/requests/{case.request_id}"
        if fate == "by WebSocket":
            given = case.new_answer()
            self._replies[given["answer_id"]] = reply = asyncio.get_running_loop().create_future()
            await socket.send(json.dumps({"type": "answer", "request_id": case.request_id} | given))
            async with asyncio.timeout(PATIENCE):
                accepted = await reply
            assert accepted["type"] == "answer_accepted", accepted
            case.won.add(given["answer_id"])
        elif fate in ("by HTTP", "late"):
            await self._answer(case, *((200,) if fate == "by HTTP" else (200, 409)))
        elif fate == "by rivals":
            replies = await asyncio.gather(*(self._answer(case, 200, 409) for _ in range(world.chance.randint(2, 8))))
            assert [reply.status_code for reply in replies].count(200) == 1, [one.status_code for one in replies]
        elif fate == "repeated":
            given = case.new_answer()
            for _ in range(2):
                await self._answer(case, 200, given=given)
        elif fate == "at the inbox":
            await self._at_the_inbox(case)
        elif fate == "cancelled":
            await world.call("POST", f"{path}/cancel", 200, json={"reason": "no longer"}, key="ann")
        world.leave(case)

    async def _answer(self, case: Case, *statuses: int, given: Message | None = None) -> httpx.Response:
        given = given or case.new_answer()
        path = f"/requests/{case.request_id}/answer"
        reply = await self._world.call("POST", path, *statuses, json=given, key="ann")
        if reply.status_code == 200:
            case.won.add(given["answer_id"])
        return reply

    async def _at_the_inbox(self, case: Case) -> None:
        """Signs in, looks, answers, signs out."""
        world, given = self._world, case.new_answer()
        page = {"Origin": world.url, "Sec-Fetch-Site": "same-origin"}
        async with httpx.AsyncClient(base_url=world.url, headers=page, timeout=PATIENCE, verify=False) as browser:  # noqa: S501
            begun = await browser.post("/session", json={"key": world.keys["ann"]})
            assert begun.status_code == 200, begun.text
            change = {"X-Sayso-CSRF": begun.json()["csrf"]}
            assert (await browser.get("/")).status_code == 200
            listed = await browser.get("/requests", params={"status": "pending"})
            assert listed.status_code == 200, listed.text
            case.answered_at = time.monotonic()
            reply = await browser.post(f"/requests/{case.request_id}/answer", json=given, headers=change)
            assert reply.status_code == 200, reply.text
            assert reply.json()["settled_by"].startswith("session:")
            case.won.add(given["answer_id"])
            world.counts["sessions"] += 1
            assert (await browser.delete("/session", headers=change)).status_code in (200, 204)
