"""How requests look in a terminal. What agents and people wrote is shown, never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from markdown_it import MarkdownIt
from rich.console import Group, RenderableType
from rich.highlighter import JSONHighlighter
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sayso.cli.ending import counts
from sayso.cli.ids import short_id
from sayso.cli.plain import json_text, line, plain
from sayso.cli.span import span
from sayso.model import InputCompleted, InputRequired, Option, Request
from sayso.telling import asker

_PRIORITY: Final = {"urgent": "bold red", "high": "yellow", "normal": "", "low": "dim"}
_STATUS: Final = {"answered": "green", "expired": "yellow", "cancelled": "dim"}
_OPTION: Final = {"default": "", "primary": "bold", "danger": "red"}
_KNOWN_DATA: Final = frozenset({"agent", "crew", "task"})
"""What of `context_data` is told elsewhere, or tells a person nothing more."""


def table(requests: Sequence[Request], *, now: datetime | None = None) -> Table:
    """The inbox. A column that would say the same in each row is left out."""
    now = now or datetime.now(UTC)
    columns = {
        "ID": [Text(short_id(one.request_id)) for one in requests],
        "AGE": [Text(span((now - one.created_at).total_seconds()), justify="right") for one in requests],
        "LEFT": [Text(_left(one, now), justify="right") for one in requests],
        "KIND": [Text(one.kind) for one in requests],
        "STATUS": [Text(one.status, style=_STATUS.get(one.status, "")) for one in requests],
        "PRIORITY": [Text(one.priority, style=_PRIORITY[one.priority]) for one in requests],
        "FOR": [_cut(", ".join(one.assignees), "") for one in requests],
        "WHAT": [_cut(one.title, _PRIORITY[one.priority]) for one in requests],
    }
    usual = {"LEFT": "", "STATUS": "pending", "PRIORITY": "normal", "FOR": ""}
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    kept = [name for name, cells in columns.items() if any(cell.plain != usual.get(name) for cell in cells)]
    for name in kept:
        shown.add_column(name, no_wrap=name not in _CUT, ratio=_CUT.get(name))
    for row in zip(*(columns[name] for name in kept), strict=True):
        shown.add_row(*row)
    return shown


_CUT: Final = {"FOR": 1, "WHAT": 3}
"""What gives way on a narrow terminal, and how much of what is left it has."""


def _cut(text: str, style: str) -> Text:
    return Text(line(text), style=style, no_wrap=True, overflow="ellipsis")


def _left(request: Request, now: datetime) -> str:
    if request.deadline is None or not request.is_open:
        return ""
    return span((request.deadline - now).total_seconds())


def details(request: Request, *, now: datetime | None = None) -> Panel:
    """One request, with everything that a person needs to decide; of a settled one, what became of it."""
    parts: list[RenderableType] = [_rendered(request.prompt)]
    if request.context:
        parts.append(_part("draft" if request.kind == "review" else "context", _as_written(request.context)))
    data = {name: value for name, value in (request.context_data or {}).items() if name not in _KNOWN_DATA}
    if data:
        parts.append(_part("data", _json(data)))
    if request.action is not None:
        parts.append(_part(line(request.action.name), _json(request.action.args)))
    if request.options:
        parts.append(Padding(_options(request.options), (1, 0, 0, 1)))
    facts = [*_facts(request, now or datetime.now(UTC))]
    if facts:
        parts.append(Padding(Text(" · ".join(facts), style="dim"), (1, 0, 0, 0)))
    if not request.is_open:
        parts.append(Padding(_outcome(request), (1, 0, 0, 0)))
    is_told = line(request.prompt) == line(request.title)
    title = f"{line(asker(request))} asks" if is_told else line(request.title)
    return Panel(
        Group(*parts),
        title=Text(title, style=f"bold {_PRIORITY[request.priority]}"),
        title_align="left",
        subtitle=Text(f"{request.kind} · {request.status} · {request.request_id}"),
        subtitle_align="left",
        padding=(1, 2),
    )


def _part(title: str, shown: RenderableType) -> Padding:
    return Padding(Panel(shown, title=Text(title, style="bold")), (1, 0, 0, 0))


def _options(options: tuple[Option, ...]) -> Table:
    """Numbered, as a person may name them."""
    shown = Table.grid(padding=(0, 2, 0, 0))
    for number, option in enumerate(options, 1):
        id = f"({line(option.id)})" if option.label and line(option.label) != line(option.id) else ""
        shown.add_row(
            Text(str(number), style="bold"),
            Text(line(option.label or option.id), style=_OPTION[option.style]),
            Text(id, style="dim"),
            Text(line(option.description)),
        )
    return shown


def _facts(request: Request, now: datetime) -> Iterable[str]:
    if line(request.title) != line(request.prompt):
        yield f"asked by {line(asker(request))}"
    if request.assignees:
        yield f"for {line(', '.join(request.assignees))}"
    if request.priority != "normal":
        yield f"{request.priority} priority"
    if request.deadline is not None and request.is_open:
        yield f"{_left(request, now)} left, then {_THEN[request.on_timeout]}"
    if request.round > 1:
        yield f"round {request.round}"
    yield from (line(flag.replace("_", " ")) for flag, is_set in request.reason_flags.items() if is_set)


_THEN: Final = {
    "reject": "it counts as rejected",
    "approve": "it counts as approved",
    "default": "its default counts",
    "cancel": "it is cancelled",
}


def _outcome(request: Request) -> Text:
    """What became of a settled request."""
    said = [request.status, f"by {line(request.settled_by or '')}"]
    if request.reason:
        said.append(f"({line(request.reason)})")
    shown = Text(" ".join(said), style=_STATUS[request.status])
    if request.answer is not None:
        shown.append(f": {request.answer.decision}" if counts(request) else f"; it counts as {request.answer.decision}")
        if request.words not in ("", request.answer.decision):
            shown.append(f"\n{plain(request.words)}", style="default")
        if request.answer.comment:
            shown.append(f"\n({plain(request.answer.comment)})", style="default")
    return shown


def event(told: InputRequired | InputCompleted) -> Text:
    """One line of a live view."""
    when = told.timestamp.astimezone().strftime("%H:%M:%S")
    if isinstance(told, InputRequired):
        shown = Text(f"{when}  asked      ", style=_PRIORITY[told.priority])
        return shown.append(f"{short_id(told.request_id):8}  {line(told.title)}")
    what = f"{told.decision} by {line(told.by)}" if told.decision else f"by {line(told.by)}"
    words = line(told.human_feedback or told.reason)
    shown = Text(f"{when}  ").append(f"{told.status:9}  ", style=_STATUS[told.status])
    shown.append(f"{short_id(told.request_id):8}  {what}")
    return shown.append(f": {words}" if words not in ("", told.decision) else "")


def _rendered(text: str) -> Markdown:
    """Markdown in which nothing is hidden: line breaks stay, and HTML, links and definitions are shown as written."""
    shown = Markdown("", code_theme="ansi_dark")
    shown.parsed = MarkdownIt().enable("table").disable(_HIDING).parse(plain(text))
    for token in shown.parsed:
        if token.type == "fence" and " " in token.info.strip():
            token.content = f"{token.info}\n{token.content}"
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return shown


_HIDING: Final = ["html_block", "html_inline", "image", "link", "reference"]
"""What of Markdown shows less than it says."""


def _as_written(text: str) -> Text:
    """Every character of a draft: what is approved is what is seen. Marks of Markdown and of diffs get colours."""
    shown = Text(plain(text).rstrip("\n"))
    marks = _DIFF if _LOOKS_LIKE_DIFF.search(text) else _MARKDOWN
    for pattern, style in marks.items():
        shown.highlight_regex(pattern, style)
    return shown


_LOOKS_LIKE_DIFF: Final = re.compile(r"^(diff --git |@@ -\d)", re.MULTILINE)
_DIFF: Final = {r"(?m)^\+.*$": "green", r"(?m)^-.*$": "red", r"(?m)^@@.*$": "cyan", r"(?m)^diff .*$": "bold"}
_MARKDOWN: Final = {r"(?m)^#{1,6} .*$": "bold", r"\*\*[^*\n]+\*\*": "bold", r"`[^`\n]+`": "cyan"}


def _json(value: Any) -> Text:
    return JSONHighlighter()(Text(json_text(value)))
