"""The file that says who is told of what: TOML, or JSON of the same form. Errors name the place and what to do."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from sayso.errors import Misconfigured
from sayso.notify.kinds import KINDS
from sayso.notify.rules import Rule
from sayso.notify.sending import Carrier, Surroundings

_MOST: Final = 100
"""Notifiers of one server; whoever tells more has a hub of their own behind one of them."""


class Configured(NamedTuple):
    """A notifier as the file has it. Without rules it delivers everything."""

    name: str
    kind: str
    rules: tuple[Rule, ...]
    carrier: Carrier


class _Notifier(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    kind: str
    rules: tuple[Rule, ...] = ()


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    notifier: Annotated[tuple[dict[str, Any], ...], Meta(max_length=_MOST)]


def read(path: Path, around: Surroundings) -> list[Configured]:
    """Raises Misconfigured."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as exc:
        raise Misconfigured(f"notify names {path}, which cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # of JSON, of TOML, of UTF-8
        form = "JSON" if path.suffix == ".json" else "TOML"
        raise Misconfigured(f"{path} is no {form}: {exc}") from exc
    try:
        entries = msgspec.convert(found, _File).notifier
    except msgspec.ValidationError as exc:
        raise Misconfigured(f"{path}: {exc}; each notifier is a table [[notifier]] with name and kind") from None
    made: list[Configured] = []
    for number, entry in enumerate(entries, 1):
        one = _made(entry, f"{path}, notifier {number}", around)
        if one.name in [other.name for other in made]:
            raise Misconfigured(f"{path}, notifier {number}: the name {one.name!r} is taken; give it another")
        made.append(one)
    return made


def _made(entry: dict[str, Any], where: str, around: Surroundings) -> Configured:
    try:
        one = msgspec.convert(entry, _Notifier)
        where = f"{where} ({one.name})"
        kind = KINDS.get(one.kind)
        if kind is None:
            raise Misconfigured(f"kind: there is no {one.kind!r}; known are: {', '.join(KINDS)}")
        own = {key: value for key, value in entry.items() if key not in _Notifier.__struct_fields__}
        return Configured(one.name, one.kind, one.rules, kind.make(msgspec.convert(own, kind.settings), around))
    except (msgspec.ValidationError, Misconfigured) as exc:
        raise Misconfigured(f"{where}: {exc}") from None
