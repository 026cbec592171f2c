"""A type of the caller's as a form: its JSON Schema, and the person's values as one of its own. Pure."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from sayso.errors import Misconfigured

T = TypeVar("T")

_ROOT: Final = "#/$defs/"


class Misfit(ValueError):
    """Values that fit the schema, and yet not the type: its own checks want more."""


class Form(Generic[T]):
    """`type_` as a form. A pydantic model speaks for itself; a dataclass, TypedDict or msgspec Struct goes by msgspec.

    Raises Misconfigured for a type that is no object, or that JSON cannot hold.
    """

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._model: Any = type_ if hasattr(type_, "model_json_schema") and hasattr(type_, "model_validate") else None
        self.schema = self._schema()
        if self.schema.get("type") != "object":
            raise Misconfigured(f"response={_name(type_)} is no form: use a pydantic model, a dataclass or a TypedDict")

    def filled(self, values: Any) -> T:
        """`values`, as they came in, as the type. Raises Misfit."""
        try:
            if self._model is not None:
                filled: T = self._model.model_validate_json(msgspec.json.encode(values))
                return filled
            return msgspec.convert(values, self._type)
        except ValueError as exc:  # pydantic's and msgspec's errors both are; so is what a type's own checks raise
            raise Misfit(_sentence(exc)) from exc

    def _schema(self) -> dict[str, Any]:
        try:
            if self._model is not None:
                schema: dict[str, Any] = self._model.model_json_schema()
                return schema
            return _with_root(msgspec.json.schema(self._type))
        except Exception as exc:  # a type's own hooks may raise anything
            raise Misconfigured(f"response={_name(self._type)} has no JSON Schema: {exc}") from exc


def _with_root(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its root in place of a reference to it, as forms are written."""
    reference, parts = schema.get("$ref", ""), schema.get("$defs", {})
    root = parts.get(reference.removeprefix(_ROOT))
    if root is None:
        return schema
    rest = {name: part for name, part in parts.items() if part is not root}
    return root | ({"$defs": rest} if rest else {}) if reference not in str(parts) else schema


def _sentence(exc: ValueError) -> str:
    errors = getattr(exc, "errors", None)
    if callable(errors) and (found := errors()):
        where = ".".join(str(step) for step in found[0]["loc"])
        return f"{where}: {found[0]['msg']}" if where else str(found[0]["msg"])
    return str(exc)


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", repr(type_))
