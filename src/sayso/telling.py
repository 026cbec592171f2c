"""What people are told of a request, in words: who asks, and what became of it. Pure; not yet fit to be shown
(`visible`)."""

from __future__ import annotations

from typing import Final

from sayso.model import Request

_PEOPLE: Final = {
    "": "someone",
    "anonymous": "someone at the server's machine",
    "process": "the program itself",
    "key:default": "someone with the server's key",
    "session:default": "someone at the inbox",
    "system:deadline": "the deadline",
    "system:asker": "its asker",
}
_DONE: Final = {"approve": "Approved", "edit": "Edited", "respond": "Answered", "reject": "Rejected"}
_COUNTS_AS: Final = {"approve": "approved", "edit": "edited", "respond": "answered", "reject": "rejected"}


def asker(request: Request) -> str:
    """Who asks: the agent's name, else the framework's or program's."""
    named = (request.context_data or {}).get("agent")
    return named if isinstance(named, str) and named else request.source.name


def person(by: str | None) -> str:
    """Who that is, to people who know no keys."""
    by = by or ""
    return _PEOPLE.get(by) or by.partition(":")[2] or by


def ending(request: Request) -> str:
    """What became of a settled request, in one sentence without its full stop."""
    if request.status == "answered":
        done = _DONE[request.answer.decision] if request.answer else "Answered"
        return f"{done} by {person(request.settled_by)}"
    if request.reason == "deadline" or request.status == "expired":
        default = request.answer
        return "Nobody answered in time" + (f"; it counts as {_COUNTS_AS[default.decision]}" if default else "")
    why = f": {request.reason}" if request.reason not in ("", "cancelled") else ""
    return f"Given up by {person(request.settled_by)}{why}"


def said(request: Request) -> str:
    """What a person, or a default, said beside the decision; "" for nothing."""
    if request.answer is None:
        return ""
    words = "" if request.words == request.answer.decision else request.words
    return "\n\n".join(one for one in (words, request.answer.comment) if one)
