"""A type of the caller's as a form: its JSON Schema, and the person's values as one of its own. Pure."""

from __future__ import annotations

import sys
from typing import Any, Final, Generic, TypeVar

import msgspec

from sayso.errors import Misconfigured
from sayso.fit import without_lookaround

T = TypeVar("T")

_ROOT: Final = "#/$defs/"


class Misfit(ValueError):
    """Values that fit the schema, and yet not the type: its own checks want more."""


class Form(Generic[T]):
    """`type_` as a form: a pydantic model, a dataclass (pydantic's, too), a TypedDict or a msgspec Struct.

    Raises Misconfigured for a type that is no object, or that JSON cannot hold.
    """

    def __init__(self, type_: type[T]) -> None:
        if not isinstance(type_, type):
            raise Misconfigured(f"response={type_!r} is no form: use a pydantic model, a dataclass or a TypedDict")
        self._type = type_
        self._pydantic = _adapter(type_) if hasattr(type_, "__pydantic_validator__") else None
        self.schema = self._schema()
        if self.schema.get("type") != "object":
            raise Misconfigured(f"response={_name(type_)} is no form: use a pydantic model, a dataclass or a TypedDict")

    def filled(self, values: Any) -> T:
        """`values`, as they came in, as the type. Raises Misfit."""
        try:
            if self._pydantic is not None:
                filled: T = self._pydantic.validate_json(msgspec.json.encode(values))
                return filled
            return msgspec.convert(values, self._type, str_keys=True)
        except ValueError as exc:  # pydantic's and msgspec's errors both are; so is what a type's own checks raise
            raise Misfit(_sentence(exc)) from exc

    def _schema(self) -> dict[str, Any]:
        try:
            if self._pydantic is None:
                try:
                    return _with_root(msgspec.json.schema(self._type))
                except TypeError:
                    if "pydantic" not in sys.modules:
                        raise
                    self._pydantic = _adapter(self._type)  # it may know the type of a member
            return _with_root(without_lookaround(self._pydantic.json_schema()))
        except Exception as exc:  # a type's own hooks may raise anything
            raise Misconfigured(f"response={_name(self._type)} has no JSON Schema: {exc}") from exc


def _adapter(type_: Any) -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - whoever has such a type has loaded it

    return TypeAdapter(type_)


def _with_root(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its root in place of a reference to it, as forms are written."""
    parts = schema.get("$defs", {})
    name = schema.get("$ref", "").removeprefix(_ROOT)
    if name not in parts:
        return schema
    root: dict[str, Any] = parts[name]
    is_recursive = f"'{_ROOT}{name}'" in str(parts)
    rest = parts if is_recursive else {other: part for other, part in parts.items() if other != name}
    return root | ({"$defs": rest} if rest else {})


def _sentence(exc: ValueError) -> str:
    errors = getattr(exc, "errors", None)
    if callable(errors) and (found := errors()):
        where = ".".join(str(step) for step in found[0]["loc"])
        return f"{where}: {found[0]['msg']}" if where else str(found[0]["msg"])
    return str(exc)


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", repr(type_))
