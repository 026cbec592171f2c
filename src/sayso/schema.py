"""JSON Schema 2020-12: checks the schemas that askers send, and people's values against them.

References to other documents are refused, and patterns run on a linear-time engine, so a schema cannot hang the server.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from sayso import limits
from sayso.errors import Fault, Invalid

_OPEN_ENDED = {"AdditionalProperties", "UnevaluatedProperties", "PropertyNames"}
_SUBSCHEMAS = 2_000
"""In a schema at the most, each counted as often as it is referred to: a few words can mean 2^50 checks otherwise."""
_PATTERN = 20
"""Subschemas that a pattern counts for: what it takes when it is compiled."""
_POINTER = 500
"""Characters of a pointer at the most; it names members that the sender chose."""
_FAULTS = 50
"""Reported at the most: enough for any form, and no answer of a size the sender chose."""


def check_schema(schema: dict[str, Any], pointer: str) -> None:
    """Raises Invalid, pointing into `pointer`, unless `schema` is a JSON Schema 2020-12 that stands alone."""
    try:
        _Weight(schema, pointer).of(schema)
    except RecursionError as exc:
        raise Invalid(Fault(pointer, "refers from place to place too often")) from exc
    _validator(msgspec.json.encode(schema, order="deterministic"), pointer)


def check_value(value: Any, schema: dict[str, Any], pointer: str) -> None:
    """Raises Invalid with one fault for each place below `pointer` where `value` does not fit `schema`."""
    validator = _validator(msgspec.json.encode(schema, order="deterministic"), pointer)
    try:
        validator.validate(value)  # ends at the first misfit; `iter_errors` makes all before it gives one
    except jsonschema_rs.ValidationError as first:
        small = _Weight(schema, pointer).of(schema) * _members(value) <= limits.SCHEMA_WORK
        errors = islice(validator.iter_errors(value), _FAULTS) if small else [first]
        raise Invalid(*(Fault(pointer + _pointer(error.instance_path), _detail(error)) for error in errors)) from first


@lru_cache(maxsize=16)  # a schema may take megabytes when it is compiled
def _validator(encoded: bytes, pointer: str) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            msgspec.json.decode(encoded),
            validate_formats=True,
            offline=True,
            mask="this",
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except jsonschema_rs.ValidationError as exc:
        detail = "is no JSON Schema 2020-12 that stands alone (no remote $ref, no look-around in patterns)"
        raise Invalid(Fault(pointer + _pointer(exc.instance_path), detail)) from exc
    except ValueError as exc:
        raise Invalid(Fault(pointer, "is no JSON Schema 2020-12 that can be used here")) from exc


class _Weight:
    """How much a schema asks to be checked. Raises Invalid where that has no bound that suits a form."""

    def __init__(self, root: dict[str, Any], pointer: str) -> None:
        self._root = root
        self._pointer = pointer
        self._known: dict[str, int] = {}

    def of(self, node: Any) -> int:
        if isinstance(node, list):
            return sum(self.of(child) for child in node)
        if not isinstance(node, dict):
            return 0
        if (
            any(isinstance(node.get(name), str) for name in ("$id", "$anchor", "$dynamicAnchor"))
            and node is not self._root
        ):
            raise Invalid(Fault(self._pointer, "may name only its whole ($id); refer to parts as #/$defs/name"))
        named = node.get("patternProperties")
        patterns = isinstance(node.get("pattern"), str) + (len(named) if isinstance(named, dict) else 0)
        weight = 1 + _PATTERN * patterns
        weight += sum(self.of(child) for child in node.values())
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(reference := node.get(name), str):
                weight += self._referred(reference)
        if weight > _SUBSCHEMAS:
            raise Invalid(Fault(self._pointer, f"may hold at most {_SUBSCHEMAS} subschemas, references followed"))
        return weight

    def _referred(self, reference: str) -> int:
        """A reference back to where it came from is met once a level of the value; met twice, levels multiply."""
        if reference not in self._known:
            self._known[reference] = 0
            self._known[reference] = 1 + self.of(self._find(reference))
        elif not self._known[reference]:
            self._known[reference] = _SUBSCHEMAS
            return 0
        return self._known[reference]

    def _find(self, reference: str) -> Any:
        node: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(name) if isinstance(node, list) else name]
            except (KeyError, IndexError, ValueError, TypeError):
                return None
        if not reference.startswith("#") or (node is self._root and reference != "#"):
            raise Invalid(Fault(self._pointer, "may refer only to places inside itself, as #/$defs/name"))
        return node


def _pointer(path: list[str | int]) -> str:
    pointer = ""
    for step in path:
        longer = pointer + "/" + str(step).replace("~", "~0").replace("/", "~1")
        if len(longer) > _POINTER:
            break
        pointer = longer
    return pointer


def _members(value: Any) -> int:
    """How many values there are in `value`, itself included."""
    if isinstance(value, dict | list):
        return 1 + sum(_members(child) for child in (value.values() if isinstance(value, dict) else value))
    return 1


def _detail(error: jsonschema_rs.ValidationError) -> str:
    if type(error.kind).__name__.rpartition("_")[2] in _OPEN_ENDED:
        return "has a member that the schema does not allow"
    return error.message.split("\n")[0]
