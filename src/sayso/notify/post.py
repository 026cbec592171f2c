"""A POST to a target that an operator has named: over a pinned connection, bounded in time, its answer judged."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpcore

from sayso.clock import Clock
from sayso.errors import Misconfigured
from sayso.notify.addresses import Network
from sayso.notify.pinned import Pinned, Resolve, resolve
from sayso.notify.sending import NotDelivered, Refused

_PATIENCE: Final = 15.0
"""Seconds for a whole delivery, as Standard Webhooks has it at the least: name, connection, TLS, body, status."""
_AT_ONCE: Final = 8
"""Connections to one target."""
_IDLE: Final = 30.0
"""Seconds that a connection is kept for the next delivery."""
_TOLD: Final = 200
"""Characters of what the system, or TLS, says of a connection."""
_GONE: Final = 410


class Target:
    """Where to deliver: `url`, which may lead to networks of one's own that `allow` names; plain HTTP goes there alone.

    `gone`: the statuses by which a receiver wants no more. `tls`: where many targets share it. Raises Misconfigured,
    which names the setting.
    """

    def __init__(
        self,
        url: str,
        allow: Sequence[str],
        clock: Clock,
        *,
        resolve: Resolve = resolve,
        gone: Sequence[int] = (_GONE,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._gone = tuple(gone)
        self._tls = tls
        allowed = [_network(one) for one in allow]
        self._url = _checked(url, is_inside=bool(allowed))
        self._clock = clock
        self._backend = Pinned(allowed, resolve)

    def __str__(self) -> str:
        """As an operator may see it: a path, or a query, may be a password."""
        return f"{self._url.scheme}://{self._url.netloc}"

    async def post(self, headers: Mapping[str, str], body: bytes) -> None:
        """Returns once the receiver has it. Raises NotDelivered."""
        sent: list[tuple[bytes | str, bytes | str]] = [("user-agent", "sayso"), *headers.items()]
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self._pool.stream("POST", self._url.geturl(), headers=sent, content=body) as response,
            ):
                self._judge(response)  # what else the receiver writes is not read
        except TimeoutError:
            raise NotDelivered(f"no answer within {_PATIENCE:.0f} s") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout, ssl.SSLError) as exc:
            raise NotDelivered(f"cannot connect: {str(exc)[:_TOLD] or type(exc).__name__}") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as exc:
            raise NotDelivered(f"the connection broke off: {type(exc).__name__}") from exc

    async def close(self) -> None:
        """Lets go of connections."""
        if "_pool" in vars(self):
            await self._pool.aclose()

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Neither follows redirects nor reads proxies from the environment."""
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls or (ssl.create_default_context() if self._url.scheme == "https" else None),
            max_connections=_AT_ONCE,
            keepalive_expiry=_IDLE,
            network_backend=self._backend,
        )

    def _judge(self, response: httpcore.Response) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        if status in self._gone:
            raise Refused(f"the receiver said {status}: it wants no more")
        retry_after = None
        if status in (429, 503):
            given = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            retry_after = _seconds(given.decode("latin-1"), self._clock.now())
        moved = "; redirects are not followed, give the URL itself" if 300 <= status < 400 else ""
        raise NotDelivered(f"the receiver said {status}{moved}", retry_after)


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
