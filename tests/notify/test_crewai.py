"""The webhooks of crewAI's platform, taken by receivers that do what its documents tell them to."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from sayso.answer_link import RESPOND
from sayso.errors import Misconfigured
from sayso.model import Action, Option, Request, Source
from sayso.notify.crewai import CrewSettings, CrewWebhook, FlowSettings, FlowWebhook
from sayso.notify.sending import Carrier, NotDelivered
from sayso.wire import Event
from tests.builders import answered, asked, completed, request
from tests.notify.around import around
from tests.notify.receiver import Receiver, Reply, receiving

_SECRET = "whsec_your_signing_secret_here"
_ALLOW = ("127.0.0.0/8",)
_FLOW: dict[str, Any] = {
    "execution_id": "run-7",
    "kind": "review",
    "prompt": "Publish?",
    "context": "# Title",
    "options": (Option(id="approved"), Option(id="rejected")),
    "allow": ("respond",),
    "default": {"option_ids": ["rejected"]},
    "metadata": {"source": "cms"},
    "assignees": ("jane@example.com",),
    "context_data": {"flow": "ReviewFlow", "method": "review"},
    "source": Source(
        name="crewai", native={"flow_id": "flow-9", "flow_class": "app.ReviewFlow", "method_name": "review"}
    ),
}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("FLOW_SECRET", _SECRET)
    monkeypatch.setenv("CREW_TOKEN", "canary-token")
    monkeypatch.setenv("CREW_PASSWORD", "canary-password")
    with receiving(is_standard=False) as one:
        yield one


async def _sent(carrier: Carrier, *events: Event) -> None:
    try:
        for event in events:
            await carrier.send(event)
    finally:
        await carrier.close()


def _is_signed(body: bytes, headers: dict[str, str]) -> bool:
    """As the platform's documents have it, with the whole secret as the key."""
    signed = f"{headers['x-crewai-timestamp']}.{body.decode()}"
    expected = hmac.new(_SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", headers["x-crewai-signature"])


def _of(request: Request) -> Event:
    return Event.of(asked(request), position=1, seq=1)


def _flow(receiver: Receiver, *requests: Request, **settings: Any) -> FlowWebhook:
    return FlowWebhook(
        FlowSettings(url=receiver.url, secret="FLOW_SECRET", allow=_ALLOW, **settings), around(*requests)
    )


@pytest.mark.promise("PLATFORM-1")
async def test_a_flows_question_comes_flat_and_signed_with_an_address_to_answer_at(receiver: Receiver) -> None:
    one = request(**_FLOW)
    await _sent(_flow(receiver, one, owner="cms"), _of(one))
    (got,) = receiver.got
    assert _is_signed(got.body, got.headers)
    body = json.loads(got.body)
    assert (body["event_type"], body["id"], body["status"]) == ("new_request", one.request_id, "pending")
    assert (body["flow_id"], body["flow_class"], body["method_name"]) == ("flow-9", "app.ReviewFlow", "review")
    assert (body["message"], body["output"], body["emit"]) == ("Publish?", "# Title", ["approved", "rejected"])
    assert (body["default_outcome"], body["metadata"], body["state"]) == ("rejected", {"source": "cms"}, {})
    assert (body["flow_execution_id"], body["deployment_name"]) == ("run-7", "ReviewFlow")
    assert body["assigned_to_email"] == "jane@example.com"
    path = RESPOND.format(request_id=one.request_id)
    assert body["response_token"] == f"{one.request_id}-cms"
    assert body["callback_url"] == f"https://sayso.example{path}?token={body['response_token']}"


@pytest.mark.promise("PLATFORM-2")
@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"token": "CREW_TOKEN"}, "Bearer canary-token"),
        ({"username": "me", "password": "CREW_PASSWORD"}, f"Basic {b64encode(b'me:canary-password').decode()}"),
        ({}, None),
    ],
    ids=["bearer", "basic", "neither"],
)
async def test_a_crews_question_names_its_run_and_task(
    settings: dict[str, str], header: str | None, receiver: Receiver
) -> None:
    one = request(
        execution_id="run-7",
        task_id="9b2e0a52-5f0e-4a39-9f0f-000000000001",
        kind="review",
        context="A draft",
        context_data={"agent": "Writer", "task": "write", "crew": "press"},
    )
    await _sent(CrewWebhook(CrewSettings(url=receiver.url, allow=_ALLOW, **settings), around(one)), _of(one))
    (got,) = receiver.got
    assert got.headers.get("authorization") == header
    assert got.event == {
        **{"execution_id": "run-7", "kickoff_id": "run-7", "task_id": one.task_id, "task_name": "write"},
        **{"crew_name": "press", "agent": "Writer", "message": "Ship it?", "task_output": "A draft"},
    }


async def test_nothing_is_told_of_what_waits_no_longer_of_its_end_nor_of_a_tool_call(receiver: Receiver) -> None:
    """A receiver takes whatever comes for a question that waits for it."""
    gone, open_ = answered(request()), request()
    end = Event.of(completed(gone), position=2, seq=2)
    call = request(kind="approval", action=Action(name="pay"))
    await _sent(_flow(receiver, gone, call, open_), _of(gone), end, _of(request()), _of(call), _of(open_))
    (got,) = receiver.got
    assert got.event["id"] == open_.request_id


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (CrewSettings(url="https://a.example", token="CREW_TOKEN", username="me"), "one of them"),
        (CrewSettings(url="https://a.example", token="NOT_SET"), "NOT_SET is not set"),
        (CrewSettings(url="https://a.example", username="me"), "password"),
        (CrewSettings(url="ftp://a.example"), "url"),
        (FlowSettings(url="https://a.example", secret="NOT_SET"), "NOT_SET is not set"),
        (FlowSettings(url="https://a.example", secret="FLOW_SECRET", owner="a b\n"), "owner"),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_settings_is_said(
    settings: CrewSettings | FlowSettings, said: str, receiver: Receiver
) -> None:
    with pytest.raises(Misconfigured, match=said) as told:
        FlowWebhook(settings, around()) if isinstance(settings, FlowSettings) else CrewWebhook(settings, around())
    assert "canary" not in str(told.value)


def test_a_flows_webhook_needs_to_know_where_people_reach_the_server(receiver: Receiver) -> None:
    with pytest.raises(Misconfigured, match="--public-url"):
        FlowWebhook(FlowSettings(url="https://a.example", secret="FLOW_SECRET"), around(public_url=None))


async def test_a_receiver_that_fails_is_told_again(receiver: Receiver) -> None:
    one = request(**_FLOW)
    receiver.reply = lambda event: Reply(500)
    carrier = _flow(receiver, one)
    with pytest.raises(NotDelivered, match="500"):
        await carrier.send(_of(one))
    receiver.reply = lambda event: Reply(200)
    await _sent(carrier, _of(one))
    assert [got.event["id"] for got in (*receiver.refused, *receiver.got)] == [one.request_id] * 2
