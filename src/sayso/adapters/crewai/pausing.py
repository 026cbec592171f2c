"""Which flows of this process pause: crewAI keeps one pause of a flow, and says nothing of a second."""

from __future__ import annotations

import threading
from typing import Any, Final

_MARK: Final = "_sayso_pauses"
"""On the flow itself; whether a second method of it wants to pause, too."""
_lock = threading.Lock()


def begin(flow: Any) -> bool:
    """Whether this is the flow's only pause; the other one then `is_disputed`."""
    with _lock:
        is_first = _MARK not in vars(flow)
        object.__setattr__(flow, _MARK, not is_first)  # pydantic's own refuses what is no field
        return is_first


def is_disputed(flow: Any) -> bool:
    """Whether a second method of the flow wanted to pause, which ends it."""
    return vars(flow).get(_MARK) is True


def end(flow: Any) -> None:
    """The pause is over; the flow may pause again."""
    vars(flow).pop(_MARK, None)
