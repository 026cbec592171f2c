"""HTML as a tree: whatever a text holds, it stays a text. Nothing here ever puts two strings of HTML together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, tostring

from sayso.visible import pieces

Child = Element | str | None
_DOCTYPE: Final = b"<!doctype html>\n"


def tag(name: str, /, *children: Child | Iterable[Child], **attributes: str | bool | None) -> Element:
    """An element; `class_="x"` and `aria_label="y"` are its attributes. None, and False, leave something out."""
    made = Element(name)
    for key, value in attributes.items():
        if value is not None and value is not False:
            made.set(key.rstrip("_").replace("_", "-"), "" if value is True else value)
    for child in children:
        for one in [child] if isinstance(child, str | Element) or child is None else child:
            _add(made, one)
    return made


def shown(text: str) -> list[Child]:
    """What an agent, or a person, wrote: each character that would not be seen, or would move others, by its name."""
    return [tag("bdi", piece, class_="unseen") if is_name else piece for piece, is_name in pieces(text)]


def document(root: Element) -> bytes:
    """The whole page, UTF-8."""
    page: bytes = tostring(root, encoding="utf-8", method="html")
    return _DOCTYPE + page


def _add(to: Element, child: Child) -> None:
    if isinstance(child, Element):
        to.append(child)
    elif child and len(to):
        to[-1].tail = (to[-1].tail or "") + child
    elif child:
        to.text = (to.text or "") + child
