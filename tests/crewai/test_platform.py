"""What was written for crewAI's commercial platform, at a server of one's own: real crews and flows, its shapes."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback

from sayso import HumanInputServer
from sayso.adapters.crewai import execution
from tests.conftest import KEY
from tests.crewai.person import LONGEST
from tests.crewai.scripted import ScriptedModel, a_crew
from tests.daemons import free_port
from tests.notify.receiver import Receiver, receiving

_SECRET = "whsec_your_signing_secret_here"
Aside = Callable[..., Future[Any]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(is_standard=False) as one:
        yield one


@pytest.fixture
def platform(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HumanInputServer]:
    """A server that tells the receiver of flows and crews as the platform does."""
    monkeypatch.setenv("HITL_SECRET", _SECRET)
    monkeypatch.setenv("HITL_TOKEN", "your-webhook-secret-token")
    file = tmp_path / "notify.toml"
    target = f'url = "{receiver.url}"\nallow = ["127.0.0.1"]\n'
    file.write_text(
        f'[[notifier]]\nname = "flows"\nkind = "crewai-flow"\nsecret = "HITL_SECRET"\nowner = "cms"\n{target}'
        'rules = [{executions = ["flow-*"]}]\n'
        f'[[notifier]]\nname = "crews"\nkind = "crewai-crew"\ntoken = "HITL_TOKEN"\n{target}'
        'rules = [{executions = ["crew-*"]}]\n'
    )
    port = free_port()
    with HumanInputServer(
        port=port,
        api_key=KEY,
        store=f"sqlite:///{tmp_path / 'log.db'}",
        notify=file,
        public_url=f"http://localhost:{port}",
        quiet=True,
    ) as server:
        guard = threading.Timer(12 * LONGEST, server.stop)
        guard.start()
        yield server
        guard.cancel()


class Review(Flow[Any]):
    @start()
    @human_feedback(message="Publish?", emit=["approved", "rejected"], llm="gpt-4o-mini", default_outcome="rejected")
    def article(self) -> str:
        return "# Title"

    @listen("approved")
    def publish(self, result: Any) -> str:
        return f"published: {result.feedback}"

    @listen("rejected")
    def archive(self, result: Any) -> str:
        return "archived"


def _came(receiver: Receiver, count: int) -> Any:
    receiver.until(lambda: len(receiver.got) >= count)
    return receiver.got[count - 1]


@pytest.mark.promise("PLATFORM-3")
def test_a_receiver_written_for_the_platform_answers_a_flow(
    platform: HumanInputServer, receiver: Receiver, aside: Aside
) -> None:
    def run() -> Any:
        with execution("flow-1"):
            return Review().kickoff()

    ended = aside(run)
    got = _came(receiver, 1)
    signed = f"{got.headers['x-crewai-timestamp']}.{got.body.decode()}"
    expected = hmac.new(_SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    assert hmac.compare_digest(f"sha256={expected}", got.headers["x-crewai-signature"])
    assert abs(time.time() - int(got.headers["x-crewai-timestamp"])) < 300
    payload = json.loads(got.body)
    assert (payload["method_name"], payload["output"], payload["emit"]) == (
        "article",
        "# Title",
        ["approved", "rejected"],
    )
    answer = {"feedback": "approved", "source": "auto_approver"}
    first = httpx.post(payload["callback_url"], json=answer)
    assert first.status_code == 200, first.text
    assert ended.result(LONGEST) == "published: approved"
    told = first.json()
    assert told["status"] == "accepted"
    assert told["request"] | {"responded_at": ""} == {
        **{"id": payload["id"], "status": "responded", "feedback": "approved", "outcome": "approved"},
        **{"responded_at": "", "responded_via": "auto_approver"},
    }
    second = httpx.post(payload["callback_url"], json={"feedback": "rejected"})
    assert (second.status_code, second.json()["error"]) == (409, "already_responded")
    assert told["request"]["responded_at"] in second.json()["message"]
    request = httpx.get(f"{platform.url}/requests/{payload['id']}", headers={"Authorization": f"Bearer {KEY}"}).json()
    assert (request["settled_by"], request["answer"]["comment"]) == ("link:cms", "via auto_approver")


@pytest.mark.promise("PLATFORM-4")
def test_a_crew_is_resumed_as_at_the_platform(platform: HumanInputServer, receiver: Receiver, aside: Aside) -> None:
    """A no has the agent work again, and the next webhook comes; a yes lets the run go on."""

    def run() -> str:
        with execution("crew-1"):
            return str(a_crew(ScriptedModel(), name="research_task").kickoff())

    def resume(**members: Any) -> httpx.Response:
        call = {"execution_id": "crew-1", "task_id": "research_task", "human_feedback": "shorter", "is_approve": False}
        call |= {"taskWebhookUrl": "https://your-server.com/webhooks/task"}
        return httpx.post(f"{platform.url}/resume", json=call | members, headers={"Authorization": f"Bearer {KEY}"})

    ended = aside(run)
    first = _came(receiver, 1)
    assert first.headers["authorization"] == "Bearer your-webhook-secret-token"
    assert (first.event["execution_id"], first.event["task_name"]) == ("crew-1", "research_task")
    assert first.event["task_output"] == "draft 1"
    assert resume(task_id="another").status_code == 404
    assert resume(execution_id="crew-2").status_code == 404
    again = resume(task_id=first.event["task_id"])
    assert (again.status_code, again.json()["status"]) == (200, "retrying"), again.text
    assert _came(receiver, 2).event["task_output"] == "draft 2 with: shorter"
    done = resume(is_approve=True, human_feedback="Great work!")
    assert (done.status_code, done.json()["status"]) == (200, "resumed"), done.text
    assert ended.result(LONGEST) == "draft 2 with: shorter"
    late = resume(is_approve=True)
    assert (late.status_code, late.json()["error"]) == (409, "already_responded")
