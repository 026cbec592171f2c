"""A form's schema as fields that a page without scripts can have, and what they say as the form's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from sayso.errors import Fault, Invalid
from sayso.wire import UNREADABLE, encode

Control = Literal["line", "text", "number", "yes-no", "choice", "json"]

_LONG: Final = 200
"""Characters from which on a text has more than one line."""
_LEFT_OUT: Final = object()
WHOLE: Final = "values"
"""Where all values stand, as JSON, of a schema that has no members."""


class Field(NamedTuple):
    """One member of a form. `place`: its name on the page, which says nothing of what the agent calls it."""

    place: str
    pointer: str
    name: str
    control: Control
    title: str
    about: str
    begins: str
    choices: tuple[str, ...]
    is_required: bool
    is_nullable: bool
    schema: dict[str, Any]


def fields_of(schema: dict[str, Any]) -> list[Field]:
    """Its members in their order; a nested one is written as JSON. None at all: the whole is."""
    members = schema.get("properties")
    if not isinstance(members, dict):
        return []
    required = schema.get("required")
    wanted = required if isinstance(required, list) else []
    return [_field(number, name, schema, name in wanted) for number, name in enumerate(members)]


def values_of(schema: dict[str, Any], form: Mapping[str, str]) -> Any:
    """What the fields say; what is left empty, and need not be there, is left out. Raises Invalid, with pointers."""
    fields = fields_of(schema)
    faults: list[Fault] = []
    if not fields:
        try:
            return json_of(form.get(WHOLE, ""))
        except ValueError:
            raise Invalid(Fault("/values", "must be JSON")) from None
    values: dict[str, Any] = {}
    for field in fields:
        try:
            value = _value(field, form.get(field.place, ""))
        except ValueError as exc:
            faults.append(Fault(field.pointer, str(exc)))
            continue
        if value is not _LEFT_OUT:
            values[field.name] = value
    if faults:
        raise Invalid(*faults)
    return values


def _field(number: int, name: str, root: dict[str, Any], is_required: bool) -> Field:
    schema, is_nullable = _plain(root["properties"][name], root)
    control = _control(schema)
    choices = tuple(_written(one) for one in schema["enum"]) if control == "choice" else ()
    default = schema.get("default")
    begins = "" if default is None else _written(default)
    if control == "choice":
        begins = str(choices.index(begins)) if begins in choices else ""
    return Field(
        place=f"value-{number}",
        pointer=f"/values/{name.replace('~', '~0').replace('/', '~1')}",
        name=name,
        control=control,
        title=_text(schema.get("title")) or name.replace("_", " "),
        about=_text(schema.get("description")),
        begins=begins,
        choices=choices,
        is_required=is_required,
        is_nullable=is_nullable,
        schema=schema,
    )


def _plain(given: Any, root: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """A member's schema without the reference and the choice of null around it, as frameworks write them."""
    schema = _resolved(given, root)
    branches = schema.get("anyOf")
    if isinstance(branches, list):
        others = [one for one in branches if not (isinstance(one, dict) and one.get("type") == "null")]
        if len(others) == 1 and len(branches) > 1:
            beside = {key: value for key, value in schema.items() if key != "anyOf"}
            return {**_resolved(others[0], root), **beside}, True
    kinds = schema.get("type")
    if isinstance(kinds, list) and len(kinds) == 2 and "null" in kinds:
        return {**schema, "type": next((one for one in kinds if one != "null"), "null")}, True
    return schema, False


def _resolved(given: Any, root: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, dict) and isinstance(given.get("$ref"), str):
        definitions = root.get("$defs")
        named = definitions.get(given["$ref"].removeprefix("#/$defs/")) if isinstance(definitions, dict) else None
        given = {**(named if isinstance(named, dict) else {}), **given}
    return given if isinstance(given, dict) else {}


def _control(schema: dict[str, Any]) -> Control:
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return "choice"
    if schema.get("type") == "string":
        most = schema.get("maxLength")
        return "text" if schema.get("format") == "textarea" or (isinstance(most, int) and most > _LONG) else "line"
    known: dict[Any, Control] = {"boolean": "yes-no", "integer": "number", "number": "number"}
    kind = schema.get("type")
    return known.get(kind, "json") if isinstance(kind, str) else "json"


def _value(field: Field, written: str) -> Any:
    """Raises ValueError, which says what is wrong."""
    if field.control in ("line", "text"):
        return written if written or field.is_required else _LEFT_OUT
    if not written.strip():
        if field.is_required and not field.is_nullable:
            raise ValueError("must not be left empty")
        return None if field.is_required else _LEFT_OUT
    if field.control == "choice":
        if written.isascii() and written.isdigit() and int(written[:6]) < len(field.choices):
            return field.schema["enum"][int(written[:6])]
        raise ValueError("must be one of the choices")
    if field.control == "number":
        value = json_of(written.strip(), "must be a number")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        return value
    return json_of(written, "must be yes or no" if field.control == "yes-no" else "must be JSON")


def json_of(written: str, otherwise: str = "must be JSON") -> Any:
    try:
        return msgspec.json.decode(written)
    except UNREADABLE:
        raise ValueError(otherwise) from None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
