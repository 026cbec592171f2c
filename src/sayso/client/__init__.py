"""A server on another machine, reached over HTTP. Knows the wire format, and nothing of the server's insides."""

from __future__ import annotations

from sayso.errors import ExtraMissing

try:
    import httpx  # noqa: F401 - says early, and clearly, that it is missing
except ModuleNotFoundError as exc:
    raise ExtraMissing(
        "asking a server elsewhere needs httpx, which is not installed: pip install 'sayso[client]'"
    ) from exc

from sayso.client.client import AsyncClient, Client
from sayso.client.following import Reset
from sayso.client.remote import RemoteAsker, connect

__all__ = ["AsyncClient", "Client", "RemoteAsker", "Reset", "connect"]
