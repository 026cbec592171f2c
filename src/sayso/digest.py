"""Fingerprints of what was asked and of what an action would do."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
import rfc8785

from sayso.errors import Fault, Invalid

_LARGEST: Final = 2**53 - 1
"""Beyond this, doubles leave integers out, and JSON in most languages has nothing but doubles."""
_sorted: Final = msgspec.json.Encoder(order="sorted")


def action_digest(name: str, args: dict[str, Any], pointer: str = "/action/args") -> str:
    """SHA-256 (hex) of the canonical JSON (RFC 8785) of `{"args": args, "name": name}`: anyone can compute it again.

    Raises Invalid, at `pointer`, where JSON has no exact form, e.g. an integer beyond 2^53 - 1.
    """
    try:
        canonical = rfc8785.dumps({"name": name, "args": args})
    except rfc8785.CanonicalizationError as exc:
        detail = "has no canonical JSON form (RFC 8785); write integers beyond 2^53 - 1 as text and leave out NaN"
        raise Invalid(Fault(pointer, detail)) from exc
    return hashlib.sha256(canonical).hexdigest()


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of what msgspec can write. An integer beyond 2^53 - 1 stands for the double that is
    nearest to it, as for whoever reads it in JavaScript."""
    if _is_plain(value):
        return _sorted.encode(value)  # the same bytes, and many times as quick
    return rfc8785.dumps(_with_doubles(msgspec.to_builtins(value)))


def _is_plain(value: Any) -> bool:
    """Whether msgspec's sorted JSON is canonical: no number of which languages have several forms, and no name that
    UTF-16 would sort elsewhere. Nearly everything is text or nothing, and is seen to be so at once."""
    left = [value]
    for one in left:
        kind = type(one)
        if kind is dict:
            if not all(map(str.isascii, one)):
                return False
            children = one.values()
        elif kind is list or kind is tuple:
            children = one
        elif kind is float or (kind is int and abs(one) > _LARGEST):
            return False
        elif isinstance(one, msgspec.Struct):
            children = map(one.__getattribute__, one.__struct_fields__)
        else:
            continue
        left += [child for child in children if type(child) is not str and (child or type(child) is float)]
    return True


def _with_doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_doubles(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_with_doubles(child) for child in value]
    return float(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def question_digest(*parts: Any) -> str:
    """SHA-256 (hex) over JSON with sorted keys; equal for equal questions, whatever the order of their members."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
