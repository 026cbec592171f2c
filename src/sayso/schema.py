"""JSON Schema 2020-12: checks the schemas that askers send, and people's values against them.

References to other documents are refused, and patterns run on a linear-time engine, so a schema cannot hang the server.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from sayso.errors import Fault, Invalid

_OPEN_ENDED = {"AdditionalProperties", "UnevaluatedProperties", "PropertyNames"}
_FAULTS = 50
"""Reported at the most: enough for any form, and no answer of a size the sender chose."""


def check_schema(schema: dict[str, Any], pointer: str) -> None:
    """Raises Invalid, pointing into `pointer`, unless `schema` is a JSON Schema 2020-12 that stands alone."""
    _validator(msgspec.json.encode(schema, order="deterministic"), pointer)


def check_value(value: Any, schema: dict[str, Any], pointer: str) -> None:
    """Raises Invalid with one fault for each place below `pointer` where `value` does not fit `schema`."""
    validator = _validator(msgspec.json.encode(schema, order="deterministic"), pointer)
    faults = []
    for error in validator.iter_errors(value):
        faults.append(Fault(pointer + _pointer(error.instance_path), _detail(error)))
        if len(faults) == _FAULTS:
            break
    if faults:
        raise Invalid(*faults)


@lru_cache(maxsize=256)
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


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _detail(error: jsonschema_rs.ValidationError) -> str:
    if type(error.kind).__name__.rpartition("_")[2] in _OPEN_ENDED:
        return "has a member that the schema does not allow"
    return error.message.split("\n")[0]
