"""A device that is told by Web Push (RFC 8030): the Carrier to it."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from sayso import limits
from sayso.errors import Fault, Invalid
from sayso.keys import fits
from sayso.model import Priority, Request
from sayso.notify.post import Target
from sayso.notify.sealing import Receiver, authorization
from sayso.notify.sending import Surroundings
from sayso.subscription import Subscription
from sayso.wire import Event, encode

Visible = Callable[[], Awaitable[tuple[str, ...] | None]]
"""Patterns of the executions that a device's key may see, None: all. Raises Refused once the key has ended."""

_DAY: Final = 86_400
"""Seconds for which a push service keeps what a device that is off has not got; a deadline may come before."""
_SETTLED: Final = "human_input_completed"
GONE: Final = (404, 410)
"""What a push service says of a device that it knows no more (RFC 8030, 7.3)."""
_SKIPPED: Final = 1_000
"""Requests of which is remembered that nobody was told of them."""
_URGENCY: Final[dict[Priority, str]] = {"low": "low", "normal": "normal", "high": "high", "urgent": "high"}


class Device:
    """Says which request waits, or waits no more: its id and title. What else there is to know the page asks for."""

    def __init__(
        self,
        one: Subscription,
        around: Surroundings,
        to: Target,
        key: EllipticCurvePrivateKey,
        visible: Visible,
    ) -> None:
        self._endpoint = checked(one.endpoint)
        self._receiver = Receiver(one.p256dh, one.auth)
        self._around = around
        self._to = to
        self._key = key
        self._visible = visible
        self._skipped: deque[str] = deque(maxlen=_SKIPPED)

    @property
    def target(self) -> str:
        """Of the endpoint the push service alone: the rest is as good as a password."""
        return str(self._to)

    async def send(self, event: Event) -> None:
        if not fits(event.execution_id, await self._visible()):
            return
        request = await self._around.request(event.request_id)
        if request is None or not self._is_news(event, request):
            return
        now = self._around.clock.now()
        headers = {
            "authorization": authorization(self._key, self._endpoint, now, self._around.public_url),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(_lasts(request, now)),
            "topic": _topic(request.request_id),
            "urgency": _URGENCY[request.priority] if request.is_open else "normal",
        }
        await self._to.post(headers, self._receiver.sealed(message(request)))

    async def close(self) -> None:
        await self._to.close()

    def _is_news(self, event: Event, request: Request) -> bool:
        """What is settled by now is not told of as waiting, and then its end is nobody's news."""
        if event.type == _SETTLED:
            return request.request_id not in self._skipped
        if not request.is_open:
            self._skipped.append(request.request_id)
        return request.is_open


def message(request: Request) -> bytes:
    """What is sealed, and everything that is: no prompt, no draft, no arguments, no answer."""
    return encode({"id": request.request_id, "title": request.title, "open": request.is_open})


def checked(endpoint: str) -> SplitResult:
    """Raises Invalid. Where its name leads is looked at when something is sent there."""
    try:
        parts = urlsplit(endpoint)
        is_url = endpoint.startswith("https://") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or any(not "!" <= one <= "~" for one in endpoint) or len(endpoint) > limits.ENDPOINT:
        raise Invalid(Fault("/endpoint", "must be an https:// address, as a browser gives it"))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid(Fault("/endpoint", "must hold no user, no password and no fragment"))
    return parts


def _lasts(request: Request, now: datetime) -> int:
    if not request.is_open or request.deadline is None:
        return _DAY
    return max(0, min(_DAY, int((request.deadline - now).total_seconds())))


def _topic(request_id: str) -> str:
    """What is said of a request takes the place of what was said of it before, and was not fetched yet."""
    return urlsafe_b64encode(hashlib.sha256(request_id.encode()).digest()[:24]).decode()
