"""Every block of docs/crewai.md that says what it asks is run, word for word, and asks just that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai.hooks.dispatch import InterceptionPoint, get_global_hook_list

from sayso import Client, HumanInputServer
from tests.conftest import KEY
from tests.crewai.person import Message, Person
from tests.crewai.scripted import ScriptedModel

_PAGE = Path(__file__).parents[2] / "docs" / "crewai.md"
_BLOCK = re.compile(r"## (?P<title>[^\n]+)\n\n<!-- asks: (?P<kinds>[^>]+) -->\n```python\n(?P<code>.*?)```", re.DOTALL)
BLOCKS = [match.groupdict() for match in _BLOCK.finditer(_PAGE.read_text())]
CALLS = {
    "Tool Name: refund": 'Action: refund\nAction Input: {"amount": 120}',
    "Tool Name: ask_human": 'Action: ask_human\nAction Input: {"question": "Where to?"}',
}
ANSWERS: dict[str, Message] = {
    "review": {"human_feedback": "wittier"},
    "gate": {"decision": "approve"},
    "approval": {"decision": "approve"},
    "question": {"human_feedback": "ferries"},
    "choice": {"option_ids": ["eu"]},
}


class Model(ScriptedModel):
    """Calls each tool that it has once, then writes."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        text = str(messages)
        for tool, call in CALLS.items():
            if tool in text and "Observation: " not in text.partition("Begin!")[2]:
                return f"Thought: I need it\n{call}"
        return super().call(messages, *args, **kwargs)


@pytest.fixture(autouse=True)
def hooks_as_before() -> Iterator[None]:
    """Blocks register hooks for the whole process, as programs do."""
    before = {point: list(get_global_hook_list(point)) for point in InterceptionPoint}
    yield
    for point, hooks in before.items():
        get_global_hook_list(point)[:] = hooks


def answer(asked: Message) -> Message:
    """Approves in the second round; chooses where there is something to choose."""
    if asked["options"]:
        return {"option_ids": [asked["options"][0]["id"]]}
    return {"decision": "approve"} if "approve" in asked["allow"] and asked["round"] > 1 else ANSWERS[asked["kind"]]


def test_the_page_has_its_blocks() -> None:
    marked = _PAGE.read_text().count("<!-- asks:")
    assert len(BLOCKS) == marked >= 9


@pytest.mark.parametrize("block", BLOCKS, ids=[block["title"] for block in BLOCKS])
def test_the_block_asks_what_it_says(
    block: dict[str, str],
    server: HumanInputServer,
    person: Callable[..., Person],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # training writes its files where it is
    reader = person(answer)
    with Client(server.url, KEY) as client:
        names = {"llm": Model(), "server": server, "client": client, "__name__": "doc"}
        exec(compile(block["code"], block["title"], "exec"), names)  # noqa: S102 - our own page
    assert {asked["kind"] for asked in reader.asked} == set(block["kinds"].split(", "))
