"""Who calls: under which name, by which key, with which scopes, for which executions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from starlette.requests import HTTPConnection

from sayso.answer_link import LINK, AnswerLink
from sayso.keys import DEFAULT, EVERY, SCOPES, Key, Scope
from sayso.model import Request

INBOX: Final = "inbox"
"""The channel of whoever comes by session."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`name`: of the key; None where there is none. `key`: its id, where it is one of the store's. `among`: patterns,
    one of which an execution fits that it may see; None: it may see all. `channel`: by which it comes, where that is
    not the route's. `link`: the answer link that it comes by, which says which request it is let in for.
    """

    name: str | None
    key: str | None = None
    scopes: frozenset[Scope] = frozenset(SCOPES)
    among: tuple[str, ...] | None = None
    channel: str | None = None
    link: AnswerLink | None = None

    @classmethod
    def of(cls, key: Key) -> Self:
        among = None if set(key.executions) & set(EVERY) else key.executions
        return cls(name=key.name, key=key.id, scopes=frozenset(key.scopes), among=among)

    @classmethod
    def by_link(cls, link: AnswerLink) -> Self:
        """Whoever holds the link: no key's scope is theirs."""
        return cls(name=None, scopes=frozenset(), channel=LINK, link=link)

    @property
    def by(self) -> str:
        """As requests and answers carry it."""
        if self.link is not None:
            return self.link.by
        if self.name is None:
            return "anonymous"
        return f"{'session' if self.channel == INBOX else 'key'}:{self.name}"

    def has_asked(self, request: Request) -> bool:
        """Whether the request is one of this key's, maybe through a session."""
        return self.name is not None and request.asked_by in {f"key:{self.name}", f"session:{self.name}"}

    def at_inbox(self) -> Self:
        """The same, come by session."""
        return replace(self, channel=INBOX)


ANYONE: Final = Caller(name=None)
"""Whoever calls a server that needs no key."""
NOBODY: Final = Caller(name=None, scopes=frozenset())
"""Whoever calls where no key is looked at, and none would help."""
SERVER_KEY: Final = Caller(name=DEFAULT)
"""Whoever holds the key that the server was given when it was made."""


def caller_of(connection: HTTPConnection) -> Caller:
    """Whom the door let in, and knows."""
    caller: Caller = connection.scope["state"]["caller"]
    return caller


def is_stranger(connection: HTTPConnection) -> bool:
    """Whether whom the door let in has still to say who it is."""
    return connection.scope["state"]["caller"] is None
