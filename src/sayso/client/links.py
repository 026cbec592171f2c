"""What is said to a server about answer links. Pure, as `calls`."""

from __future__ import annotations

from typing import Final

import msgspec

from sayso.client.calls import Call
from sayso.wire import LinkMade, LinkWanted, encode


def made(request_id: str, owner: str, expires_in: float) -> Call[LinkMade]:
    """A link with which `owner` can answer that request."""
    body = encode(LinkWanted(owner=owner, expires_in=expires_in))
    return Call("POST", f"/requests/{request_id}/links", _made.decode, body=body)


_made: Final = msgspec.json.Decoder(LinkMade)
