"""Flows that pause, as a program: `python -m tests.crewai.paused_flow URL DATABASE` kicks one off and prints its id.

PAUSED_DIES names a file; while it is there, what follows a feedback removes it and dies.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence

from sayso import connect
from sayso.adapters.crewai import Pause, install, resume
from tests.conftest import KEY

if "PAUSED_LEASE" in os.environ:
    sys.modules[resume.__module__]._LEASE = float(os.environ["PAUSED_LEASE"])  # type: ignore[attr-defined]

done: list[str] = []
"""What the flows of this process have done after a feedback."""


class Review(Flow[dict[str, Any]]):
    """One pause, and something after it."""

    @start()
    @human_feedback(message="Is it good?", provider=Pause())
    def write(self) -> str:
        return "draft"

    @listen(write)
    def publish(self, result: Any) -> str:
        if (mark := os.environ.get("PAUSED_DIES")) and Path(mark).exists():
            Path(mark).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(f"{result.output}: {result.feedback}")
        return done[-1]


class Routed(Flow[dict[str, Any]]):
    """A pause whose outcomes say where it goes on."""

    @start()
    @human_feedback(message="Where to?", emit=["publish", "discard"], llm="gpt-4o-mini", provider=Pause())
    def write(self) -> str:
        return "draft"

    @listen("publish")
    def to_print(self, result: Any) -> str:
        return f"published {result.feedback}"

    @listen("discard")
    def to_bin(self, result: Any) -> str:
        return f"discarded {result.feedback}"


class Twice(Flow[dict[str, Any]]):
    """Two pauses, one after the other."""

    @start()
    @human_feedback(message="First?", provider=Pause())
    def first(self) -> str:
        return "one"

    @listen(first)
    @human_feedback(message="Second?", provider=Pause())
    def second(self, result: Any) -> str:
        return f"two after {result.feedback}"

    @listen(second)
    def last(self, result: Any) -> str:
        return f"{result.output} and {result.feedback}"


class SideBySide(Flow[dict[str, Any]]):
    """Two pauses at once, which crewAI cannot keep."""

    @start()
    @human_feedback(message="Left?", provider=Pause())
    def left(self) -> str:
        return "left"

    @start()
    @human_feedback(message="Right?", provider=Pause())
    def right(self) -> str:
        return "right"


class Failing(Flow[dict[str, Any]]):
    """What follows the feedback fails once."""

    failures = 1

    @start()
    @human_feedback(message="Is it good?", provider=Pause())
    def write(self) -> str:
        return "draft"

    @listen(write)
    def publish(self, result: Any) -> str:
        if type(self).failures:
            type(self).failures -= 1
            raise RuntimeError("the printer is out of paper")
        return "published"


if __name__ == "__main__":
    install(connect(sys.argv[1], api_key=KEY))
    pending = Review(persistence=SQLiteFlowPersistence(sys.argv[2])).kickoff()
    print("paused:", pending.callback_info["request_id"], flush=True)
