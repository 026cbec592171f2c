"""How calls go over httpx: the one file that knows both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar

import httpx

from sayso import settings, tracing
from sayso.client import calls
from sayso.client.calls import Send, Steps
from sayso.client.following import Following
from sayso.errors import Misconfigured, SaysoError

T = TypeVar("T")

_SLOWEST: Final = 10.0
"""Seconds that a connection, or an answer beyond the held time, may take before the call counts as lost."""
_PLAIN: Final = {"Accept-Encoding": "identity"}
"""What comes compressed anyway is not inflated: a few bytes could be many."""
_ADDRESS: Final = "the server's address must be a URL, as http://host:8000, without ?, # or user (the key is api_key)"


class Address:
    """Where the server is, and how it is called."""

    def __init__(self, url: str | None, api_key: str | None) -> None:
        named = url or settings.url()
        if named is None:
            raise Misconfigured("no server is named: pass url=, as http://host:8000, or set SAYSO_URL")
        self.url = checked_url(named)
        key = settings.api_key() if api_key is None and not url else api_key
        self._key = None if key is None else settings.checked_key(key, "api_key")

    def options(self) -> dict[str, Any]:
        """For an httpx client."""
        headers = _PLAIN | ({} if self._key is None else {"Authorization": f"Bearer {self._key}"})
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=16)  # each held call has one of its own
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # of what is there we keep nothing
        return {"base_url": self.url, "headers": headers, "timeout": _SLOWEST, "limits": pool, "cookies": none}


async def drive(steps: Steps[T], http: httpx.AsyncClient, on_pause: Callable[[str], None] = lambda why: None) -> T:
    """Makes the calls of `steps` and waits between them; `on_pause` hears why."""
    reply: calls.Reply | None = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        except Misconfigured as exc:
            raise at(http, exc) from exc
        if isinstance(step, Send):
            try:
                async with http.stream(**request_of(step.call)) as response:
                    reply = reply_of(response, await body_of(response))
            except (httpx.RequestError, SaysoError) as exc:
                reply = calls.Reply(error=exc)
        else:
            on_pause(step.why)
            await asyncio.sleep(step.seconds)
            reply = None


def at(http: httpx.Client | httpx.AsyncClient, error: Misconfigured) -> Misconfigured:
    """`error` with the address that it is about."""
    return Misconfigured(f"{http.base_url}: {error.detail}")


def request_of(call: calls.Call[Any]) -> dict[str, Any]:
    """A call as httpx takes it."""
    return {
        "method": call.method,
        "url": call.path,
        "params": list(call.query),
        "content": call.body,
        "headers": call.headers | tracing.headers(),
        "timeout": httpx.Timeout(_SLOWEST, read=_SLOWEST + call.hold),
    }


def stream_of(following: Following) -> dict[str, Any]:
    """A follower's next call as httpx takes it."""
    return {
        "method": "GET",
        "url": following.address,
        "params": following.query,
        "timeout": httpx.Timeout(_SLOWEST, read=following.patience),
    }


def pause_after(
    following: Following, error: Exception | None, retry_after: str | None, http: httpx.Client | httpx.AsyncClient
) -> float:
    """The seconds until a follower's next call. Raises `error` where that is no use."""
    reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    try:
        return following.broke(error, retry_after, reached=reached)
    except Misconfigured as exc:
        raise at(http, exc) from exc


def is_unsent(error: SaysoError) -> bool:
    """Whether the call that failed with `error` cannot have reached the server."""
    return isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout)


async def body_of(response: httpx.Response) -> bytes:
    """The body, as it was sent. Raises Misconfigured, TooSlow."""
    body = calls.Body(time.monotonic())
    async for part in response.aiter_raw():
        body.add(part, time.monotonic())
    return body.whole()


def body_of_sync(response: httpx.Response) -> bytes:
    """The same in a thread."""
    body = calls.Body(time.monotonic())
    for part in response.iter_raw():
        body.add(part, time.monotonic())
    return body.whole()


def reply_of(response: httpx.Response, body: bytes) -> calls.Reply:
    """What httpx gives as the core reads it."""
    return calls.Reply(response.status_code, body, response.headers.get("Retry-After"))


def checked_url(url: str) -> str:
    """`url` without a slash at its end. Raises Misconfigured for what is no server's address."""
    try:
        parsed = httpx.URL(url)
        host, port = parsed.host, parsed.port
    except (httpx.InvalidURL, TypeError, UnicodeError) as exc:
        raise Misconfigured(_ADDRESS) from exc
    is_web = parsed.scheme in ("http", "https") and host and (port is None or 0 < port < 65_536)
    if not is_web or parsed.query or parsed.fragment or parsed.userinfo:
        raise Misconfigured(_ADDRESS)
    return str(parsed).rstrip("/")
