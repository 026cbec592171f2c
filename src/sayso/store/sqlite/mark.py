"""How far the log had come when it last acknowledged something, kept beside the SQLite file: a tail that was lost with
the file's write-ahead log is noticed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_WIDTH: Final = 80
"""Of one width, so that writing it anew never leaves half of what was there."""


class Mark:
    """The file `<store>.mark`. It is never ahead of the log on a disk that keeps what it was told to; it may lag
    behind after a loss of power, since it is not worth a wait for the disk."""

    def __init__(self, path: Path, lineage: str, position: int) -> None:
        """Says `position` from here on. `lineage`: what tells the log apart from a backup of it. Raises OSError."""
        path.touch(mode=0o600)
        self._file = path.open("r+b", buffering=0)
        self._lineage = lineage
        self._position = -1
        self.raise_to(position)

    @staticmethod
    def read(path: Path, lineage: str) -> int:
        """The position up to which events were acknowledged; 0 where there is no mark, or one of another log."""
        try:
            marked, _, position = path.read_text(encoding="ascii").strip().partition(" ")
            return int(position) if marked == lineage else 0
        except (OSError, ValueError):
            return 0

    def raise_to(self, position: int) -> None:
        """Marks `position`, if it is further on."""
        if position <= self._position:
            return
        self._position = position
        try:
            self._file.seek(0)
            self._file.write(f"{self._lineage} {position}".ljust(_WIDTH - 1).encode("ascii") + b"\n")
        except OSError:  # what it says is behind, which harms nothing but this one check
            logger.exception("the mark beside the store was not written")

    def close(self) -> None:
        self._file.close()
