"""Characters that a reader cannot see, or that make others stand where they are not, shown by name. Pure.

The page of the inbox has the same in `clients/inbox/src/visible.js`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

_NAMES: Final = {
    0x00AD: "soft hyphen",
    0x061C: "ALM",
    0x115F: "filler",
    0x1160: "filler",
    0x180E: "MVS",
    0x200B: "ZWSP",
    0x200C: "ZWNJ",
    0x200D: "ZWJ",
    0x200E: "LRM",
    0x200F: "RLM",
    0x2028: "LS",
    0x2029: "PS",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0x3164: "filler",
    0xFEFF: "BOM",
    0xFFA0: "filler",
}
_ZWJ: Final = "\u200d"
_MODIFIERS: Final = frozenset({"\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))})
"""What may stand between the picture and the joiner of an emoji."""


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in pieces: as it is and False, or the name of a character that would not be seen, and True."""
    text = text.replace("\r\n", "\n")
    start = 0
    for at, character in enumerate(text):
        if not _is_hidden(character) or (character == _ZWJ and _is_in_emoji(text, at)):
            continue
        if at > start:
            yield text[start:at], False
        yield _NAMES.get(ord(character), f"U+{ord(character):04X}"), True
        start = at + 1
    if start < len(text):
        yield text[start:], False


def visible(text: str) -> str:
    """`text` with such characters as `[RLO]`, where there is nothing but text to show them."""
    return "".join(f"[{piece}]" if is_name else piece for piece, is_name in pieces(text))


def visible_line(text: str) -> str:
    """The same on one line."""
    return " ".join(visible(text).split())


def _is_hidden(character: str) -> bool:
    code = ord(character)
    if code in _NAMES or 0xE0000 <= code <= 0xE0FFF:
        return True
    return not (character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs")


def _is_in_emoji(text: str, at: int) -> bool:
    """Whether the joiner there makes one picture of two."""
    before = at - 1
    while before > 0 and text[before] in _MODIFIERS:
        before -= 1
    around = (text[before : before + 1] if before >= 0 else "", text[at + 1 : at + 2])
    return all(one and unicodedata.category(one) == "So" for one in around)
