"""A question whose asker goes away: nobody could take its answer any more."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Final

from sayso.cli.ending import already
from sayso.cli.output import note, waiting
from sayso.errors import AlreadySettled, NotFound, SaysoError, Unavailable
from sayso.model import ASKER_GONE, Question

if TYPE_CHECKING:
    from sayso.client import Client

_SIGNALS: Final = ("SIGTERM", "SIGHUP")
"""How else a command is told to end; Windows has only one of them."""


@dataclass
class Asking:
    """How far a question has come."""

    is_stored: bool = False


@contextmanager
def cancelled_on_leaving(client: Client, question: Question, *, is_own: bool = True) -> Iterator[Asking]:
    """Cancels the question when Ctrl-C, a signal or an error ends what is inside; not one whose id others know.

    It is cancelled also where it may have been stored although no reply came. A second Ctrl-C leaves it as it is.
    """
    asking = Asking()
    if not is_own:
        yield asking
        return
    with _signals_end():
        try:
            yield asking
        except SaysoError as error:
            if asking.is_stored or _may_be_stored(error):
                _cancel(client, question)
            raise
        except BaseException:
            _cancel(client, question)
            raise


def _may_be_stored(error: SaysoError) -> bool:
    from sayso.client.transport import is_unsent

    return isinstance(error, Unavailable) and not is_unsent(error)


def _cancel(client: Client, question: Question) -> None:
    id = str(question.request_id)
    try:
        with waiting(f"cancelling {id}"):
            try:
                client.cancel(id, ASKER_GONE)
            except NotFound:
                # It may be on its way still. Asked once more it is there, and what comes later is a repeat.
                client.ask(question)
                client.cancel(id, ASKER_GONE)
    except AlreadySettled as late:
        note(already(late.request))
    except SaysoError as error:
        note(f"{id} may be open, and nobody waits for it: {error.detail}")


@contextmanager
def _signals_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is inside with SystemExit, and the exit code that shells give them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    former = {one: signal.signal(one, end) for one in numbers if signal.getsignal(one) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
