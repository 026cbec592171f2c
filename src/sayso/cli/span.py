"""Spans of time as people say them: 40s, 12m, 3h, 2d."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import click

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")


def span(seconds: float) -> str:
    """A span in its largest unit; of few hours or days, with the next unit, too."""
    for (unit, size), (part, part_size) in pairwise(_UNITS.items()):
        if seconds >= size:
            rest = int(seconds % size // part_size)
            is_rough = unit in "dh" and seconds < 10 * size and rest
            return f"{seconds // size:.0f}{unit}" + (f"{rest}{part}" if is_rough else "")
    return f"{max(0.0, seconds) // 1:.0f}s"


class Span(click.ParamType):  # type: ignore[type-arg]  # older clicks have none
    """Seconds, more than none: `90`, `90s`, `1.5m`, `2h`, `1d`."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _SPAN.fullmatch(str(value).strip())
        seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is no span of time; write 90 (seconds), 10m, 2h or 1d", param, ctx)
        return seconds


class Since(click.ParamType):  # type: ignore[type-arg]  # older clicks have none
    """A moment: a span before now (`2d`), or a date or time after ISO 8601, of this place where it names no other."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            if text[-1:] in _UNITS:
                return datetime.now(UTC) - timedelta(seconds=Span().convert(text, param, ctx))
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no moment; write 2d (ago), 2026-11-30 or 2026-11-30T14:00", param, ctx)
