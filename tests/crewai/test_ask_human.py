"""`AskHuman`: an agent asks in the middle of its task, and goes on with the answer, or with the news that none came."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from crewai import Agent
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, field_validator

from sayso import HumanInputServer, limits
from sayso.adapters.crewai import AskHuman, execution
from tests.crewai.person import LONGEST, Person, in_turn, leave
from tests.crewai.roads import Kickoff, both_roads, kickoff
from tests.crewai.tool_models import (
    DONE,
    NativeModel,
    ReActModel,
    ToolModel,
    Turn,
    a_tool_crew,
    both_models,
    delete_file,
    one_call,
)

People = Callable[..., Person]
ModelOf = Callable[..., ToolModel]
GO_ON = "Go on as well as you can without, and say so in your result."


class Trip(BaseModel):
    city: str
    days: int

    @field_validator("days")
    @classmethod
    def _is_short(cls, days: int) -> int:
        if days > 7:
            raise ValueError("a week at the most")
        return days


def question(words: str = "Which city?", **more: Any) -> Turn:
    """An answer of a model that asks a person once."""
    return [("ask_human", {"question": words} | more)]


@both_models
@both_roads
def test_an_agent_asks_in_mid_task_and_reads_the_answer(person: People, kickoff: Kickoff, model_of: ModelOf) -> None:
    model = model_of(question())
    crew = a_tool_crew(model, AskHuman())
    reader = person(in_turn([{"human_feedback": "Paris, of course."}]))
    with execution("my-run"):
        assert kickoff(crew).raw == DONE
    assert model.results == ["Paris, of course."]
    (asked,) = reader.asked
    assert (asked["kind"], asked["prompt"], asked["title"]) == ("question", "Which city?", "Which city?")
    assert asked["context_data"] == {"agent": "Clerk"}
    ids = (asked["crew_id"], asked["task_id"], asked["agent_id"])
    assert ids == (str(crew.id), str(crew.tasks[0].id), str(crew.agents[0].id))
    assert asked["execution_id"] == "my-run"


@both_models
@pytest.mark.parametrize(
    ("answer", "reads"),
    [
        ({"option_ids": ["Paris"]}, "Paris"),
        ({"human_feedback": " Rome "}, "Rome"),
        ({"human_feedback": "Oslo instead"}, "Oslo instead"),
    ],
    ids=["chosen", "chosen by its label", "free text"],
)
def test_options_are_offered_and_any_other_text_will_do(
    person: People, model_of: ModelOf, answer: dict[str, Any], reads: str
) -> None:
    model = model_of(question(options=["Paris", "Rome"]))
    reader = person(in_turn([answer]))
    kickoff(a_tool_crew(model, AskHuman()))
    assert [one["id"] for one in reader.asked[0]["options"]] == ["Paris", "Rome"]
    assert model.results == [reads]


def test_whatever_options_a_model_makes_up_can_be_shown(person: People) -> None:
    made_up = ["Paris", "Paris", "", " \n", "two\nlines", "x" * 5000, *(str(number) for number in range(200))]
    reader = person(in_turn([{"human_feedback": "two lines"}]))
    model = NativeModel(question(options=made_up))
    kickoff(a_tool_crew(model, AskHuman()))
    ids = [one["id"] for one in reader.asked[0]["options"]]
    assert ids[:2] == ["Paris", "two lines"]
    assert len(ids) == limits.OPTIONS
    assert model.results == ["two lines"]


@pytest.mark.parametrize("words", ["", "  \n", "word " * 30_000], ids=["empty", "blank", "a book"])
def test_whatever_question_a_model_makes_up_can_be_shown(person: People, words: str) -> None:
    reader = person(in_turn([{"human_feedback": "yes"}]))
    model = NativeModel(question(words))
    kickoff(a_tool_crew(model, AskHuman()))
    assert model.results == ["yes"]
    assert reader.asked[0]["prompt"].strip()


@both_models
@both_roads
def test_a_model_class_makes_the_question_a_form_and_the_agent_reads_its_values_as_json(
    person: People, kickoff: Kickoff, model_of: ModelOf
) -> None:
    model = model_of(question())
    reader = person(in_turn([{"values": {"city": "Paris", "days": 3}}]))
    assert kickoff(a_tool_crew(model, AskHuman(response=Trip))).raw == DONE
    assert reader.asked[0]["kind"] == "form"
    assert reader.asked[0]["response_schema"]["required"] == ["city", "days"]
    assert json.loads(model.results[0]) == {"city": "Paris", "days": 3}


def test_values_that_do_not_fit_the_form_are_refused_and_the_question_stays_open(
    person: People, aside: Callable[..., Future[Any]]
) -> None:
    model, reader = NativeModel(question()), person(leave)
    running = aside(kickoff, a_tool_crew(model, AskHuman(response=Trip)))
    reader.wait_until(lambda it: len(it.asked) == 1)
    request_id = reader.asked[0]["request_id"]
    assert reader.try_to_answer(request_id, values={"city": "Paris", "days": "few"}).status_code == 422
    assert reader.try_to_answer(request_id, human_feedback="Paris").status_code == 422
    reader.answer(request_id, values={"city": "Paris", "days": 2})
    assert running.result(LONGEST).raw == DONE
    assert json.loads(model.results[0]) == {"city": "Paris", "days": 2}


@both_models
@both_roads
def test_values_that_only_the_models_validator_refuses_are_asked_for_again(
    person: People, kickoff: Kickoff, model_of: ModelOf
) -> None:
    model = model_of(question())
    reader = person(in_turn([{"values": {"city": "Paris", "days": days}} for days in (30, 9, 3)]))
    assert kickoff(a_tool_crew(model, AskHuman(response=Trip))).raw == DONE
    assert [one["round"] for one in reader.asked] == [1, 2, 3]
    assert [one["previous"] for one in reader.asked] == [None, *(one["request_id"] for one in reader.asked[:2])]
    assert ["a week at the most" in one["prompt"] for one in reader.asked] == [False, True, True]
    assert json.loads(model.results[0]) == {"city": "Paris", "days": 3}


def test_a_remark_on_values_stands_in_the_prompt_once(person: People) -> None:
    reader = person(in_turn([{"values": {"city": "Paris", "days": days}} for days in (30, 9, 3)]))
    kickoff(a_tool_crew(NativeModel(question()), AskHuman(response=Trip)))
    assert reader.asked[2]["prompt"].count("Please check your answer") == 1
    assert reader.asked[2]["prompt"].endswith("Which city?")


# Where no answer comes


@both_models
@both_roads
def test_an_agent_is_told_when_the_time_is_over(person: People, kickoff: Kickoff, model_of: ModelOf) -> None:
    model, reader = model_of(question()), person(leave)
    assert kickoff(a_tool_crew(model, AskHuman(timeout=0.2))).raw == DONE
    assert model.results == [f"Nobody answered (deadline). {GO_ON}"]
    assert len(reader.asked) == 1


@both_models
@both_roads
def test_an_agent_is_told_when_its_question_is_cancelled(
    person: People, client: httpx.Client, kickoff: Kickoff, model_of: ModelOf
) -> None:
    def cancel(asked: dict[str, Any]) -> None:
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()

    model = model_of(question())
    person(cancel)
    assert kickoff(a_tool_crew(model, AskHuman())).raw == DONE
    assert model.results == [f"Nobody answered (lunch). {GO_ON}"]


@both_models
@both_roads
def test_an_agent_is_told_when_the_server_stops(
    server: HumanInputServer,
    person: People,
    aside: Callable[..., Future[Any]],
    kickoff: Kickoff,
    model_of: ModelOf,
) -> None:
    model, reader = model_of(question()), person(leave)
    running = aside(kickoff, a_tool_crew(model, AskHuman()))
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert running.result(LONGEST).raw == DONE
    assert model.results[0].startswith("Nobody answered (")
    assert model.results[0].endswith(GO_ON)


@both_models
@both_roads
def test_an_agent_is_told_when_there_is_no_server(kickoff: Kickoff, model_of: ModelOf) -> None:
    model = model_of(question())
    assert kickoff(a_tool_crew(model, AskHuman())).raw == DONE
    assert "no server" in model.results[0]


# Each question is a question


def _cached(ran: list[str]) -> BaseTool:
    @tool("look_up")
    def look_up(word: str) -> str:
        """Looks a word up."""
        ran.append(word)
        return "found"

    return look_up


def test_the_same_question_is_asked_twice_though_crewai_caches_results(person: People) -> None:
    ran: list[str] = []
    looked = [("look_up", {"word": "city"})]
    model = NativeModel(question(), question(), looked, looked)
    reader = person(in_turn([{"human_feedback": "Paris"}, {"human_feedback": "Rome"}]))
    kickoff(a_tool_crew(model, AskHuman(), _cached(ran), cache=True))
    assert model.results == ["Paris", "Rome", "found", "found"]
    assert len(reader.asked) == 2
    assert ran == ["city"]  # the control: crewAI does cache other tools


def test_the_same_question_is_asked_again_later_on_the_road_of_text(person: People) -> None:
    """crewAI itself turns down the very same call made twice in a row there."""
    model = ReActModel(question(), one_call(), question())
    reader = person(in_turn([{"human_feedback": "Paris"}, {"human_feedback": "Rome"}]))
    kickoff(a_tool_crew(model, AskHuman(), delete_file([]), cache=True))
    assert len(reader.asked) == 2
    assert model.results[2].startswith("Rome")


def test_two_questions_of_one_answer_are_open_at_once_and_each_gets_its_own_answer(
    person: People, aside: Callable[..., Future[Any]]
) -> None:
    model, reader = NativeModel(question("First?") + question("Second?")), person(leave)
    running = aside(kickoff, a_tool_crew(model, AskHuman()))
    reader.wait_until(lambda it: len(it.asked) == 2)
    for asked in reversed(reader.asked):
        reader.answer(asked["request_id"], human_feedback=f"to {asked['prompt']}")
    assert running.result(LONGEST).raw == DONE
    assert model.results == ["to First?", "to Second?"]


async def test_an_awaited_kickoff_leaves_its_loop_free_while_the_question_waits(person: People) -> None:
    """crewAI never awaits a tool: it runs the tool's sync method in a thread."""
    model, reader = NativeModel(question()), person(leave)
    running = asyncio.create_task(a_tool_crew(model, AskHuman()).akickoff())
    async with asyncio.timeout(LONGEST):
        await asyncio.to_thread(reader.wait_until, lambda it: len(it.asked) == 1)  # needs this very loop
        await asyncio.to_thread(reader.answer, reader.asked[0]["request_id"], human_feedback="Paris")
        assert (await running).raw == DONE
    assert model.results == ["Paris"]


async def test_the_tool_itself_can_be_awaited(person: People) -> None:
    person(in_turn([{"values": {"city": "Paris", "days": days}} for days in (30, 3)]))
    async with asyncio.timeout(LONGEST):
        words = await AskHuman(response=Trip).arun(question="Which city?")
    assert json.loads(words) == {"city": "Paris", "days": 3}


# Whose question it is


def test_a_question_of_an_agent_on_its_own_does_not_count_as_one_of_the_crew_that_ran_before(person: People) -> None:
    reader = person(lambda asked: {"human_feedback": "Paris"})
    crew = a_tool_crew(NativeModel(question("Of the crew?")), AskHuman())
    loner = Agent(
        role="Loner", goal="Roam", backstory="Roams", llm=NativeModel(question("My own?")), tools=[AskHuman()]
    )

    def one_after_the_other() -> None:
        crew.kickoff()
        assert loner.kickoff("Roam about").raw == DONE

    contextvars.copy_context().run(one_after_the_other)
    of_crew, own = reader.asked
    assert of_crew["agent_id"] == str(crew.agents[0].id)
    assert own["crew_id"] != of_crew["crew_id"]
    assert own["task_id"] != of_crew["task_id"]
    assert own["agent_id"] != of_crew["agent_id"]
    assert own["context_data"]["agent"] != "Clerk"


@both_models
def test_a_question_of_a_coworker_to_whom_work_was_delegated_is_the_coworkers(
    person: People, model_of: ModelOf
) -> None:
    reader = person(in_turn([{"human_feedback": "Paris"}]))
    work = {"task": "Choose a city", "context": "None", "coworker": "Expert"}
    crew = a_tool_crew(model_of([("delegate_work_to_coworker", work)]), allow_delegation=True)
    expert = Agent(
        role="Expert", goal="Know", backstory="Knows", llm=model_of(question()), tools=[AskHuman()], max_retry_limit=0
    )
    crew.agents.append(expert)
    assert kickoff(crew).raw == DONE
    (asked,) = reader.asked
    assert asked["agent_id"] == str(expert.id)
    assert asked["context_data"] == {"agent": "Expert"}


def test_an_asker_of_its_own_is_asked_instead_of_the_installed_one(
    server: HumanInputServer, serve: Callable[..., HumanInputServer], person: People
) -> None:
    other = serve(adapters=False)
    unasked, model = person(leave), NativeModel(question())
    with Person(other.url, in_turn([{"human_feedback": "Rome"}]), gone=other.stop) as reader:
        kickoff(a_tool_crew(model, AskHuman(asker=other)))
    assert model.results == ["Rome"]
    assert (len(reader.asked), unasked.asked) == (1, [])


# crewAI copies and stores what agents hold


def test_the_tool_survives_a_copy_of_its_crew(person: People) -> None:
    model = NativeModel(question())
    crew = a_tool_crew(model, AskHuman(response=Trip, timeout=60))
    other = crew.copy()
    reader = person(in_turn([{"values": {"city": "Paris", "days": 3}}]))
    assert kickoff(other).raw == DONE
    (asked,) = reader.asked
    assert asked["kind"] == "form"
    assert asked["deadline"] is not None
    ids = (asked["crew_id"], asked["task_id"], asked["agent_id"])
    assert ids == (str(other.id), str(other.tasks[0].id), str(other.agents[0].id))
    assert asked["crew_id"] != str(crew.id)


@pytest.mark.parametrize("settings", [{}, {"response": Trip, "timeout": 60}], ids=["plain", "with a form"])
def test_an_agent_with_the_tool_can_be_written_down(server: HumanInputServer, settings: dict[str, Any]) -> None:
    crew = a_tool_crew(NativeModel(), AskHuman(asker=server, **settings))
    agent = crew.agents[0]
    assert agent.model_dump()["tools"]
    written = json.loads(agent.model_dump_json(exclude={"llm"}))
    assert written["tools"][0]["name"] == "ask_human"
    assert json.loads(crew.tasks[0].model_dump_json(include={"tools"}))


def test_the_tool_is_itself_when_it_is_read_from_what_was_written_down(person: People) -> None:
    written = json.loads(AskHuman(timeout=60).model_dump_json())
    (restored,) = Agent(role="Clerk", goal="Tidy", backstory="Tidies", llm=NativeModel(), tools=[written]).tools
    assert isinstance(restored, AskHuman)
    assert restored.timeout == 60
    model = NativeModel(question(), question())
    reader = person(in_turn([{"human_feedback": "Paris"}, {"human_feedback": "Rome"}]))
    kickoff(a_tool_crew(model, restored, cache=True))
    assert model.results == ["Paris", "Rome"]
    assert all(one["deadline"] for one in reader.asked)
