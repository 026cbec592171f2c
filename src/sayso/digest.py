"""Fingerprints of what was asked and of what an action would do."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import rfc8785

from sayso.errors import Fault, Invalid


def action_digest(name: str, args: dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON (RFC 8785) of `{"args": args, "name": name}`: anyone can compute it again.

    Raises Invalid where JSON has no exact form, e.g. an integer beyond 2^53 - 1.
    """
    try:
        canonical = rfc8785.dumps({"name": name, "args": args})
    except rfc8785.CanonicalizationError as exc:
        detail = "has no canonical JSON form (RFC 8785); write integers beyond 2^53 - 1 as text and leave out NaN"
        raise Invalid(Fault("/action/args", detail)) from exc
    return hashlib.sha256(canonical).hexdigest()


def question_digest(*parts: Any) -> str:
    """SHA-256 (hex) over JSON with sorted keys; equal for equal questions, whatever the order of their members."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
