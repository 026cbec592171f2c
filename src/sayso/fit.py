"""Makes what a program says fit to be asked: text its caps, schemas what can be checked in linear time. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from sayso import limits

_LOOKS_AROUND: Final = re.compile(r"\(\?<?[=!]|\\[1-9]")


def cut(text: str, limit: int) -> str:
    """`text` within `limit` bytes of UTF-8, the cut visible."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode("utf-8")
    mark = f"\n\n[… cut here: {len(data)} bytes in all]"
    return data[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


def line(text: str) -> str:
    """`text` as one line that a title may be, without anything that a terminal would obey."""
    text = text.encode("utf-8", "replace").decode()
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    most = limits.TITLE_CHARACTERS
    return line if len(line) <= most else line[: most - 1] + "…"


def without_lookaround(schema: Any) -> Any:
    """`schema` without each `pattern` that looks around or back, for whoever checks the values again: no such pattern
    can be checked in linear time, and pydantic writes one for every Decimal."""
    if isinstance(schema, list):
        return [without_lookaround(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: without_lookaround(value)
        for name, value in schema.items()
        if not (name == "pattern" and isinstance(value, str) and _LOOKS_AROUND.search(value))
    }
