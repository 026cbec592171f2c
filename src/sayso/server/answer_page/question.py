"""A request as a person sees it on the page: everything that it takes to decide, and nothing that could act."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree.ElementTree import Element

import msgspec

from sayso.model import Request
from sayso.server.answer_page.html import Child, shown, tag
from sayso.telling import asker, ending, said
from sayso.visible import visible_line
from sayso.wire import encode

_TOLD: Final = frozenset({"agent", "crew", "task"})
"""What of `context_data` is told elsewhere, or tells a person nothing more."""
_THEN: Final = {
    "reject": "then it counts as rejected",
    "approve": "then it counts as approved",
    "default": "then its default counts",
    "cancel": "then it is given up",
}


def title_of(request: Request) -> str:
    return visible_line(request.title) or "A question"


def question(request: Request, now: datetime) -> list[Child]:
    """Who asks what, about what."""
    is_told = visible_line(request.prompt) == title_of(request)
    return [
        tag("p", _facts(request, now), class_="facts"),
        None if is_told else tag("div", shown(request.prompt), class_="prompt", dir="auto"),
        *_cards(request),
    ]


def outcome(request: Request) -> list[Child]:
    """What became of a settled request."""
    words = said(request)
    return [
        tag("p", shown(visible_line(ending(request))), ".", class_="ending"),
        tag("p", "On ", moment(request.settled_at), class_="facts") if request.settled_at else None,
        card("What was said", words) if words else None,
    ]


def card(title: str, text: str, *, beside: str | None = None, is_code: bool = False) -> Element:
    """A text under its title, to the letter. A long one scrolls, also from the keyboard."""
    return tag(
        "section",
        tag("h2", shown(title), tag("span", beside, class_="beside") if beside else None),
        tag("pre", shown(text), class_="code" if is_code else None, dir="auto", tabindex="0"),
        class_="card",
    )


def json_text(value: Any) -> str:
    return msgspec.json.format(encode(value), indent=2).decode()


def moment(at: datetime) -> Element:
    at = at.astimezone(UTC)
    return tag("time", f"{at:%d %b %Y, %H:%M} UTC", datetime=at.isoformat())


def _facts(request: Request, now: datetime) -> Iterator[Child]:
    yield from ("Asked by ", tag("b", shown(visible_line(asker(request)))))
    yield from (" in ", tag("span", request.execution_id, class_="run"))
    if request.priority != "normal":
        yield from (" · ", tag("b", f"{request.priority} priority", class_=request.priority))
    if request.round > 1:
        yield f" · round {request.round}"
    if request.deadline is not None and request.is_open:
        yield from (" · until ", moment(request.deadline), f" ({_left(request.deadline, now)}), ")
        yield _THEN[request.on_timeout]
    for flag, is_set in request.reason_flags.items():
        if is_set:
            yield from (" · ", *shown(visible_line(flag.replace("_", " "))))


def _left(deadline: datetime, now: datetime) -> str:
    seconds = max(0, int((deadline - now).total_seconds()))
    for length, name in ((172_800, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // (86_400 if name == 'd' else length)} {name} left"
    return f"{seconds} s left"


def _cards(request: Request) -> Iterator[Element]:
    if request.context:
        yield card("Draft" if request.kind == "review" else "Context", request.context)
    if request.action is not None:
        runs = "runs if you approve" if request.is_open else None
        yield card(visible_line(request.action.name), json_text(request.action.args), beside=runs, is_code=True)
    data = {name: value for name, value in (request.context_data or {}).items() if name not in _TOLD}
    if data:
        yield card("Data", json_text(data), is_code=True)
