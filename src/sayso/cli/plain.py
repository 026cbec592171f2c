"""Text that people and agents wrote, made fit to be shown: a terminal shows it, and obeys none of it."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec

from sayso.wire import encode


def plain(text: str) -> str:
    """`text` without anything that a terminal would obey, or that changes the order in which it is read."""
    text = text.replace("\r\n", "\n")
    return "".join(one if _is_harmless(one) else "\N{REPLACEMENT CHARACTER}" for one in text)


def line(text: str) -> str:
    """`text` on one line, likewise."""
    return " ".join(plain(text).split())


def json_line(value: Any, *, is_ascii: bool = False) -> str:
    """`value` as JSON on one line: the same value, with escapes for what `plain` would not show.

    is_ascii: with escapes for everything beyond ASCII, too.
    """
    return _escaped(encode(value).decode(), is_ascii=is_ascii)


def json_text(value: Any) -> str:
    """`value` as JSON for people, likewise."""
    return _escaped(msgspec.json.format(encode(value), indent=2).decode(), is_ascii=False)


def _escaped(text: str, *, is_ascii: bool) -> str:
    if text.isprintable() and (text.isascii() or not is_ascii):
        return text
    return "".join(one if _is_harmless(one) and (one.isascii() or not is_ascii) else _escape(one) for one in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    """As JSON writes it: in halves of surrogate pairs beyond U+FFFF (RFC 8259, 7)."""
    halves = character.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(halves[at : at + 2]):04x}" for at in range(0, len(halves), 2))
