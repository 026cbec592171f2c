"""How requests look in a terminal. What agents and people wrote is shown, never obeyed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from sayso.model import InputCompleted, InputRequired, Request

_PRIORITY: Final = {"urgent": "bold red", "high": "yellow", "normal": "", "low": "dim"}
_SHORT: Final = 8
"""The end of an id, which tells one request from another better than its beginning, a time."""


def console(*, stderr: bool = False) -> Console:
    """One that shows no colour where NO_COLOR, or a pipe, forbids it."""
    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def plain(text: str) -> str:
    """`text` without anything that a terminal would obey, or that changes the order in which it is read."""
    text = text.replace("\r\n", "\n")
    return "".join(one if _is_harmless(one) else "\N{REPLACEMENT CHARACTER}" for one in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def line(text: str) -> str:
    return " ".join(plain(text).split())


def table(requests: Iterable[Request], *, now: datetime | None = None) -> Table:
    """The inbox."""
    now = now or datetime.now(UTC)
    shown = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for name, settings in (
        ("ID", {"no_wrap": True}),
        ("AGE", {"justify": "right", "no_wrap": True}),
        ("LEFT", {"justify": "right", "no_wrap": True}),
        ("KIND", {"no_wrap": True}),
        ("WHAT", {"overflow": "ellipsis", "ratio": 1}),
        ("STATUS", {"no_wrap": True}),
    ):
        shown.add_column(name, **settings)
    for one in requests:
        left = "" if one.deadline is None or not one.is_open else span((one.deadline - now).total_seconds())
        what = Text(line(one.title), style=_PRIORITY[one.priority], no_wrap=True, overflow="ellipsis")
        status = one.status if one.priority == "normal" else f"{one.status} {one.priority}"
        shown.add_row(short(one), span((now - one.created_at).total_seconds()), left, one.kind, what, status)
    return shown


def short(request: Request) -> str:
    """What is enough to name it in a command."""
    return short_id(request.request_id)


def short_id(request_id: str) -> str:
    """The end of a long id, which a shell does not take for an option."""
    return request_id if len(request_id) <= 2 * _SHORT else request_id[-_SHORT:].lstrip("-")


def span(seconds: float) -> str:
    """A time span as people say it: 40s, 12m, 3h, 2d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def details(request: Request) -> Panel:
    """One request, with everything a person needs to decide."""
    parts: list[RenderableType] = [_markdown(request.prompt)]
    if request.context:
        parts.append(Panel(_markdown(request.context), title="draft" if request.kind == "review" else "context"))
    if request.action is not None:
        arguments = msgspec.json.format(msgspec.json.encode(request.action.args)).decode()
        parts.append(
            Panel(Syntax(plain(arguments), "json", background_color="default"), title=Text(line(request.action.name)))
        )
    for option in request.options:
        label = f"{line(option.id)}  {line(option.label)}" if option.label else line(option.id)
        about = f"  {line(option.description)}" if option.description else ""
        parts.append(Padding(Text(f"• {label}{about}"), (0, 2)))
    asker = line(str((request.context_data or {}).get("agent") or request.source.name))
    foot = Text(f"{asker} · {request.kind} · {request.status} · {request.request_id}")
    title = Text(line(request.title), style=f"bold {_PRIORITY[request.priority]}")
    return Panel(Group(*parts), title=title, title_align="left", subtitle=foot, subtitle_align="left", padding=(1, 2))


def event(told: InputRequired | InputCompleted) -> Text:
    """One line of a live view."""
    when = told.timestamp.astimezone().strftime("%H:%M:%S")
    if isinstance(told, InputRequired):
        shown = Text(f"{when}  asked     ", style=_PRIORITY[told.priority])
        return shown.append(f"{short_id(told.request_id)}  {line(told.title)}")
    words = line(told.human_feedback)
    what = told.decision or told.status
    return Text(
        f"{when}  {told.status:9} {short_id(told.request_id)}  {what} by {line(told.by)}{f': {words}' if words else ''}"
    )


def _markdown(text: str) -> Markdown:
    return Markdown(plain(text), hyperlinks=False)
