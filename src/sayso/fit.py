"""Makes text fit its caps, visibly: what an agent or a program says must not fail for being long. Pure."""

from __future__ import annotations

from sayso import limits


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
