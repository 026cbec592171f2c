"""What is said to a server about its keys. Pure, as `calls`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from sayso.client.calls import Call
from sayso.errors import NotFound
from sayso.keys import KeyMade, KeyShown, Scope
from sayso.model import is_id
from sayso.wire import encode


def create(name: str, scopes: Iterable[Scope], executions: Iterable[str], expires_at: datetime | None) -> Call[KeyMade]:
    """Makes a key. The server says NameTaken while another one of this name lives."""
    members = {"name": name, "scopes": list(scopes), "executions": list(executions), "expires_at": expires_at}
    return Call("POST", "/keys", _made.decode, body=encode(members))


def listing() -> Call[tuple[KeyShown, ...]]:
    """The keys that live, or ended not long ago."""
    return Call("GET", "/keys", lambda body: _list.decode(body).keys)


def rotate(id: str, overlap: float, expires_at: datetime | None) -> Call[KeyMade]:
    """Makes a second key under the name of this one, which ends after `overlap` seconds."""
    body = encode({"overlap": overlap, "expires_at": expires_at})
    return Call("POST", f"{_path(id)}/rotate", _made.decode, body=body)


def revoke(id: str) -> Call[KeyShown]:
    """Ends a key."""
    return Call("POST", f"{_path(id)}/revoke", _shown.decode)


class _Listed(Struct):
    keys: tuple[KeyShown, ...]


_made: Final = msgspec.json.Decoder(KeyMade)
_shown: Final = msgspec.json.Decoder(KeyShown)
_list: Final = msgspec.json.Decoder(_Listed)


def _path(id: str) -> str:
    if not is_id(id):
        raise NotFound(f"{id!r} can be no key's id")
    return f"/keys/{id}"
