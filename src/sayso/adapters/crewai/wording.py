"""What crewAI holds (outputs, metadata, models) in a form that a request may hold. Never fails a crew."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from sayso.errors import Invalid
from sayso.fit import without_lookaround
from sayso.schema import check_schema
from sayso.wire import check_json

logger = logging.getLogger(__name__)


def shown(value: Any) -> str:
    """What a person reads of an agent's output: text as it is, everything else as JSON.

    A model goes by the names of its schema, and so of an edit.
    """
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, BaseModel):
            return value.model_dump_json(by_alias=True)
        return msgspec.json.format(msgspec.json.encode(as_json(value))).decode()
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return str(value)


def as_json(value: Any) -> Any:
    """`value` as JSON would hold it; what JSON knows nothing of becomes its text."""
    return to_jsonable_python(value, fallback=str, by_alias=True)


def as_metadata(value: Any) -> dict[str, Any]:
    """`value` as an object of a request; {} where a request cannot hold it."""
    try:
        found = as_json(value)
        check_json(found, "")
    except (Invalid, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def output_model(task: Any) -> type[BaseModel] | None:
    """The model that a task's output is to be one of; None: it is text."""
    for name in ("output_pydantic", "output_json", "response_model"):
        model = getattr(task, name, None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            return model
    return None


def usable_schema(model: type[BaseModel] | None) -> dict[str, Any] | None:
    """The JSON Schema of what a person may send for `model`; None where there is none, or none that can be checked."""
    if model is None:
        return None
    try:
        schema: dict[str, Any] = without_lookaround(model.model_json_schema())
        check_json(schema, "")
        check_schema(schema, "")
    except Exception as exc:  # whatever pydantic, or a type's own hook, makes of a type that JSON cannot hold
        logger.warning("%s is asked for without a schema: %s", model.__name__, exc)
        return None
    return schema
