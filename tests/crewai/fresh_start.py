"""A program: the seed proposal's start order in a process where nothing of sayso's crewAI side was ever loaded.

A crew has run before, so that crewAI itself is warm and loses no time. A read of the console ends the program.
"""

from __future__ import annotations

import builtins
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr

from sayso import HumanInputServer
from tests.conftest import KEY
from tests.crewai.scripted import ScriptedModel, a_crew
from tests.crewai.terminal import Terminal


def _refuse(*args: object) -> str:
    raise SystemExit("the console was asked")


def main() -> None:
    a_crew(ScriptedModel(), human_input=False).kickoff()
    builtins.input = _refuse
    crew, terminal = a_crew(ScriptedModel()), Terminal()
    server = HumanInputServer(port=0, api_key=KEY)
    with ThreadPoolExecutor(1) as pool, redirect_stderr(terminal):
        answers = pool.submit(terminal.answer, "shorter", "")
        threading.Thread(target=server.start, daemon=True).start()
        result = crew.kickoff()
        answers.result()
    server.stop()
    print(f"RESULT {result.raw}")


if __name__ == "__main__":
    main()
