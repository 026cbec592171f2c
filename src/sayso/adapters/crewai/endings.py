"""How a run ends when a question brings nothing to go on with. crewAI retries none of these: nobody is asked twice."""

from __future__ import annotations

from crewai.hooks import HookAborted

from sayso.errors import SaysoError, ServerStopped
from sayso.model import Answer, Request

_SOURCE = "sayso"


class Rejected(HookAborted):
    """A person rejected the work."""


class Unanswered(HookAborted):
    """The question was cancelled, or its time ran out, or it could not be asked."""


class Stopped(HookAborted, ServerStopped):
    """The server was stopped while the agent was waiting."""

    def __init__(self, reason: str) -> None:
        HookAborted.__init__(self, reason, _SOURCE)
        self.detail = reason


def answer_of(outcome: Request) -> Answer:
    """What a person answered, or what was to count when nobody did. Raises Unanswered where nothing does: nobody has
    rejected what expired, though its `on_timeout` says reject."""
    answer = outcome.answer
    if answer is None or (answer.decision == "reject" and outcome.status != "answered"):
        raise unanswered(outcome)
    return answer


def rejected(outcome: Request) -> Rejected:
    """The end of a run whose result `outcome` rejects."""
    answer = outcome.answer
    words = (answer and (answer.text or answer.comment)) or "no reason given"
    return Rejected(f"rejected by {outcome.settled_by}: {printable(words)}", _SOURCE)


def unanswered(outcome: Request) -> Unanswered:
    """The end of a run whose question nobody answered."""
    reason = printable(outcome.reason or outcome.status)
    return Unanswered(f"nobody answered request {outcome.request_id}: {reason}", _SOURCE)


def ended_by(error: SaysoError) -> HookAborted:
    """What an error on the way to the server means to crewAI."""
    if isinstance(error, ServerStopped):
        return Stopped(error.detail)
    return Unanswered(f"the question could not be asked: {error.detail}", _SOURCE)


def printable(text: str) -> str:
    """What a person wrote, without anything that the terminal, which shows the exception, would obey."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)
