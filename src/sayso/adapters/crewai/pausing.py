"""Which flows of this process pause: crewAI keeps one pause of a flow, and says nothing of a second."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

_MARK: Final = "_sayso_pause"
_lock = threading.Lock()


@dataclass
class Pausing:
    """The one pause of a flow. `is_disputed`: a second method wanted to pause, too, which ends the flow."""

    request_id: str | None = None
    is_disputed: bool = False


def begin(flow: Any) -> tuple[Pausing, bool]:
    """The flow's pause, and whether it begins here; otherwise it is disputed from now on."""
    with _lock:
        pausing: Pausing | None = vars(flow).get(_MARK)
        if pausing is not None:
            pausing.is_disputed = True
            return pausing, False
        pausing = Pausing()
        object.__setattr__(flow, _MARK, pausing)  # pydantic's own refuses what is no field
        return pausing, True


def end(flow: Any) -> None:
    """The pause is over; the flow may pause again."""
    vars(flow).pop(_MARK, None)
