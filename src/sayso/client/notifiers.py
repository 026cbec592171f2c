"""What is said to a server about its notifiers. Pure, as `calls`."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from sayso.client.calls import Call
from sayso.errors import NotFound
from sayso.model import is_id
from sayso.notifier import NotifierShown, Trial
from sayso.wire import encode


def listing() -> Call[tuple[NotifierShown, ...]]:
    """How each stands."""
    return Call("GET", "/notifiers", lambda body: _list.decode(body).notifiers)


def test(name: str) -> Call[Trial]:
    """Delivers something that is no event, once."""
    return Call("POST", f"{_path(name)}/test", _trial.decode)


def replay(name: str, after: str | None) -> Call[None]:
    """Switches it on, has what is owed tried at once, and goes back to after this event."""
    return Call("POST", f"{_path(name)}/replay", lambda body: None, body=encode({"after": after}))


class _Listed(Struct):
    notifiers: tuple[NotifierShown, ...]


_list: Final = msgspec.json.Decoder(_Listed)
_trial: Final = msgspec.json.Decoder(Trial)


def _path(name: str) -> str:
    if not is_id(name):
        raise NotFound(f"{name!r} can be no notifier's name")
    return f"/notifiers/{name}"
