"""The pages of an answer link, each in one state of its question."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final

from sayso.answer_link import AnswerLink
from sayso.errors import Fault, LinkOver, NotFound, SaysoError
from sayso.model import Request
from sayso.server.answer_page.controls import controls
from sayso.server.answer_page.given import NOTHING, Given
from sayso.server.answer_page.html import Child, document, shown, tag
from sayso.server.answer_page.question import outcome, question, title_of

_LOGO: Final = (
    ("rect", {"width": "32", "height": "32", "rx": "9", "class": "back"}),
    (
        "path",
        {
            "class": "front",
            "d": "M9 12.5A3.5 3.5 0 0 1 12.5 9h7a3.5 3.5 0 0 1 3.5 3.5v4a3.5 3.5 0 0 1-3.5 3.5H16l-4.5 4v-4"
            "A2.5 2.5 0 0 1 9 17.5Z",
        },
    ),
    ("path", {"class": "tick", "d": "m13 14.7 2.2 2.2 4-4.4"}),
)
_OVER: Final[dict[type[SaysoError], str]] = {LinkOver: "This link has ended", NotFound: "There is nothing here"}


def asking(
    request: Request, link: AnswerLink, now: datetime, given: Given = NOTHING, faults: Sequence[Fault] = ()
) -> bytes:
    """The question, with what can be answered; `faults`: of what was `given` before."""
    title = title_of(request)
    return _page(
        f"Not taken yet: {title}" if faults else title,
        tag("h1", shown(title), dir="auto"),
        *question(request, now),
        tag("h2", "Your answer", class_="yours"),
        controls(request, given, faults),
        tag("p", "You answer as ", tag("b", link.owner), ". Whoever has this link can answer, once.", class_="facts"),
    )


def thanks(request: Request) -> bytes:
    """After the answer that counts."""
    return _end("Your answer was taken", request)


def settled(request: Request, now: datetime, *, too_late: bool = False) -> bytes:
    """What became of it, and what it was about; `too_late`: to whoever has just answered."""
    said = "It was settled before your answer came" if too_late else "This question is settled"
    return _end(said, request, *question(request, now))


def problem(error: SaysoError) -> bytes:
    """No question can be shown."""
    title = _OVER.get(type(error), "That did not work")
    return _page(title, tag("h1", title), tag("p", shown(error.detail)))


def policy() -> str:
    """The page's own style and its own form, and nothing else, from anywhere."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


def _end(said: str, request: Request, *more: Child) -> bytes:
    title = tag("h2" if more else "p", shown(title_of(request)), class_="yours" if more else "facts", dir="auto")
    return _page(said, tag("h1", said), *outcome(request), title, *more)


def _page(title: str, *children: Child) -> bytes:
    logo = tag("svg", viewBox="0 0 32 32", aria_hidden="true")
    for name, attributes in _LOGO:
        part = tag(name)
        part.attrib.update(attributes)
        logo.append(part)
    return document(
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                tag("meta", name="color-scheme", content="light dark"),
                tag("title", f"{title} · sayso"),
                tag("style", _style()),
            ),
            tag("body", tag("header", logo, "sayso"), tag("main", *children)),
            lang="en",
        )
    )


@cache
def _style() -> str:
    return files(__package__).joinpath("style.css").read_text(encoding="utf-8")
