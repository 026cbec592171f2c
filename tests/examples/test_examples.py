"""Each example is a program that asserts: it runs here as its first lines say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.runtime.programs import program

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = {
    "durable": ["durable/main.py"],
    "embedded": ["embedded/main.py", "--check"],
    "flow": ["flow/main.py"],
    "threads": ["threads/main.py"],
    "web": ["web/main.py", "--check"],
}


def test_every_example_is_run_by_a_test() -> None:
    of_the_demo = {"newsroom"}
    assert {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()} == {*COMMANDS, *of_the_demo}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
async def test_an_example_does_what_it_says(command: list[str]) -> None:
    path, *arguments = command
    async with program(sys.executable, str(EXAMPLES / path), *arguments) as running:
        assert await running.end() == 0, running.output
