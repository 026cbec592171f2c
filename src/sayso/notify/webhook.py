"""Webhooks after Standard Webhooks (https://www.standardwebhooks.com): the event as a signed POST."""

from __future__ import annotations

import asyncio
import binascii
import hmac
import ipaddress
import os
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

import httpcore
import msgspec
from msgspec import Meta, Struct

from sayso.errors import Misconfigured
from sayso.notify.addresses import Network
from sayso.notify.pinned import Pinned, Resolve, resolve
from sayso.notify.sending import NotDelivered, Refused, Surroundings
from sayso.wire import Event

_PATIENCE: Final = 15.0
"""Seconds for a whole delivery, as Standard Webhooks has it at the least: name, connection, TLS, body, status."""
_AT_ONCE: Final = 8
"""Connections to one target."""
_IDLE: Final = 30.0
"""Seconds that a connection is kept for the next delivery."""
_SECRET: Final = "whsec_"  # noqa: S105 - what secrets begin with
_TOLD: Final = 200
"""Characters of what the system, or TLS, says of a connection."""
_LEAST_SECRET: Final = 24
_GONE: Final = 410


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says of a webhook. `secrets`: names of environment variables, the newest first.

    `format`: the event's own JSON, or CloudEvents 1.0 in the structured mode. `allow`: networks of one's own that the
    URL may lead to; plain HTTP goes there alone.
    """

    url: str
    secrets: Annotated[tuple[str, ...], Meta(min_length=1, max_length=5)]
    format: Literal["event", "cloudevents"] = "event"
    allow: tuple[str, ...] = ()


class Webhook:
    """The Carrier of a webhook. Raises Misconfigured, which names the setting."""

    def __init__(self, settings: Settings, around: Surroundings, *, resolve: Resolve = resolve) -> None:
        allowed = [_network(one) for one in settings.allow]
        self._url = _checked(settings.url, is_inside=bool(allowed))
        self._keys = [_key(name) for name in settings.secrets]
        self._write = _FORMATS[settings.format]
        self._clock = around.clock
        self._backend = Pinned(allowed, resolve)

    @property
    def target(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}"

    async def send(self, event: Event) -> None:
        content_type, body = self._write(event)
        at = str(int(self._clock.now().timestamp()))
        headers: dict[bytes | str, bytes | str] = {
            "content-type": content_type,
            "user-agent": "sayso",
            "webhook-id": event.event_id,
            "webhook-timestamp": at,
            "webhook-signature": signature(self._keys, event.event_id, at, body),
        }
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self._pool.stream("POST", self._url.geturl(), headers=headers, content=body) as response,
            ):
                self._judge(response)  # what else the receiver writes is not read
        except TimeoutError:
            raise NotDelivered(f"no answer within {_PATIENCE:.0f} s") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout, ssl.SSLError) as exc:
            raise NotDelivered(f"cannot connect: {str(exc)[:_TOLD] or type(exc).__name__}") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as exc:
            raise NotDelivered(f"the connection broke off: {type(exc).__name__}") from exc

    async def close(self) -> None:
        if "_pool" in vars(self):
            await self._pool.aclose()

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Neither follows redirects nor reads proxies from the environment."""
        return httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context() if self._url.scheme == "https" else None,
            max_connections=_AT_ONCE,
            keepalive_expiry=_IDLE,
            network_backend=self._backend,
        )

    def _judge(self, response: httpcore.Response) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        if status == _GONE:
            raise Refused("the receiver said 410: it wants no more")
        retry_after = None
        if status in (429, 503):
            given = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            retry_after = _seconds(given.decode("latin-1"), self._clock.now())
        moved = "; redirects are not followed, give the URL itself" if 300 <= status < 400 else ""
        raise NotDelivered(f"the receiver said {status}{moved}", retry_after)


def signature(keys: Sequence[bytes], id: str, at: str, body: bytes) -> str:
    """The header's value: one `v1` signature a key, so that a receiver who has any of them can verify."""
    signed = f"{id}.{at}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)


def _plain(event: Event) -> tuple[str, bytes]:
    return "application/json", event.data


def _cloud_event(event: Event) -> tuple[str, bytes]:
    """CloudEvents 1.0, JSON, structured: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md"""
    members = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": "urn:sayso",
        "type": f"sayso.{event.type}",
        "subject": event.execution_id,
        "time": _time.decode(event.data).timestamp,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(event.data),
    }
    return "application/cloudevents+json", msgspec.json.encode(members)


_FORMATS: Final[dict[str, Callable[[Event], tuple[str, bytes]]]] = {"event": _plain, "cloudevents": _cloud_event}


class _Timed(Struct):
    timestamp: str


_time: Final = msgspec.json.Decoder(_Timed)


def _checked(url: str, *, is_inside: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or any(one <= " " for one in url):
        raise Misconfigured("url: write it as https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Misconfigured("url: it may hold no user, no password and no fragment")
    if parts.scheme == "http" and not is_inside:
        raise Misconfigured("url: must be https://; http:// goes to networks that 'allow' names alone")
    return parts


def _key(name: str) -> bytes:
    """The secret in that environment variable; its value is never told."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise Misconfigured(f"secrets: the environment variable {name} is not set; put whsec_… there")
    with suppress(binascii.Error, ValueError):
        key = b64decode(value.removeprefix(_SECRET), validate=True)
        if value.startswith(_SECRET) and len(key) >= _LEAST_SECRET:
            return key
    raise Misconfigured(
        f"secrets: the environment variable {name} holds no secret; write whsec_ and the Base64 of at least "
        f"{_LEAST_SECRET} random bytes, as from: echo whsec_$(openssl rand -base64 32)"
    )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise Misconfigured(f"allow: {text!r} is no network; write it as 10.0.0.0/8 or 192.168.1.7") from None


def _seconds(text: str, now: datetime) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if text.strip().isdecimal():
        return float(text[:9])
    with suppress(ValueError, TypeError):
        at = parsedate_to_datetime(text)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    return None
