"""What processes say to each other in notifications: which executions came how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_PAYLOAD: Final = 7_900
"""Bytes of one notification; PostgreSQL takes 7,999."""
_MESSAGES: Final = 2
"""For more executions than fit in so many, one message says: any of them."""
_ANY: Final = "*"


def written(node: int, came: Mapping[str, int]) -> Sequence[str]:
    """The payloads: who says it, then `execution=position` for each; ids hold neither blanks nor equals signs."""
    messages, message = list[str](), str(node)
    for id, position in came.items():
        word = f" {id}={position}"
        if len(message) + len(word) > _PAYLOAD:
            messages.append(message)
            message = str(node)
        message += word
    messages.append(message)
    return messages if len(messages) <= _MESSAGES else [f"{node} {_ANY}"]


def read(payload: str) -> tuple[int, Mapping[str, int] | None]:
    """Who said it, and what; None: it may be any execution, or a version that writes otherwise. Never fails."""
    node, *words = payload.split(" ")
    try:
        return int(node), {id: int(position) for id, _, position in (word.rpartition("=") for word in words)}
    except ValueError:
        return int(node) if node.isdecimal() else 0, None
