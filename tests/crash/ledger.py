"""What clients were told, against what a store holds: what was lost, and what was settled twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """`asked`: requests whose asking was acknowledged. `won`: for each request, whichever answers clients were told had
    won. `unsure`: what was sent, and no reply came: request by id, and answers as (request id, answer id)."""

    asked: set[str] = field(default_factory=set)
    won: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unsure_asks: set[str] = field(default_factory=set)
    unsure_answers: set[tuple[str, str]] = field(default_factory=set)

    def lost(self, requests: dict[str, dict[str, Any]]) -> list[str]:
        """Requests that were acknowledged and are not there, or not as was acknowledged."""
        missing = [id for id in self.asked if id not in requests]
        unanswered = [id for id, answers in self.won.items() if id in requests and not requests[id]["answer"]]
        other = [
            id
            for id, answers in self.won.items()
            if id in requests and requests[id]["answer"] and requests[id]["answer"]["answer_id"] not in answers
        ]
        return missing + unanswered + other

    def twice(self, events: list[dict[str, Any]]) -> list[str]:
        """Requests that ended twice: in what clients were told, or in the log."""
        told = [id for id, answers in self.won.items() if len(answers) > 1]
        ended = Counter(event["request_id"] for event in events if event["type"] == "human_input_completed")
        asked = Counter(event["request_id"] for event in events if event["type"] == "human_input_required")
        return told + [id for counted in (ended, asked) for id, count in counted.items() if count > 1]
