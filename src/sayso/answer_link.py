"""Answer links: whoever holds one may see one question and answer it, without a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from sayso.clock import Clock
from sayso.errors import LinkOver, NotFound
from sayso.signing import read, signed

LINK: Final = "link"
"""The channel of whoever answers by a link; also how its owner is known: `link:<owner>`."""
ANSWER: Final = "/answer"
"""Where links lead, with their token in the query."""
RESPOND: Final = "/crewai_plus/api/v1/human_feedback_requests/{request_id}/respond"
"""Where receivers of crewAI's platform answer, with a link's token; they are told the whole address, some know it."""
_PURPOSE: Final = "answer-link"
"""Also the name of the store's secret that links are signed with."""


class AnswerLink(Struct, frozen=True, kw_only=True):
    """What is signed: whose link it is, to which question, and when it ends."""

    request_id: str
    owner: str
    until: datetime

    @property
    def by(self) -> str:
        """Who has answered by it, as the answer carries it."""
        return f"{LINK}:{self.owner}"


class AnswerLinks:
    """Makes the tokens of links and knows them again, in every process of the store that `secret` is of.

    None is kept: a question has one answer, so a link is used up with it.
    """

    def __init__(self, secret: Callable[[str], Awaitable[bytes]], clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    async def made(self, request_id: str, owner: str, until: datetime) -> str:
        """The token of a link, as it stands in a URL."""
        link = AnswerLink(request_id=request_id, owner=owner, until=until)
        return signed(link, _PURPOSE, await self._secret(_PURPOSE))

    async def read(self, token: str) -> AnswerLink:
        """Raises NotFound for what is none of this store's; LinkOver for one that has ended."""
        link = read(token, AnswerLink, _PURPOSE, await self._secret(_PURPOSE))
        if link is None:
            raise NotFound("That is no answer link of this server.")
        if link.until <= self._clock.now():
            raise LinkOver
        return link
