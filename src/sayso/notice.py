"""The one line that tells the person at the console that an agent waits, so that a waiting crew does not look hung."""

from __future__ import annotations

import queue
import sys
import threading
from contextlib import suppress
from typing import Final

from sayso.model import Request

_WAITING: Final = 100
"""Lines kept for a console that does not read; later ones are dropped. The questions are in the store all the same."""


def notice(request: Request, url: str | None, *, key: str | None) -> str:
    """Where to answer in the inbox, a command that answers, and behind a `#`, where no shell obeys it, who asks what.

    `url`: where the server listens; None when only the one who mounted it knows. `key`: what stands for the key in the
    command; None when none is needed.
    """
    named = (request.context_data or {}).get("agent")
    asker = _line(named if isinstance(named, str) and named else request.source.name)
    address = f"{url or '<where you mounted it>'}/requests/{request.request_id}/answer"
    header = f'-H "Authorization: Bearer {key}" ' if key else ""
    title = _line(request.title)
    who = title if title.startswith(f"{asker}:") else f"{asker}: {title}"
    inbox = f"{url}/#/requests/{request.request_id} or " if url else ""
    return f"sayso: an agent waits for your answer: {inbox}curl {header}-d '{_body(request)}' {address}  # {who}"


def _body(request: Request) -> str:
    """An answer that the request takes, in which a person has only words to change; never words of an agent's."""
    if "approve" in request.allow and request.kind == "approval":
        return '{"decision": "approve"}'
    if request.kind == "form":
        return '{"values": {"NAME": "VALUE"}}'
    if request.options:
        return '{"option_ids": ["ID"]}'
    return '{"human_feedback": "YOUR WORDS"}'


class Notices:
    """Writes lines to stderr on a thread of its own: a console that nobody reads must not hold up the server."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def show(self, line: str) -> None:
        """Returns at once."""
        with suppress(queue.Full):
            self._lines.put_nowait(line)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="sayso-notices", daemon=True)
                self._thread.start()

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError, AttributeError):  # stderr is closed, or there is none
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()


def _line(text: str) -> str:
    """`text` without anything a terminal would obey: agents write it, and a person reads it in a shell."""
    return "".join(character if character.isprintable() else " " for character in text)
