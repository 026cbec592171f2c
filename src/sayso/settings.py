"""What the environment says. Read when it is needed, never at import."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sayso.errors import Misconfigured

NAMES: Final = ("SAYSO_API_KEY", "SAYSO_API_KEY_FILE", "SAYSO_URL")
"""What is read here."""
_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def api_key() -> str | None:
    """`SAYSO_API_KEY`, or the first line of the file that `SAYSO_API_KEY_FILE` names; None when neither is set.

    Raises Misconfigured for a file that cannot be read or is empty.
    """
    key, file = os.environ.get("SAYSO_API_KEY"), os.environ.get("SAYSO_API_KEY_FILE")
    if key and key.strip():
        return checked_key(key.strip(), "SAYSO_API_KEY")
    if not file:
        return None
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as exc:
        raise Misconfigured(f"SAYSO_API_KEY_FILE names {file}, which cannot be read") from exc
    return checked_key(lines[0].strip() if lines else "", f"SAYSO_API_KEY_FILE names {file}, whose first line")


def url() -> str | None:
    """`SAYSO_URL`: the server that this process's questions go to when none runs in it; None when it is not set."""
    return os.environ.get("SAYSO_URL", "").strip() or None


def checked_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Origins as a browser writes them: `https://app.example.com`, maybe with a port. Raises Misconfigured."""
    if isinstance(origins, str):
        raise Misconfigured(f"allow_origins is a list: [{origins!r}]")
    found = tuple(origin.rstrip("/").lower() for origin in origins)
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise Misconfigured(f"{origin!r} in allow_origins is no origin; write it as https://app.example.com[:port]")
    return found


def checked_key(key: str, where: str) -> str:
    """`key`, if a client can send it in a header. Raises Misconfigured, naming `where` it stands, never the key."""
    if not key:
        raise Misconfigured(f"{where} is empty; put a secret there, or leave it out for a server of this machine alone")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise Misconfigured(f"{where} holds a key that no client can send; use ASCII letters, digits and signs only")
    return key
