"""What becomes of questions, as this process counts it: once for each question, never for each follower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from sayso.meters import Counter, Histogram, Metric
from sayso.model import DEADLINE, STATUSES, Kind, Request
from sayso.wire import REASONS

_PATIENCE: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 259_200.0, 604_800.0)
"""Seconds: people answer at once, after lunch, or next week."""

_SETTLEMENTS: Final = [(kind, status) for kind in get_args(Kind) for status in STATUSES if status != "pending"]


class Counts:
    """Each change of a request is counted by the process that made it, so that the sum over all is right."""

    def __init__(self) -> None:
        self._asked = Counter("sayso_questions_asked", "Questions stored by this node.", "kind", "channel")
        self._settled = Counter(
            "sayso_questions_settled", "Questions settled by this node.", "kind", "status", known=_SETTLEMENTS
        )
        self._timed_out = Counter(
            "sayso_questions_timed_out",
            "Those of them that ran out of time, whatever on_timeout chose.",
            "kind",
            known=[(kind,) for kind in get_args(Kind)],
        )
        self._answer_seconds = Histogram(
            "sayso_answer_seconds", "From asking to a person's answer.", _PATIENCE, "kind", "channel"
        )
        self._resumes = Counter("sayso_resumes", "Streams that went on from a cursor (WebSocket, SSE).")
        self._resets = Counter(
            "sayso_resets", "Followers whose cursor meant nothing here.", "reason", known=[(one,) for one in REASONS]
        )

    def asked(self, request: Request) -> None:
        self._asked.add(request.kind, request.asked_channel)

    def settled(self, request: Request) -> None:
        self._settled.add(request.kind, request.status)
        if request.settled_by == DEADLINE:
            self._timed_out.add(request.kind)
        if request.status == "answered" and request.settled_at is not None and request.settled_channel is not None:
            waited = (request.settled_at - request.created_at).total_seconds()
            self._answer_seconds.add(max(0.0, waited), request.kind, request.settled_channel)

    def resumed(self) -> None:
        self._resumes.add()

    def reset(self, reason: str) -> None:
        self._resets.add(reason)

    def read(self) -> Iterator[Metric]:
        for one in (self._asked, self._settled, self._timed_out, self._answer_seconds, self._resumes, self._resets):
            yield one.read()
