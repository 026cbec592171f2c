"""One thing that the doctor looked at."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["right", "wrong", "note"]
"""wrong: something must be done; note: it is good to know."""


class Finding(Struct, frozen=True):
    """What was seen, and what to do about it."""

    state: State
    what: str
    cure: str = ""
