"""What the environment says. Read when a server is made, never at import."""

from __future__ import annotations

import os
from pathlib import Path

from sayso.errors import Misconfigured


def api_key() -> str | None:
    """`SAYSO_API_KEY`, or the first line of the file that `SAYSO_API_KEY_FILE` names; None when neither is set.

    Raises Misconfigured for a file that cannot be read or is empty.
    """
    key, file = os.environ.get("SAYSO_API_KEY"), os.environ.get("SAYSO_API_KEY_FILE")
    if key or not file:
        return key or None
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as exc:
        raise Misconfigured(f"SAYSO_API_KEY_FILE names {file}, which cannot be read") from exc
    if not lines or not lines[0].strip():
        raise Misconfigured(f"SAYSO_API_KEY_FILE names {file}, whose first line is empty; put the key there")
    return lines[0].strip()
