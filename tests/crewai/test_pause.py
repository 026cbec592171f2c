"""Flows that end while they wait for a person, and are gone on with when one has answered."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from crewai.flow.async_feedback.types import HumanFeedbackPending
from crewai.flow.flow import Flow
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence

from sayso import AsyncClient, Client, HumanInputServer
from sayso.adapters.crewai import Resumed, Unanswered, execution, resume
from sayso.adapters.crewai import resume as resume_function
from sayso.adapters.crewai.resume import Resumer
from tests.conftest import KEY
from tests.crewai import paused_flow
from tests.crewai.paused_flow import Failing, Review, Routed, SideBySide, Twice
from tests.crewai.person import LONGEST
from tests.runtime.programs import SAYSO, program

_ROOT = Path(__file__).parent.parent.parent
_RESUME = sys.modules[resume_function.__module__]


class Paused:
    """A database of crewAI's, and a person at the server."""

    def __init__(self, server: HumanInputServer, database: Path) -> None:
        self.server = server
        self.database = str(database)
        self.client = Client(server.url, KEY)

    @property
    def persistence(self) -> SQLiteFlowPersistence:
        return SQLiteFlowPersistence(self.database)

    def kickoff(self, flow: type[Flow[Any]], **inputs: Any) -> HumanFeedbackPending:
        pending = flow(persistence=self.persistence).kickoff(inputs=inputs or None)
        assert isinstance(pending, HumanFeedbackPending)
        return pending

    def resume(self, flow: type[Flow[Any]]) -> list[Resumed]:
        return resume(flow, client=self.client, persistence=self.persistence)

    def open(self) -> list[Any]:
        return list(self.client.list(status=["pending"]))


@pytest.fixture
def paused(server: HumanInputServer, tmp_path: Path) -> Iterator[Paused]:
    paused_flow.done.clear()
    paused = Paused(server, tmp_path / "flows.db")
    yield paused
    paused.client.close()


def test_a_flow_that_paused_goes_on_with_the_answer(paused: Paused) -> None:
    pending = paused.kickoff(Review)
    request = paused.client.get(pending.callback_info["request_id"])
    assert (request.status, request.context, request.execution_id) == (
        "pending",
        "draft",
        pending.callback_info["execution_id"],
    )
    assert paused.resume(Review) == []
    paused.client.answer(request.request_id, text="shorter")

    (resumed,) = paused.resume(Review)

    assert (resumed.end, resumed.result, resumed.request.request_id) == (
        "finished",
        "draft: shorter",
        request.request_id,
    )
    assert paused.resume(Review) == []
    assert paused_flow.done == ["draft: shorter"]
    assert paused.persistence.load_pending_feedback(pending.context.flow_id) is None


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"decision": "approve"}, "draft: "),
        ({"decision": "edit", "edited": "my own"}, "my own: "),
        ({"decision": "respond", "text": "hm"}, "draft: hm"),
    ],
)
def test_every_decision_means_what_it_means_to_a_flow_that_waits(
    paused: Paused, answer: dict[str, Any], result: str
) -> None:
    pending = paused.kickoff(Review)
    paused.client.answer(pending.callback_info["request_id"], **answer)
    assert [one.result for one in paused.resume(Review)] == [result]


def test_a_chosen_outcome_says_where_the_flow_goes_on_without_a_model(paused: Paused) -> None:
    pending = paused.kickoff(Routed)
    paused.client.answer(pending.callback_info["request_id"], option_ids=("discard",))
    assert [one.result for one in paused.resume(Routed)] == ["discarded discard"]


def test_a_flow_may_pause_again_after_it_was_resumed(paused: Paused) -> None:
    pending = paused.kickoff(Twice)
    paused.client.answer(pending.callback_info["request_id"], text="a")
    (first,) = paused.resume(Twice)
    assert first.end == "paused"
    (second,) = paused.open()
    assert (second.context, second.request_id) == ("two after a", first.result.callback_info["request_id"])
    paused.client.answer(second.request_id, text="b")
    assert [(one.end, one.result) for one in paused.resume(Twice)] == [("finished", "two after a and b")]


@pytest.mark.parametrize(("ends", "end"), [("reject", "rejected"), ("cancel", "unanswered")])
def test_a_flow_that_was_rejected_or_given_up_ends(paused: Paused, ends: str, end: str) -> None:
    pending = paused.kickoff(Review)
    id = pending.callback_info["request_id"]
    if ends == "reject":
        paused.client.answer(id, decision="reject", text="no")
    else:
        paused.client.cancel(id, "lunch")
    (resumed,) = paused.resume(Review)
    assert (resumed.end, "no" in str(resumed.error) or "lunch" in str(resumed.error)) == (end, True)
    assert paused.persistence.load_pending_feedback(pending.context.flow_id) is None
    assert (paused.resume(Review), paused_flow.done) == ([], [])


def test_flows_of_another_class_are_left_alone(paused: Paused) -> None:
    pending = paused.kickoff(Review)
    paused.client.answer(pending.callback_info["request_id"], text="yes")
    assert paused.resume(Twice) == []
    assert [one.end for one in paused.resume(Review)] == ["finished"]


def test_an_answer_that_came_before_crewai_had_written_the_flow_down_is_not_lost(
    paused: Paused, aside: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, reached, may = SQLiteFlowPersistence.save_pending_feedback, threading.Event(), threading.Event()

    def late(*args: Any, **settings: Any) -> None:
        reached.set()
        assert may.wait(LONGEST)
        save(*args, **settings)

    monkeypatch.setattr(SQLiteFlowPersistence, "save_pending_feedback", late)
    kicked_off = aside(paused.kickoff, Review)
    assert reached.wait(LONGEST)
    (request,) = paused.open()
    paused.client.answer(request.request_id, text="at once")
    assert paused.resume(Review) == []
    may.set()
    kicked_off.result(LONGEST)
    assert [one.result for one in paused.resume(Review)] == ["draft: at once"]


def test_of_many_resumers_one_goes_on_with_a_flow(paused: Paused, aside: Callable[..., Any]) -> None:
    for number in range(3):
        pending = paused.kickoff(Review)
        paused.client.answer(pending.callback_info["request_id"], text=str(number))
    line_up = threading.Barrier(4)

    def work() -> list[Resumed]:
        line_up.wait(LONGEST)
        return paused.resume(Review)

    ends = [one.result for run in [aside(work) for _ in range(4)] for one in run.result(3 * LONGEST)]
    ends += [one.result for one in paused.resume(Review)]
    assert sorted(ends) == sorted(paused_flow.done) == ["draft: 0", "draft: 1", "draft: 2"]


def test_a_flow_that_another_process_is_at_is_left_for_later(paused: Paused) -> None:
    pending = paused.kickoff(Review)
    paused.client.answer(pending.callback_info["request_id"], text="yes")
    name = f"resume:{pending.context.flow_id}"
    paused.client.lease(name, "another", 60)
    assert paused.resume(Review) == []
    paused.client.release(name, "another")
    assert [one.end for one in paused.resume(Review)] == ["finished"]


def test_what_failed_after_the_feedback_is_tried_again_by_the_next_call(paused: Paused) -> None:
    Failing.failures = 1
    pending = paused.kickoff(Failing)
    paused.client.answer(pending.callback_info["request_id"], text="yes")
    (failed,) = paused.resume(Failing)
    assert (failed.end, str(failed.error)) == ("failed", "the printer is out of paper")
    assert [(one.end, one.result) for one in paused.resume(Failing)] == [("finished", "published")]


def test_a_flow_that_goes_on_for_long_keeps_its_lease(paused: Paused, monkeypatch: pytest.MonkeyPatch) -> None:
    pending = paused.kickoff(Review)
    paused.client.answer(pending.callback_info["request_id"], text="yes")
    monkeypatch.setattr(_RESUME, "_LEASE", 0.3)
    renewed = threading.Event()
    lease, calls = Client.lease, list[str]()

    def counted(client: Client, name: str, holder: str, seconds: float) -> None:
        lease(client, name, holder, seconds)
        calls.append(holder)
        if len(calls) > 5:
            renewed.set()

    monkeypatch.setattr(Client, "lease", counted)
    monkeypatch.setattr(Review, "resume", lambda flow, feedback: renewed.wait(LONGEST) and "late")
    assert [one.result for one in paused.resume(Review)] == ["late"]
    assert len(set(calls)) == 1


def test_two_pauses_at_once_are_an_error_that_says_what_to_do(paused: Paused) -> None:
    with pytest.raises(Unanswered, match=r"two methods of SideBySide pause at once.*leave provider=Pause\(\) out"):
        SideBySide(persistence=paused.persistence).kickoff()
    left = [paused.client.get(one.request_id, wait=LONGEST) for one in paused.client.list()]
    assert {one.reason for one in left} <= {"asker-gone"}


async def test_two_pauses_at_once_on_a_loop_that_goes_on_leave_no_question_open(paused: Paused) -> None:
    with pytest.raises(Unanswered, match="pause at once"):
        await SideBySide(persistence=paused.persistence).kickoff_async()
    async with AsyncClient(paused.server.url, KEY) as client:
        (left,) = [one async for one in client.list()]
        assert (await client.get(left.request_id, wait=LONGEST)).reason == "asker-gone"


def test_a_flow_that_died_before_it_was_written_down_finds_its_question_and_answer(
    paused: Paused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SQLiteFlowPersistence, "save_pending_feedback", die)
        with pytest.raises(KeyboardInterrupt), execution("order-42"):
            paused.kickoff(Review, id="order-42")
    (request,) = paused.open()
    paused.client.answer(request.request_id, text="meanwhile")
    with execution("order-42"):
        assert Review(persistence=paused.persistence).kickoff(inputs={"id": "order-42"}) == "draft: meanwhile"
    assert len(list(paused.client.list())) == 1


def test_a_resumer_that_keeps_on_sees_what_is_answered_later(paused: Paused, aside: Callable[..., Any]) -> None:
    resumed = Resumer(Review, paused.client, paused.persistence).keep_on()
    ids = [paused.kickoff(Review).callback_info["request_id"] for _ in range(2)]
    for number, id in enumerate(ids):
        with Client(paused.server.url, KEY) as person:
            person.answer(id, text=str(number))
        assert aside(next, resumed).result(LONGEST).result == f"draft: {number}"


def test_a_resumer_that_keeps_on_ends_with_what_its_client_raises(paused: Paused, aside: Callable[..., Any]) -> None:
    with Client(paused.server.url, KEY) as client:
        resumed = aside(next, Resumer(Review, client, paused.persistence).keep_on())
        paused.server.stop()
    with pytest.raises(Exception, match="closed"):
        resumed.result(2 * LONGEST)


@contextmanager
def _environment(paused: Paused, **more: str) -> Iterator[dict[str, str]]:
    yield {
        "PYTHONPATH": str(_ROOT),
        "SAYSO_URL": paused.server.url,
        "SAYSO_API_KEY": KEY,
        "CREWAI_DISABLE_TELEMETRY": "true",
        **more,
    }


async def test_a_flow_goes_on_in_another_process_also_when_that_one_dies_in_the_middle(
    paused: Paused, tmp_path: Path
) -> None:
    """Killed between crewAI's removing its row and the end of what follows: crewAI alone would have lost it."""
    mark = tmp_path / "dies"
    mark.touch()
    flow = "tests.crewai.paused_flow"
    command = (SAYSO, "resume", "--flow", f"{flow}:Review", "--persistence", paused.database)
    with _environment(paused, PAUSED_DIES=str(mark), PAUSED_LEASE="0.5") as environment:
        async with program(sys.executable, "-m", flow, paused.server.url, paused.database, **environment) as kickoff:
            id = (await kickoff.line("paused:")).split()[-1]
            assert await kickoff.end() == 0
        await asyncio.to_thread(paused.client.answer, id, text="yes")
        async with program(*command, "--once", **environment) as first:
            assert await first.end() == -signal.SIGKILL
        assert not mark.exists()
        async with program(*command, "--json", **environment) as second:
            ended = await second.line('"end"')
            second.send(signal.SIGINT)
            assert await second.end() == 130
    assert f'"request_id":"{id}"' in ended
    assert '"end":"finished","result":"draft: yes"' in ended


async def test_the_command_writes_its_own_lines_to_stdout_and_what_crewai_prints_beside_it(paused: Paused) -> None:
    id = paused.kickoff(Review).callback_info["request_id"]
    paused.client.answer(id, text="yes")
    command = (SAYSO, "resume", "--flow", "tests.crewai.paused_flow:Review", "--persistence", paused.database)
    with _environment(paused) as environment:
        settings: dict[str, Any] = {"capture_output": True, "text": True, "env": os.environ | environment}
        ended = await asyncio.to_thread(subprocess.run, [*command, "--once", "--json"], timeout=60, **settings)
    (told,) = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (told["request_id"], told["end"], told["result"]) == (id, "finished", "draft: yes")
    assert "Flow" in ended.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no.such:Flow", "no module 'no'"),
        ("tests.crewai.paused_flow:Nothing", "has no 'Nothing'"),
        ("tests.crewai.paused_flow:KEY", "is no crewAI flow"),
        ("paused_flow", "package.module:Flow"),
    ],
)
async def test_a_flow_that_cannot_be_found_is_said_so(paused: Paused, name: str, says: str) -> None:
    with _environment(paused) as environment:
        async with program(SAYSO, "resume", "--flow", name, "--once", **environment) as command:
            assert await command.end() == 2
    assert says in command.output


def test_the_question_says_that_the_flow_may_have_ended(paused: Paused) -> None:
    pending = paused.kickoff(Review)
    url = f"{paused.server.url}/requests/{pending.callback_info['request_id']}"
    native = httpx.get(url, headers={"Authorization": f"Bearer {KEY}"}).json()["source"]["native"]
    assert (native["pauses"], native["flow_class"]) == (True, "tests.crewai.paused_flow.Review")
