"""Whether what sayso needs is installed, and not too old."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final, NamedTuple

from sayso.cli.doctor.finding import Finding

_EXTRAS: Final = {
    "server": "serve, and agents in this process",
    "client": "the commands",
    "crewai": "crewAI's agents",
    "otel": "traces",
}
"""What is optional, and for whom."""
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)>=(?P<least>[\w.]+); (?:\(sys_platform != '(?P<not_on>\w+)'\) and )?extra == '(?P<extra>\w+)'"
)


class _Need(NamedTuple):
    name: str
    least: str
    has: str | None

    @property
    def is_old(self) -> bool:
        return self.has is not None and _numbers(self.has) < _numbers(self.least)


def findings() -> Iterator[Finding]:
    here = ".".join(map(str, sys.version_info[:3]))
    own = version_of("sayso")
    if own is None:
        yield Finding("note", f"Python {here}; sayso runs from a folder, so what it needs is not written down")
        return
    yield Finding("right", f"Python {here}, sayso {own}")
    needs: dict[str, list[_Need]] = {extra: [] for extra in _EXTRAS}
    for text in requires("sayso") or ():
        found = _REQUIREMENT.fullmatch(text)
        if found and found["extra"] in needs and found["not_on"] != sys.platform:
            needs[found["extra"]].append(_Need(found["name"], found["least"], version_of(found["name"])))
    for extra, needed in needs.items():
        yield from _of(extra, needed)


def _of(extra: str, needed: list[_Need]) -> Iterator[Finding]:
    missing = [need.name for need in needed if need.has is None]
    old = [need for need in needed if need.is_old]
    if missing:
        what = f"{extra} is not installed; it is for {_EXTRAS[extra]} (missing: {', '.join(missing)})"
        yield Finding("note", what, f"pip install 'sayso[{extra}]'")
    for need in old:
        what = f"{need.name} {need.has} is too old: {extra} needs {need.least} or later"
        yield Finding("wrong", what, f"pip install --upgrade '{need.name}>={need.least}'")
    if not missing and not old:
        own = version_of(extra)
        yield Finding("right", f"{extra} is installed{f': {extra} {own}' if own else ''}")


def version_of(package: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """What of a version can be compared without more ado: 1.15.3a1 counts as 1.15.3."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
