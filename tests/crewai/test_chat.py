"""`Flow.chat` with a person at the other end of the network: each turn is one question."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from crewai.flow.conversational import ConversationConfig, ConversationState
from crewai.flow.flow import Flow
from crewai.llms.base_llm import BaseLLM

from sayso import HumanInputServer
from sayso.adapters.crewai import Stopped, chat_input, install
from sayso.errors import Misconfigured
from tests.crewai.conftest import Console
from tests.crewai.person import LONGEST, Person, in_turn, leave

People = Callable[..., Person]


class Echo(BaseLLM):
    """Says again what it was told."""

    def __init__(self) -> None:
        super().__init__(model="scripted")

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return f"You said: {messages[-1]['content']}"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False


def a_talk() -> Flow[Any]:
    """A flow that converses."""

    @ConversationConfig(llm=Echo(), system_prompt="")
    class Talk(Flow[ConversationState]):
        pass

    return Talk(suppress_flow_events=True)


def says(*words: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    return in_turn([{"human_feedback": word} for word in words])


def test_each_turn_of_a_chat_asks_the_server_and_shows_what_the_assistant_said_last(person: People) -> None:
    reader = person(says("hello", "and goodbye", "exit"))
    shown: list[str] = []
    a_talk().chat(output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello", "You said: and goodbye"]
    assert [one["context"] for one in reader.asked] == ["", "You said: hello", "You said: and goodbye"]
    assert {one["kind"] for one in reader.asked} == {"question"}
    assert {one["title"] for one in reader.asked} == {"Talk"}
    assert all(one["context_data"] == {"flow": "Talk", "method": "chat"} for one in reader.asked)


def test_the_questions_of_one_chat_are_one_execution_and_those_of_another_are_another(person: People) -> None:
    reader = person(says("hello", "exit", "hello", "exit"))
    talk = a_talk()
    for _ in range(2):
        talk.chat(output_fn=lambda text: None)
    executions = [one["execution_id"] for one in reader.asked]
    assert executions[0] == executions[1] != executions[2] == executions[3]
    assert {one["crew_id"] for one in reader.asked} == {talk.flow_id}


@pytest.mark.parametrize("word", ["exit", " QUIT ", "bye"])
def test_a_chat_ends_when_a_person_says_so(person: People, word: str) -> None:
    reader = person(says(word))
    shown: list[str] = []
    settings: dict[str, Any] = {"exit_commands": ("bye",)} if word == "bye" else {}
    a_talk().chat(output_fn=shown.append, **settings)
    assert len(reader.asked) == 1
    assert shown == []


def test_a_blank_turn_is_passed_over(person: People) -> None:
    reader = person(says(" \n", "hello", "exit"))
    shown: list[str] = []
    a_talk().chat(output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello"]
    assert [one["context"] for one in reader.asked] == ["", "", "You said: hello"]


def test_cancelling_a_turn_ends_the_chat_in_order(person: People, client: httpx.Client) -> None:
    answers = [{"human_feedback": "hello"}]

    def decide(asked: dict[str, Any]) -> dict[str, Any] | None:
        if answers:
            return answers.pop()
        client.post(f"/requests/{asked['request_id']}/cancel", json={"reason": "lunch"}).raise_for_status()
        return None

    reader = person(decide)
    shown: list[str] = []
    a_talk().chat(output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello", ""]
    assert len(reader.asked) == 2


def test_a_turn_whose_time_runs_out_ends_the_chat_in_order(server: HumanInputServer, person: People) -> None:
    undo = install(server, prepare=lambda question, context: question.replace(timeout=0.2))
    try:
        reader = person(leave)
        shown: list[str] = []
        a_talk().chat(output_fn=shown.append)
    finally:
        undo()
    assert shown == [""]
    assert len(reader.asked) == 1


def test_stopping_the_server_ends_a_chat_that_waits(
    server: HumanInputServer, person: People, aside: Callable[..., Future[Any]]
) -> None:
    reader = person(leave)
    shown: list[str] = []
    running = aside(a_talk().chat, output_fn=shown.append)
    reader.wait_until(lambda it: len(it.asked) == 1)
    server.stop()
    assert isinstance(running.exception(LONGEST), Stopped)
    assert shown == []


def test_an_input_fn_of_the_users_own_is_left_alone(person: People) -> None:
    reader = person(leave)
    words, shown = ["hello", "exit"], []
    a_talk().chat(input_fn=lambda prompt: words.pop(0), output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello"]
    assert reader.asked == []


def test_without_a_server_a_chat_reads_the_console_as_ever(console: Console) -> None:
    console.feed("hello", "exit")
    shown: list[str] = []
    a_talk().chat(output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello"]
    assert console.reads == 2


def test_after_the_server_has_stopped_a_chat_reads_the_console_again(
    console: Console, serve: Callable[..., HumanInputServer]
) -> None:
    serve(adapters=True).stop()
    console.feed("exit")
    a_talk().chat(output_fn=lambda text: None)
    assert console.reads == 1


def test_chat_input_asks_a_server_that_is_not_installed(serve: Callable[..., HumanInputServer]) -> None:
    server, talk, shown = serve(adapters=False), a_talk(), []
    with Person(server.url, says("hello", "exit"), gone=server.stop) as reader:
        talk.chat(input_fn=chat_input(talk), output_fn=shown.append, assistant_prefix="")
    assert shown == ["You said: hello"]
    assert len(reader.asked) == 2


def test_chat_input_without_any_server_says_what_to_do() -> None:
    talk = a_talk()
    with pytest.raises(Misconfigured, match="no server to ask"):
        talk.chat(input_fn=chat_input(talk), output_fn=lambda text: None)


def test_a_flow_that_does_not_converse_refuses_to_chat_as_ever(person: People) -> None:
    class Steps(Flow[dict[str, Any]]):
        pass

    reader = person(leave)
    with pytest.raises(ValueError, match="only available on conversational flows"):
        Steps(suppress_flow_events=True).chat()
    assert reader.asked == []
