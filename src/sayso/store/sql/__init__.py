"""Reads the SQL files beside it: one folder an engine, `queries.sql` with named statements, numbered migrations."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


def queries(engine: str) -> dict[str, str]:
    """The named statements of `engine`."""
    text = files(__name__).joinpath(engine, "queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}


def migrations(engine: str) -> list[tuple[int, str]]:
    """The migrations of `engine` in order: number and script."""
    return sorted(
        (int(match[1]), file.read_text(encoding="utf-8"))
        for file in files(__name__).joinpath(engine).iterdir()
        if (match := _MIGRATION.fullmatch(file.name))
    )
