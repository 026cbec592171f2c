"""A program: runs one crew in several places before sayso is imported, with it, and after a server has asked there.

Every line that is asked for at the console is answered from a pipe. Prints, as JSON, what came out in each phase.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from crewai.core.providers.human_input import SyncHumanInputProvider

from tests.crewai.scripted import ScriptedModel, a_crew

LINES = "shorter\n\n"
ONE_LINE = "\n"
"""On its async road crewAI's console reads ahead and closes the pipe, so that it cannot ask twice."""


def main() -> None:
    phases = {"never imported": _every_place()}
    assert not any(name.partition(".")[0] == "sayso" for name in sys.modules)

    from sayso import HumanInputServer
    from tests.conftest import KEY
    from tests.crewai.person import Person, revise_once

    phases["imported"] = _every_place()
    with (
        HumanInputServer(port=0, api_key=KEY, quiet=True) as server,
        Person(server.url, revise_once(), gone=server.stop) as reader,
    ):
        asked_elsewhere = _every_place()
        assert len(reader.asked) == 2 * len(asked_elsewhere), reader.asked
        assert all(place["input"] == place["prompts"] == 0 for place in asked_elsewhere.values())
    phases["after a server"] = _every_place()
    print("RESULT " + json.dumps(phases))


def _every_place() -> dict[str, Any]:
    return {
        "main thread": _with_console(lambda: a_crew(ScriptedModel()).kickoff(), LINES),
        "plain thread": _with_console(_in_thread, LINES),
        "kickoff_async": _with_console(lambda: asyncio.run(a_crew(ScriptedModel()).kickoff_async()), LINES),
        "akickoff": _with_console(lambda: asyncio.run(a_crew(ScriptedModel()).akickoff()), ONE_LINE),
    }


def _in_thread() -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(a_crew(ScriptedModel()).kickoff()))
    thread.start()
    thread.join()
    return results[0]


def _with_console(run: Callable[[], Any], lines: str) -> dict[str, Any]:
    """The result, and how often crewAI asked for a line: by input(), or asynchronously."""
    asked = {"input": 0, "prompts": 0}
    built_in, prompt = builtins.input, SyncHumanInputProvider._prompt_input_async

    def counted(*args: Any) -> str:
        asked["input"] += 1
        return built_in(*args)

    async def prompted(crew: Any) -> str:
        asked["prompts"] += 1
        return await prompt(crew)

    reading, writing = os.pipe()
    os.write(writing, lines.encode())
    os.close(writing)
    builtins.input, SyncHumanInputProvider._prompt_input_async = counted, staticmethod(prompted)
    stdin, sys.stdin = sys.stdin, os.fdopen(reading)
    try:
        return {"result": run().raw, **asked}
    finally:
        builtins.input, SyncHumanInputProvider._prompt_input_async = built_in, staticmethod(prompt)
        sys.stdin = stdin


if __name__ == "__main__":
    main()
