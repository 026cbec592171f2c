"""A crew of two under a durable id, as a program: the model writes each call to a file, so that killing loses none.

Arguments: the server's URL ("" for one of its own), its store, the file of calls, sync or async.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from crewai import Crew

from sayso import HumanInputServer, connect
from sayso.adapters.crewai import execution, install
from tests.conftest import KEY
from tests.crewai.scripted import ScriptedModel, a_task, an_agent


def main(url: str, store: str, calls: str, road: str) -> None:
    def write(number: int, feedback: str) -> str:
        with Path(calls).open("a", encoding="utf-8") as file:
            file.write(f"{number} {feedback}".strip() + "\n")
        written = len(Path(calls).read_text(encoding="utf-8").splitlines())
        return f"text {written}"  # no two calls give the same

    model = ScriptedModel(write)
    agents = [an_agent(model, role="Researcher"), an_agent(model, role="Writer")]
    first = a_task(agents[0], description="Find {topic}", human_input=False)
    second = a_task(agents[1], description="Write of {topic}")
    crew = Crew(agents=agents, tasks=[first, second])
    inputs = {"topic": "ferries"}
    with execution("order-42", durable=True):
        result = asyncio.run(crew.akickoff(inputs)) if road == "async" else crew.kickoff(inputs)
    print("result:", result.raw, flush=True)


if __name__ == "__main__":
    if sys.argv[1]:
        install(connect(sys.argv[1], api_key=KEY))
        main(*sys.argv[1:])
    else:
        with HumanInputServer(port=int(sys.argv[5]), api_key=KEY, store=sys.argv[2], quiet=True):
            print("listens", flush=True)
            main(*sys.argv[1:5])
