"""Where the code that runs here belongs, as the framework that runs it has told: for questions that do not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

origin: ContextVar[Callable[[], Mapping[str, Any]]] = ContextVar("sayso_origin", default=dict)
"""Gives members of a Question: `execution_id`, the ids, `source`."""
