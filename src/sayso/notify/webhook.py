"""Webhooks after Standard Webhooks (https://www.standardwebhooks.com): the event as a signed POST."""

from __future__ import annotations

import binascii
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from sayso.errors import Misconfigured
from sayso.notify.pinned import Resolve, resolve
from sayso.notify.post import Target
from sayso.notify.sending import Surroundings
from sayso.wire import Event

_SECRET: Final = "whsec_"  # noqa: S105 - what secrets begin with
_LEAST_SECRET: Final = 24


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
        self._to = Target(settings.url, settings.allow, around.clock, resolve=resolve)
        self._keys = [_key(name) for name in settings.secrets]
        self._write = _FORMATS[settings.format]
        self._clock = around.clock

    @property
    def target(self) -> str:
        return str(self._to)

    async def send(self, event: Event) -> None:
        content_type, body = self._write(event)
        at = str(int(self._clock.now().timestamp()))
        headers = {
            "content-type": content_type,
            "webhook-id": event.event_id,
            "webhook-timestamp": at,
            "webhook-signature": signature(self._keys, event.event_id, at, body),
        }
        await self._to.post(headers, body)

    async def close(self) -> None:
        await self._to.close()


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
