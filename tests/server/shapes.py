"""The two events as the seed proposal has them, as literal JSON Schemas: its members, all required, of its types."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}

REQUIRED = {
    "type": "object",
    "required": [
        "type",
        "execution_id",
        "crew_id",
        "task_id",
        "agent_id",
        "prompt",
        "context",
        "timestamp",
        "event_id",
        "reason_flags",
    ],
    "properties": {
        "type": {"const": "human_input_required"},
        "execution_id": _UUID,
        "crew_id": _UUID,
        "task_id": _UUID,
        "agent_id": _UUID,
        "prompt": _TEXT,
        "context": _TEXT,
        "timestamp": _TIME,
        "event_id": _UUID,
        "reason_flags": {
            "type": "object",
            "required": ["ambiguity", "missing_field"],
            "properties": {"ambiguity": {"type": "boolean"}, "missing_field": {"type": "boolean"}},
        },
    },
}
COMPLETED = {
    "type": "object",
    "required": [
        "type",
        "execution_id",
        "crew_id",
        "task_id",
        "agent_id",
        "event_id",
        "human_feedback",
        "timestamp",
    ],
    "properties": {
        "type": {"const": "human_input_completed"},
        "execution_id": _UUID,
        "crew_id": _UUID,
        "task_id": _UUID,
        "agent_id": _UUID,
        "event_id": _UUID,
        "human_feedback": _TEXT,
        "timestamp": _TIME,
    },
}
_VALIDATORS = {
    schema["properties"]["type"]["const"]: jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for schema in (REQUIRED, COMPLETED)
}


def check(event: dict[str, Any]) -> None:
    """Raises unless `event` has the seed's shape."""
    _VALIDATORS[event["type"]].validate(event)
