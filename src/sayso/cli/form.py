"""A form, filled in member by member at a terminal. What is wrong in itself is asked for again at once."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import click
import msgspec

from sayso.cli.plain import json_line, line

_YES_OR_NO: Final = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def fill_in(schema: dict[str, Any], before: Any = None) -> Any:
    """The values of a form. A nested member is written as JSON, and so is all of what has no members.

    before: values to begin with, which are offered again.
    """
    members = schema.get("properties")
    if not isinstance(members, dict) or not members:
        return click.prompt("Your answer (JSON)", value_proc=_json)
    values = {}
    required = schema.get("required", [])
    for name, about in members.items():
        told = _resolved(about, schema)
        offered = before[name] if isinstance(before, dict) and name in before else told.get("default")
        written = click.prompt(
            f"{_label(name, told)} ({_kind(told)})",
            default="" if offered is None else _shown(offered),
            show_default=offered is not None,
            value_proc=partial(_value, told, offered, name in required),
        )
        if written is not _LEFT_OUT:
            values[name] = written
    return values


_LEFT_OUT: Final = object()


def _resolved(about: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """What the schema says of a member, also where it says it in its `$defs`."""
    if isinstance(about, dict) and isinstance(about.get("$ref"), str):
        named = schema.get("$defs", {}).get(about["$ref"].removeprefix("#/$defs/"))
        about = {**(named if isinstance(named, dict) else {}), **about}
    return about if isinstance(about, dict) else {}


def _label(name: str, about: dict[str, Any]) -> str:
    return line(str(about.get("description") or about.get("title") or name))


def _kind(about: dict[str, Any]) -> str:
    if choices := about.get("enum"):
        return " | ".join(map(_shown, choices))
    if about.get("type") == "boolean":
        return "yes | no"
    return "text" if _is_text(about) else line(str(about.get("type", "JSON")))


def _is_text(about: dict[str, Any]) -> bool:
    """Whether a text can be the value, so that what is written need not be JSON."""
    kinds = [about, *about.get("anyOf", ()), *about.get("oneOf", ())]
    return any("string" in (kind.get("type"), *_listed(kind.get("type"))) for kind in kinds if isinstance(kind, dict))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(about: dict[str, Any], offered: Any, is_required: bool, text: str) -> Any:
    """What was written for one member. Raises BadParameter, after which it is asked for again."""
    if offered is not None and text == _shown(offered):
        return offered
    if text == "" and not is_required:
        return _LEFT_OUT
    for choice in about.get("enum", ()):
        if text == _shown(choice):
            return choice
    if "enum" in about:
        raise click.BadParameter("it is none of these")
    if about.get("type") == "boolean":
        if text.strip().lower() not in _YES_OR_NO:
            raise click.BadParameter("it is yes or no")
        return _YES_OR_NO[text.strip().lower()]
    return text if _is_text(about) else _json(text)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise click.BadParameter(f"it must be a number, or other JSON: {exc}") from exc


def _shown(value: Any) -> str:
    return line(value if isinstance(value, str) else json_line(value))
