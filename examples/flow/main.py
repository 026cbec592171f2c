"""A flow that asks four times: in its own words, for a review with outcomes, for an approval, and for a form.

    python examples/flow/main.py           # exits 1 if anything is not as promised

A thread plays the person, over the network; see `person`.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback

import sayso
from sayso import HumanInputServer
from sayso.adapters.crewai import execution


@dataclass
class Shipment:
    """What the person fills in."""

    harbour: str
    speed: Literal["slow", "fast"]
    crates: int = 1


class Launch(Flow):
    """A draft, its review, and what becomes of it. A waiting flow holds no thread."""

    @start()
    def topic(self) -> str:
        return self.ask("What do we announce?", timeout=60) or "nothing"

    @listen(topic)
    @human_feedback(message="May this go out?", emit=["publish", "redo", "drop"], default_outcome="drop")
    def draft(self, topic: str) -> str:
        return f"Announcing {topic}!"

    @listen("publish")
    async def send(self) -> str:
        reply = await sayso.aask("Really publish?", kind="approval", priority="urgent")
        if not reply.approved:
            return f"not published: {reply.text}"
        form = await sayso.aask("Where do the leaflets go?", response=Shipment)
        return f"{form.values.crates} crates go to {form.values.harbour}, {form.values.speed}"


ANSWERS: dict[str, dict[str, Any]] = {
    "What do we announce?": {"human_feedback": "the new ferry"},
    "Launch: draft": {"option_ids": ["publish"], "comment": "lovely"},
    "Really publish?": {"decision": "approve"},
    "Where do the leaflets go?": {"values": {"harbour": "Esbjerg", "speed": "fast"}},
}


def person(server: HumanInputServer, execution_id: str, saw: list[dict[str, Any]]) -> None:
    """Follows the run and answers each question by its title."""
    cursor: dict[str, str] = {}
    while True:
        address = f"{server.url}/poll/human-input/{execution_id}"
        page = httpx.get(address, params={"wait": "20"} | cursor, timeout=30).raise_for_status().json()
        cursor = {"last_event_id": page["cursor"]}
        for event in page["events"]:
            if event["type"] == "human_input_required":
                saw.append(event)
                answer = f"{server.url}/requests/{event['request_id']}/answer"
                httpx.post(answer, json=ANSWERS[event["title"]]).raise_for_status()
        if len(saw) == len(ANSWERS):
            return


def main() -> int:
    with HumanInputServer(port=0, quiet=True) as server, execution() as execution_id:
        saw: list[dict[str, Any]] = []
        answering = threading.Thread(target=person, args=(server, execution_id, saw), daemon=True)
        answering.start()
        result = Launch().kickoff()
        answering.join(30)
    assert [event["title"] for event in saw] == list(ANSWERS), saw
    assert [event["kind"] for event in saw] == ["question", "review", "approval", "form"]
    assert [option["id"] for option in saw[1]["options"]] == ["publish", "redo", "drop"]
    assert result == "1 crates go to Esbjerg, fast", result
    print(f"Asked four times, no model called, and the flow's result is: {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
