"""What others are told of those who tell of the log, and the seam by which they are reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from sayso.errors import NotFound
from sayso.model import Moment


class Failing(Struct, frozen=True, kw_only=True):
    """An execution whose next event is owed: tried `attempts` times, next at `due_at`; `why`: what came of the last."""

    execution_id: str
    attempts: int
    due_at: Moment
    why: str


class NotifierShown(Struct, frozen=True, kw_only=True):
    """A notifier and how it stands. `target`: where it delivers to, without what may be secret.

    `off`: why it delivers nothing, or "". `owed`: executions that are behind; `failing`: some of them, what is
    due first before the others. `is_up_to_date`: it has come to the end of the log, but for what is owed.
    """

    name: str
    kind: str
    target: str
    off: str
    owed: int
    failing: tuple[Failing, ...]
    is_up_to_date: bool


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where to deliver again. `after`: an event's id; without it, what is owed is due now."""

    after: str | None = None


class Trial(Struct, frozen=True, kw_only=True):
    """What came of a test: whether it was delivered, and how that was told."""

    name: str
    delivered: bool
    detail: str


class Notifiers(Protocol):
    """Those of one process. All methods belong to the gateway's loop. NotFound: there is none of that name."""

    async def begin(self) -> None:
        """Has each stand in the store, so that nothing that is written from here on passes it by."""

    async def keep(self) -> None:
        """Delivers until cancelled; raises nothing."""

    async def list(self) -> Sequence[NotifierShown]:
        """In the order of the configuration."""

    async def test(self, name: str) -> Trial:
        """Delivers something that is no event of the log, once, also where it is off. Raises NotFound."""

    async def replay(self, name: str, after: str | None) -> None:
        """Switches it on, has what is owed tried at once, and goes back to after this event. Raises NotFound."""


class NoNotifiers:
    """The Notifiers of a server that was given none."""

    async def begin(self) -> None: ...

    async def keep(self) -> None:
        import asyncio  # noqa: PLC0415 - a command that needs no loop shall load none

        await asyncio.Event().wait()

    async def list(self) -> Sequence[NotifierShown]:
        return ()

    async def test(self, name: str) -> Trial:
        raise NotFound("There is no notifier of this name.")

    async def replay(self, name: str, after: str | None) -> None:
        raise NotFound("There is no notifier of this name.")
