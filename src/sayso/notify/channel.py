"""Chats and mail, by Apprise (https://github.com/caronc/apprise): a question with a link to answer by, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from sayso import limits
from sayso.answer_link import ANSWER
from sayso.errors import ExtraMissing, Misconfigured
from sayso.model import OWNER_RULE, InputCompleted, InputRequired, is_owner
from sayso.notify.message import TRIAL, Message, as_html, as_markdown, as_text, asked, settled
from sayso.notify.sending import NotDelivered, Surroundings
from sayso.wire import Event

if TYPE_CHECKING:
    from apprise import NotifyBase

_PATIENCE: Final = 30.0
"""Seconds for a whole delivery: Apprise waits between two messages to a service that wants that, up to 5.5 s."""
_AT_ONCE: Final = 4
"""Threads of one channel, since Apprise blocks: one that hangs keeps nothing else from its turn."""
_ROOM: Final = 800
"""Characters that a message with a link takes at the least; a link is some 300."""
_ASKED: Final = InputRequired.__struct_config__.tag
_ENDED: Final = InputCompleted.__struct_config__.tag


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says of a channel. `url_from`: the environment variable with the URL, as Apprise writes
    it, which is a secret. `owner`: whose the links are that are sent there, and in whose name is answered.
    `expires`: seconds until a link ends. `link`: whether there is one in the message at all.
    """

    url_from: str
    owner: str = ""
    expires: Annotated[float, Meta(gt=0, le=limits.LINK_MOST)] = limits.LINK
    link: bool = True


class Channel:
    """The Carrier of a channel. Raises Misconfigured, which names the setting; ExtraMissing."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._service = _service(settings.url_from)
        if settings.link:
            around.address(ANSWER)
            if not is_owner(settings.owner):
                raise Misconfigured(f"owner: {OWNER_RULE}; or say link = false")
            if self._service.body_maxlen < _ROOM:
                raise Misconfigured(
                    f"url_from: a message there has at most {self._service.body_maxlen} characters, which is no room "
                    "for a link; say link = false"
                )
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sayso-channel")

    @property
    def target(self) -> str:
        return f"{self._service.service_name} ({self._settings.url_from})"

    async def send(self, event: Event) -> None:
        message = await self._message(event)
        if message is None:
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE):
                taken = await loop.run_in_executor(self._threads, self._sent, message)
        except TimeoutError:
            raise NotDelivered(f"{self._service.service_name} took more than {_PATIENCE:.0f} s") from None
        if not taken:
            raise NotDelivered(f"{self._service.service_name} did not take it, or cannot be reached")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _message(self, event: Event) -> Message | None:
        """None where there is nothing to tell any more: a question that is settled by now waits for nobody, and one
        that was removed is known to nobody."""
        if event.type not in (_ASKED, _ENDED):
            return TRIAL
        request = await self._around.request(event.request_id)
        if request is None or (event.type == _ASKED) != request.is_open:
            return None
        if not request.is_open:
            return settled(request)
        return asked(request, await self._link(event.request_id) if self._settings.link else None)

    async def _link(self, request_id: str) -> str:
        until = self._around.clock.now() + timedelta(seconds=self._settings.expires)
        token = await self._around.link(request_id, self._settings.owner, until)
        return self._around.address(f"{ANSWER}?token={token}")

    def _sent(self, message: Message) -> bool:
        """In a thread. What Apprise says of a failure may hold what stands in the URL, so it is told to nobody."""
        write, format = _written_for(self._service)
        most = self._service.body_maxlen - len(message.title)  # where there are no titles it goes into the body
        try:
            return bool(
                self._service.notify(body=message.fitting(write, most), title=message.title, body_format=format)
            )
        except Exception:  # a hundred services, by as many hands
            return False


def _service(name: str) -> NotifyBase:
    _hush()
    try:
        import apprise  # noqa: PLC0415 - is there where it is wanted
    except ImportError as exc:
        raise ExtraMissing("a channel needs apprise: pip install 'sayso[channels]'") from exc
    url = os.environ.get(name, "").strip()
    if not url:
        raise Misconfigured(f"url_from: the environment variable {name} is not set; put the channel's URL there")
    about: dict[str, Any] = {"app_id": "sayso", "app_desc": "sayso", "app_url": ""}
    asset = apprise.AppriseAsset(**about, image_url_mask="", image_url_logo="")  # pictures would be loaded from afar
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise Misconfigured(
            f"url_from: the environment variable {name} holds no URL that Apprise knows, such as "
            "mailtos://… or slack://…: https://appriseit.com/services/"
        )
    return service


def _hush() -> None:
    """Apprise writes into its own log only: addresses may stand in it."""
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False


def _written_for(service: NotifyBase) -> tuple[Callable[[Message], str], str]:
    """As the service has it by itself, or as its URL says (`?format=`)."""
    format = service.resolve_format(None).value
    return {"html": as_html, "markdown": as_markdown}.get(format, as_text), format
