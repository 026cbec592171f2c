"""`crew.train`: each iteration asks one person for one lesson, which crewAI's own training then uses."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
from crewai import Crew

from sayso import HumanInputServer
from sayso.adapters.crewai import Stopped, Unanswered
from tests.crewai.conftest import Console
from tests.crewai.person import APPROVE, LONGEST, Person, in_turn, leave
from tests.crewai.scripted import ScriptedModel, a_crew, a_task, an_agent

People = Callable[..., Person]
LESSON = {"suggestions": ["Be short"], "quality": 8.0, "final_summary": "Short lines"}
LESSONS = [{"human_feedback": "shorter"}, {"decision": "respond", "text": "kinder"}]


class Pupil(ScriptedModel):
    """Also serves the step after the iterations, in which crewAI has the model judge both drafts and the feedback."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        if "Assess the quality of the training data" in str(messages):
            _judged.append(str(messages))
            return json.dumps(LESSON)
        return super().call(messages, *args, **kwargs)


_judged: list[str] = []
"""What the model was given to judge; training works on a copy of the crew, so not on the model that a test holds."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where crewAI, which takes the working directory, writes its training data."""
    monkeypatch.chdir(tmp_path)
    _judged.clear()
    return tmp_path


def _unpickled(path: Path) -> Any:
    return pickle.loads(path.read_bytes()) if path.exists() else {}  # noqa: S301 - written by this test


def _iterations(folder: Path) -> list[dict[int, dict[str, str]]]:
    """crewAI's training data, an entry for each agent."""
    return list(_unpickled(folder / "training_data.pkl").values())


def test_each_iteration_asks_once_and_the_feedback_reaches_the_second_draft_and_the_lesson(
    person: People, folder: Path
) -> None:
    reader = person(in_turn(LESSONS))
    a_crew(Pupil()).train(n_iterations=2, filename=str(folder / "trained.pkl"))
    assert [(one["kind"], one["allow"], one["round"]) for one in reader.asked] == [("review", ["respond"], 1)] * 2
    assert [one["previous"] for one in reader.asked] == [None, None]
    assert len({one["request_id"] for one in reader.asked}) == 2
    assert reader.asked[0]["context"] == "draft 1"
    assert "being trained" in reader.asked[0]["prompt"]
    (iterations,) = _iterations(folder)
    assert [iterations[number]["human_feedback"] for number in (0, 1)] == ["shorter", "kinder"]
    assert iterations[0]["initial_output"] == "draft 1"
    assert iterations[0]["improved_output"] == "draft 2 with: shorter"
    assert iterations[1]["improved_output"].endswith("with: kinder")
    (judged,) = _judged
    assert "shorter" in judged
    assert "kinder" in judged
    assert _unpickled(folder / "trained.pkl") == {"Writer": LESSON}


def test_every_task_of_every_iteration_asks(person: People, folder: Path) -> None:
    agents = [an_agent(Pupil(), role=role) for role in ("One", "Other")]
    crew = Crew(agents=agents, tasks=[a_task(agent, name=agent.role, human_input=False) for agent in agents])
    reader = person(lambda asked: {"human_feedback": f"for {asked['title']}"})
    crew.train(n_iterations=2, filename=str(folder / "trained.pkl"))
    assert [one["title"] for one in reader.asked] == ["One", "Other"] * 2
    lessons = [[one["human_feedback"] for one in agent.values()] for agent in _iterations(folder)]
    assert lessons == [["for One"] * 2, ["for Other"] * 2]
    assert set(_unpickled(folder / "trained.pkl")) == {"One", "Other"}


@pytest.mark.promise("ANSWER-4")
@pytest.mark.parametrize(
    "unfit",
    [APPROVE, {"human_feedback": " "}, {"decision": "reject"}, {"decision": "edit", "edited": "Mine."}],
    ids=["approve", "blank", "reject", "edit"],
)
def test_what_teaches_nothing_is_refused_and_the_request_stays_open(
    person: People,
    aside: Callable[..., Future[Any]],
    client: httpx.Client,
    folder: Path,
    unfit: dict[str, Any],
) -> None:
    reader = person(leave)
    running = aside(a_crew(Pupil()).train, n_iterations=1, filename=str(folder / "trained.pkl"))
    reader.wait_until(lambda it: len(it.asked) == 1)
    request_id = reader.asked[0]["request_id"]
    assert reader.try_to_answer(request_id, **unfit).status_code == 422
    assert client.get(f"/requests/{request_id}").json()["status"] == "pending"
    reader.answer(request_id, human_feedback="shorter")
    running.result(LONGEST)
    assert [one[0]["human_feedback"] for one in _iterations(folder)] == ["shorter"]


def test_a_cancelled_question_ends_the_training_unanswered_after_one_question(
    person: People, client: httpx.Client, folder: Path
) -> None:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()

    reader = person(cancel)
    with pytest.raises(Unanswered, match="lunch"):
        a_crew(Pupil()).train(n_iterations=2, filename=str(folder / "trained.pkl"))
    assert len(reader.asked) == 1
    assert not _unpickled(folder / "trained.pkl")


def test_stopping_the_server_ends_a_waiting_training_once(
    server: HumanInputServer, person: People, aside: Callable[..., Future[Any]], folder: Path
) -> None:
    reader = person(leave)
    running = aside(a_crew(Pupil()).train, n_iterations=2, filename=str(folder / "trained.pkl"))
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert isinstance(running.exception(LONGEST), Stopped)
    assert len(reader.asked) == 1


def test_a_kickoff_after_a_training_asks_for_decisions_again(person: People, folder: Path) -> None:
    crew, reader = a_crew(Pupil()), person(in_turn([LESSONS[0], APPROVE]))
    crew.train(n_iterations=1, filename=str(folder / "trained.pkl"))
    assert crew.kickoff().raw == "draft 1"
    assert [one["allow"] for one in reader.asked] == [["respond"], ["approve", "edit", "respond", "reject"]]


def test_without_a_server_the_console_trains_as_ever(console: Console, folder: Path) -> None:
    console.feed("shorter", "kinder")
    a_crew(Pupil()).train(n_iterations=2, filename=str(folder / "trained.pkl"))
    assert console.reads == 2
    (iterations,) = _iterations(folder)
    assert [iterations[number]["human_feedback"] for number in (0, 1)] == ["shorter", "kinder"]
    assert _unpickled(folder / "trained.pkl") == {"Writer": LESSON}
