"""A crew that is killed while it waits for a person, and goes on where it was when it is run again.

    python examples/durable/main.py        # exits 1 if anything is not as promised

The crew is a process of its own, and this one, which has the server, kills it: `kill -9`, as a crash would. Meanwhile
somebody answers. The crew is started again under the same id; its model is not called a second time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

from sayso import Client, HumanInputServer, connect
from sayso.adapters.crewai import execution, install

KEY = "secret"


class ScriptedModel(BaseLLM):
    """Stands in for a language model: writes each call to a file, and another text each time."""

    calls_file: str

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        with Path(self.calls_file).open("a", encoding="utf-8") as file:
            file.write("called\n")
        return f"Thought: I now can give a great answer\nFinal Answer: Draft number {len(calls_in(self.calls_file))}."

    def supports_function_calling(self) -> bool:
        return False


def calls_in(file: str) -> list[str]:
    return Path(file).read_text(encoding="utf-8").splitlines()


def crew(url: str, calls_file: str) -> None:
    """The agents' process."""
    install(connect(url, api_key=KEY))
    model = ScriptedModel(model="scripted", calls_file=calls_file)
    writer = Agent(role="Writer", goal="Write", backstory="You write short.", llm=model)
    notice = Task(description="Write a notice.", expected_output="A notice.", agent=writer, human_input=True)
    with execution("order-42", durable=True):
        print(Crew(agents=[writer], tasks=[notice]).kickoff())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, calls_file = f"sqlite:///{folder}/questions.db", f"{folder}/calls"
        with (
            HumanInputServer(port=0, api_key=KEY, store=store, adapters=False) as server,
            Client(server.url, KEY) as person,
        ):
            command = [sys.executable, __file__, server.url, calls_file]
            first = subprocess.Popen(command)  # noqa: S603 - this very program
            asked = next(told for told in person.follow("order-42"))
            print(f"It waits with {asked.context!r}; killing it.")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()

            person.answer(asked.request_id, decision="approve", comment="meanwhile")

            second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)  # noqa: S603
            assert "Draft number 1." in second.stdout, second.stdout
            assert calls_in(calls_file) == ["called"], "the model was called again"
            assert len(list(person.list())) == 1, "the person was asked again"
    print("Run again, it took the answer and called no model: Draft number 1.")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        crew(*sys.argv[1:])
    else:
        main()
