"""What a person can press and write on the page, by the kind of the request; the browser sends it by itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element

from sayso.errors import Fault
from sayso.model import Decision, Kind, Option, Request
from sayso.server.answer_page.fields import WHOLE, Field, fields_of
from sayso.server.answer_page.given import DECISION, EDITED, NOTHING, OPTION, SEEN, SHOWING, WORDS, Given
from sayso.server.answer_page.html import Child, shown, tag
from sayso.server.answer_page.question import json_text
from sayso.visible import visible_line

_LABELS: Final[dict[Kind, str]] = {
    "review": "What to change, or why",
    "approval": "A remark, or why not",
    "gate": "Your reply, or a remark",
    "question": "Your answer",
    "choice": "A remark",
    "form": "A remark",
}
_RESPOND: Final[dict[Kind, str]] = {"review": "Ask for changes", "gate": "Send the reply", "approval": "Answer"}
_BUTTONS: Final[tuple[Decision, ...]] = ("approve", "respond", "reject")
_FAULTS: Final = "faults"


def controls(request: Request, given: Given = NOTHING, faults: Sequence[Fault] = ()) -> Element:
    """The form, with what was given before, and what is wrong with that. It is sent to where the page came from."""
    seen = request.action.digest if request.action else None
    has_options = bool(request.options) and "respond" in request.allow
    return tag(
        "form",
        tag("input", type="hidden", name=SHOWING, value=secrets.token_urlsafe(12)),
        tag("input", type="hidden", name=SEEN, value=seen) if seen else None,
        _wrong(faults) if faults else None,
        _options(request.options) if has_options else None,
        *(_fields(request, given, faults) if request.kind == "form" else ()),
        _words(request, given),
        tag("div", [*_buttons(request)], class_="buttons") if request.kind != "choice" else None,
        _editing(request, given) if "edit" in request.allow else None,
        method="post",
        autocomplete="off",
    )


def _wrong(faults: Sequence[Fault]) -> Element:
    """Read out first, and where the reader is put."""
    told = [tag("li", shown(f"{_place(fault.pointer)}{fault.detail}")) for fault in faults]
    title = tag("h2", "That cannot be taken yet")
    return tag("div", title, tag("ul", told), class_=_FAULTS, role="alert", tabindex="-1", autofocus=True)


def _place(pointer: str) -> str:
    name = visible_line(pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~"))
    return f"{name}: " if pointer.startswith("/values/") else ""


def _options(options: Sequence[Option]) -> Element:
    def button(option: Option) -> Element:
        about = tag("span", shown(visible_line(option.description)), class_="about") if option.description else None
        label = tag("span", shown(visible_line(option.label) or visible_line(option.id)))
        return tag("button", label, about, name=OPTION, value=option.id, class_=f"option {option.style}", dir="auto")

    return tag("div", [button(one) for one in options], class_="options", role="group", aria_label="Choose one")


def _words(request: Request, given: Given) -> Element:
    is_answer = request.kind == "question"
    needless = tag("span", " (may be left empty)", class_="about")
    return tag(
        "div",
        tag("label", _LABELS[request.kind], None if is_answer else needless, for_=WORDS),
        _textarea(WORDS, given.get(WORDS), rows="4" if is_answer else "3", required=is_answer, dir="auto"),
        class_="field",
    )


def _buttons(request: Request) -> Iterator[Element]:
    names = {
        "approve": "Approve as it is" if request.kind == "review" else "Approve",
        "respond": _RESPOND.get(request.kind, "Send"),
        "reject": "Reject",
    }
    first = next((one for one in _BUTTONS if one in request.allow), None)
    for decision in _BUTTONS:
        if decision in request.allow:
            look = "primary" if decision == first else "danger" if decision == "reject" else None
            yield tag("button", names[decision], name=DECISION, value=decision, class_=look)


def _editing(request: Request, given: Given) -> Element:
    """Folded away, since it is as long as the draft."""
    action = request.action
    title = "Change the call" if action else "Change the draft"
    begins = given.fields.get(EDITED, json_text(action.args) if action else request.context)
    return tag(
        "details",
        tag("summary", title),
        tag("label", "Use this instead", for_=EDITED),
        _textarea(EDITED, begins, rows="12", class_="code" if action else None, dir="auto"),
        tag("div", tag("button", "Use my version", name=DECISION, value="edit"), class_="buttons"),
        open=EDITED in given.fields and given.get(DECISION) == "edit",
    )


def _fields(request: Request, given: Given, faults: Sequence[Fault]) -> Iterator[Element]:
    schema = request.response_schema or {}
    fields = fields_of(schema)
    for field in fields:
        yield _field(field, given.fields.get(field.place, field.begins), faults)
    if not fields:
        code = _textarea(WHOLE, given.get(WHOLE), rows="8", class_="code")
        yield tag("div", tag("label", "Your answer, as JSON", for_=WHOLE), code, _shape(schema), class_="field")


def _shape(schema: dict[str, Any]) -> Element:
    """For whoever has to write JSON."""
    text = tag("pre", shown(json_text(schema)), class_="code", tabindex="0")
    return tag("details", tag("summary", "What it must fit"), text)


def _field(field: Field, value: str, faults: Sequence[Fault]) -> Element:
    wrong = [one.detail for one in faults if one.pointer == field.pointer]
    about = f"{field.place}-about"
    described = {
        "aria_describedby": about if field.about or wrong else None,
        "aria_invalid": "true" if wrong else None,
    }
    return tag(
        "div",
        tag(
            "label",
            shown(visible_line(field.title)),
            tag("span", " (as JSON)", class_="about") if field.control == "json" else None,
            None if field.is_required else tag("span", " (may be left empty)", class_="about"),
            for_=field.place,
        ),
        _CONTROLS[field.control](field, value, described),
        tag("p", shown(visible_line(". ".join(filter(None, (*wrong, field.about))))), id=about, class_="about")
        if field.about or wrong
        else None,
        _shape(field.schema) if field.control == "json" else None,
        class_="field",
    )


_Described = dict[str, str | None]


def _line(field: Field, value: str, described: _Described) -> Element:
    format = str(field.schema.get("format"))
    mode = "decimal" if field.control == "number" else {"email": "email", "uri": "url"}.get(format)
    kind = "date" if format == "date" else "text"
    return tag("input", id=field.place, name=field.place, value=value, type=kind, inputmode=mode, **described)


def _text(field: Field, value: str, described: _Described) -> Element:
    look = "code" if field.control == "json" else None
    return _textarea(field.place, value, rows="4", class_=look, **described)


def _choice(field: Field, value: str, described: _Described) -> Element:
    offered = {str(number): visible_line(one) for number, one in enumerate(field.choices)}
    if field.control == "yes-no":
        offered = {"true": "Yes", "false": "No"}
    options = [
        tag("option", text, value=key, selected=key == value) for key, text in {"": "Choose…", **offered}.items()
    ]
    return tag("select", options, id=field.place, name=field.place, **described)


_CONTROLS: Final[dict[str, Callable[[Field, str, _Described], Element]]] = {
    "line": _line,
    "number": _line,
    "text": _text,
    "json": _text,
    "choice": _choice,
    "yes-no": _choice,
}


def _textarea(name: str, text: str, **attributes: str | bool | None) -> Element:
    """Browsers drop a line break at the beginning, so there is one more."""
    children: list[Child] = [f"\n{text}"]
    return tag("textarea", children, id=name, name=name, **attributes)
