"""What schemathesis is told beside its configuration."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import schemathesis

_WAIT = 0.02
"""Seconds that a call is held at the most: whether it is held has tests of its own."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    query = case.query or {}
    with suppress(TypeError, ValueError):
        if float(query.get("wait")) > _WAIT:
            query["wait"] = _WAIT
