"""Every frame that really comes, and every message that is really taken, fits the AsyncAPI document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jsonschema_rs
import pytest
import websockets

from sayso import HumanInputServer
from tests.builders import new_id
from tests.conftest import KEY

Ask = Callable[..., dict[str, Any]]
Message = dict[str, Any]
_HEADERS = {"Authorization": f"Bearer {KEY}"}


class Channels:
    """The document as one who checks what comes and goes. `seen`: which messages of which channel that was."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.seen: set[tuple[str, str]] = set()

    def messages(self, channel: str) -> set[str]:
        return set(self._document["channels"][channel]["messages"])

    def check(self, channel: str, message: Message) -> Message:
        """The message, which is one of those that the channel has. Raises ValidationError."""
        fits = [name for name in self.messages(channel) if self._validator(name).is_valid(message)]
        if not fits:
            one_of = [self._schema(name) for name in sorted(self.messages(channel))]
            self._made({"oneOf": one_of}).validate(message)
        (name,) = fits
        self.seen.add((channel, name))
        return message

    def _validator(self, name: str) -> jsonschema_rs.Draft202012Validator:
        return self._made(self._schema(name))

    def _schema(self, name: str) -> dict[str, Any]:
        schema: dict[str, Any] = self._document["components"]["messages"][name]["payload"]
        return schema

    def _made(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            schema | {"components": self._document["components"]}, validate_formats=True
        )


@pytest.fixture
def channels(client: httpx.Client) -> Channels:
    return Channels(client.get("/asyncapi.json").json())


_QUESTIONS: list[dict[str, Any]] = [
    {"kind": "review", "context": "a draft", "deadline": "2100-01-31T12:00:00Z", "on_timeout": "cancel"},
    {"action": {"name": "send", "args": {"to": ["a"]}, "args_schema": {"type": "object"}}, "priority": "urgent"},
    {"options": [{"id": "a", "label": "A", "style": "danger"}], "default": "a", "assignees": ["ops"]},
    {"response_schema": {"type": "object"}, "default": {"values": {}}, "metadata": {"a": [1, None, 1.5]}},
    {"reason_flags": {"ambiguity": True}, "previous": "earlier", "round": 2},
]


@asynccontextmanager
async def _socket(server: HumanInputServer, path: str, query: str, headers: dict[str, str]) -> AsyncIterator[Any]:
    address = f"{server.url.replace('http', 'ws', 1)}/ws/human-input{path}{query}"
    async with asyncio.timeout(30), websockets.connect(address, additional_headers=headers) as socket:
        yield socket


@pytest.mark.promise("SPEC-2")
@pytest.mark.parametrize(("channel", "path"), [("socket", "/run-1"), ("socketOfAll", "")])
async def test_what_goes_over_a_websocket_is_in_the_document(
    server: HumanInputServer, ask: Ask, channels: Channels, channel: str, path: str
) -> None:
    asked = [ask(**question) for question in _QUESTIONS]

    async with _socket(server, path, "?auth=message", {}) as socket:

        async def send(message: Message) -> None:
            await socket.send(json.dumps(channels.check(channel, message)))

        async def receive() -> Message:
            return channels.check(channel, json.loads(await socket.recv()))

        async def reply(to: Message) -> Message:
            await send(to)
            while (message := await receive())["type"] not in {"answer_accepted", "error"}:
                pass
            return message

        await send({"type": "auth", "token": KEY})
        assert [(await receive())["request_id"] for _ in asked] == [one["request_id"] for one in asked]
        review, approval, choice, form, question = (one["request_id"] for one in asked)
        answer = {"type": "answer", "answer_id": new_id()}
        for taken in (
            answer | {"request_id": review, "decision": "edit", "edited": "a better draft", "comment": "shorter"},
            answer | {"request_id": approval, "decision": "edit", "edited": {"to": []}},
            answer | {"request_id": choice, "option_ids": ["a"]},
            answer | {"request_id": form, "values": {"a": 1}},
            answer | {"request_id": question, "human_feedback": "yes"},
        ):
            assert (await reply(taken))["type"] == "answer_accepted"
        for refused in (
            answer | {"request_id": "unknown", "text": "yes"},
            {"type": "answer", "request_id": form, "text": "again"},
            {"type": "answer", "request_id": review, "comment": "no answer"},
        ):
            assert (await reply(refused))["type"] == "error"
        await socket.send("[")
        assert channels.check(channel, json.loads(await socket.recv()))["problem"]["status"] == 422

    async with _socket(server, path, f"?last_event_id={new_id()}", _HEADERS) as socket:
        assert channels.check(channel, json.loads(await socket.recv()))["type"] == "reset"
    assert {name for _, name in channels.seen} == channels.messages(channel)


@pytest.mark.promise("SPEC-2")
@pytest.mark.parametrize(("channel", "path"), [("stream", "/run-1"), ("streamOfAll", "")])
def test_what_goes_over_server_sent_events_is_in_the_document(
    client: httpx.Client, ask: Ask, channels: Channels, channel: str, path: str
) -> None:
    def read(cursor: str, count: int) -> list[Message]:
        found: list[Message] = []
        with client.stream("GET", f"/events/human-input{path}", params={"last_event_id": cursor}) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    found.append(channels.check(channel, json.loads(line[6:])))
                if len(found) == count:
                    break
        return found

    ids = [ask(**question)["request_id"] for question in _QUESTIONS]
    client.post(f"/requests/{ids[0]}/cancel")
    cursor = client.get("/poll/human-input/run-1").json()["events"][0]["event_id"]
    told = read(cursor, len(ids))
    assert [one["type"] for one in told] == ["human_input_required"] * (len(ids) - 1) + ["human_input_completed"]
    (reset,) = read(new_id(), 1)
    assert reset["type"] == "reset"
    assert {name for _, name in channels.seen} == channels.messages(channel)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "human_input_asked"},
        {"type": "human_input_completed"},
        {"request_id": None},
        {"event_id": "1"},
        {"timestamp": "yesterday"},
        {"seq": 0},
        {"allow": ["maybe"]},
        {"options": {}},
        {"reason_flags": {"ambiguity": "no"}},
    ],
)
def test_a_frame_that_is_none_is_seen(
    client: httpx.Client, ask: Ask, channels: Channels, change: dict[str, Any]
) -> None:
    """The control."""
    ask()
    (event,) = client.get("/poll/human-input/run-1").json()["events"]
    channels.check("socket", event)
    with pytest.raises(jsonschema_rs.ValidationError):
        channels.check("socket", event | change)
    for member in event:
        with pytest.raises(jsonschema_rs.ValidationError):
            channels.check("socket", {name: value for name, value in event.items() if name != member})


def test_a_message_that_the_server_would_refuse_is_seen(channels: Channels) -> None:
    answer = {"type": "answer", "request_id": "one", "text": "yes"}
    channels.check("socket", answer)
    for change in ({"type": "reply"}, {"request_id": ".."}, {"decision": "maybe"}, {"texts": "yes"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            channels.check("socket", answer | change)
    with pytest.raises(jsonschema_rs.ValidationError):
        channels.check("stream", answer)
